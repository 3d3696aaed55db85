"""What the tests of the prefetch hold in their hands: HL7 messages, an MLLP sender, a cloud with priors."""

import socket
from collections.abc import Sequence
from typing import Self

import requests
from pydicom.dataset import Dataset

from tests.router.fakes import part10

START, END = b"\x0b", b"\x1c\r"


def order(
    patient_id: str = "SECRET-ID-7",
    *,
    name: str = "Do^Not",
    kind: str = "ORM^O01",
    control: str = "MSG-1",
    version: str = "2.5",
    processing: str = "P",
    more: str = "",
    header: str = "",
) -> bytes:
    """An order message; `more` are further segments, `header` further fields of MSH."""
    msh = f"MSH|^~\\&|RIS|HOSPITAL|ROUTER|IT|20221122120000||{kind}|{control}|{processing}|{version}{header}"
    return f"{msh}\rPID|1||{patient_id}||{name}||19850828|F\r{more}".encode()


class Sender:
    """An MLLP connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def write(self, content: bytes) -> None:
        self._socket.sendall(content)

    def read(self) -> bytes:
        """The next answer without its frame; empty when the router has closed."""
        seen = b""
        while not seen.endswith(END):
            chunk = self._socket.recv(65536)
            if not chunk:
                return b""
            seen += chunk
        assert seen.startswith(START)
        return seen[1 : -len(END)]

    def ask(self, message: bytes) -> bytes:
        self.write(START + message + END)
        return self.read()


def send_order(port: int, message: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2 of the answer."""
    with Sender(port) as sender:
        return msa(sender.ask(message))


def msa(answer: bytes) -> tuple[str, str]:
    fields = next(line for line in answer.decode().split("\r") if line.startswith("MSA|")).split("|")
    return fields[1], fields[2]


def put_into_cloud(service: str, datasets: Sequence[Dataset]) -> None:
    for ds in datasets:
        answer = requests.post(
            f"{service}/v2/studies",
            part10(ds),
            headers={"Content-Type": "application/dicom", "Accept": "application/dicom+json"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text


def cloud_changes(service: str) -> int:
    """How many changes the cloud has seen."""
    return len(requests.get(f"{service}/v2/changefeed?limit=200", timeout=20).json())
