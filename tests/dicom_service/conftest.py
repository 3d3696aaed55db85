"""A running service for each test module, and instances made to measure."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from fixtures.waiting import eventually

CT = "1.2.840.10008.5.1.4.1.1.2"
Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def parts(self) -> list[tuple[str, bytes]]:
        """Return content type and content of each part of a multipart answer."""
        boundary = re.search(r"boundary=([^;]+)", self.headers["content-type"])
        assert boundary is not None
        pieces = self.body.split(b"--" + boundary.group(1).encode())
        assert pieces[0] == b""
        assert pieces[-1].strip() == b"--"
        found = []
        for piece in pieces[1:-1]:
            head, _, content = piece.partition(b"\r\n\r\n")
            found.append(
                (head.decode().strip().removeprefix("Content-Type: "), content.removesuffix(b"\r\n"))
            )
        return found


@dataclass
class Service:
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    headers: dict[str, str] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """Send one request, with Accept */* unless told otherwise; a None value leaves the header out."""
        sent = {"Accept": "*/*", **self.headers, **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, content
        )
        connection.close()
        return answer

    def get(self, path: str, accept: str | None = "*/*", **headers: str) -> Answer:
        return self.request("GET", path, headers={"Accept": accept, **headers})

    def store(self, *files: bytes, version: str = "v2", study: str = "") -> Answer:
        path = f"/{version}/studies" + (f"/{study}" if study else "")
        if len(files) == 1:
            return self.request("POST", path, files[0], {"Content-Type": "application/dicom"})
        content_type, body = multipart(files)
        return self.request("POST", path, body, {"Content-Type": content_type})

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def multipart(files: Sequence[bytes]) -> tuple[str, bytes]:
    body = b"".join(
        b"--frontier\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files
    )
    return 'multipart/related; type="application/dicom"; boundary=frontier', body + b"--frontier--\r\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


def start(
    data: Path | str, log: Path, *arguments: str, port: int | None = None, auth: bool = False
) -> Service:
    port = port or free_port()
    command = [
        sys.executable,
        "-m",
        "systems.dicom_service.cli",
        "serve",
        "--port",
        str(port),
        "--data",
        str(data),
    ]
    command += [*([] if auth else ["--no-auth"]), *arguments]
    with log.open("ab") as stderr:
        process = subprocess.Popen(command, stderr=stderr, cwd=Path(__file__).parents[2], env={**os.environ})
    service = Service(process, port, log)
    if "--tls-cert" not in arguments:
        eventually(lambda: _healthy(service), within=20, because=f"the service should start, see {log}")
    return service


def _healthy(service: Service) -> bool:
    assert service.process.poll() is None, service.log.read_text()
    return service.get("/health/check").status == 200


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    running = start(":memory:", folder / "log")
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()


def dataset(**attributes: Any) -> Dataset:
    """Return a small CT image; attributes replace or, when None, remove its own."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID = CT
    made.SOPInstanceUID = generate_uid()
    made.StudyDate = "20200102"
    made.StudyTime = "101112"
    made.AccessionNumber = "ACC1"
    made.Modality = "CT"
    made.ManufacturerModelName = "Model A"
    made.StudyDescription = "Head"
    made.ReferringPhysicianName = "Ref^Doc"
    made.PatientName = "Doe^Jane"
    made.PatientID = "P1"
    made.PatientBirthDate = "19700101"
    made.PatientSex = "F"
    made.StudyInstanceUID = generate_uid()
    made.SeriesInstanceUID = generate_uid()
    made.StudyID = "1"
    made.InstanceNumber = 1
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows = 8
    made.Columns = 8
    made.BitsAllocated = 16
    made.BitsStored = 16
    made.HighBit = 15
    made.PixelRepresentation = 0
    made.PixelData = bytes(range(128))
    for keyword, value in attributes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def part10(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the file of a data set whose pixel data already suits the transfer syntax."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = UID(made.get("SOPClassUID", "1.2.3") or "1.2.3")
    made.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    out = BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def path_of(made: Dataset, level: str = "instance", version: str = "v2") -> str:
    path = f"/{version}/studies/{made.StudyInstanceUID}"
    if level != "study":
        path += f"/series/{made.SeriesInstanceUID}"
    return path + (f"/instances/{made.SOPInstanceUID}" if level == "instance" else "")


def failures(answer: Answer) -> list[int]:
    return [item["00081197"]["Value"][0] for item in answer.json().get("00081198", {}).get("Value", [])]


def reasons(answer: Answer) -> list[str]:
    """Return all validation reasons of a store answer."""
    body = answer.json()
    items = [item for key in ("00081198", "00081199") for item in body.get(key, {}).get("Value", [])]
    return [
        entry["00000902"]["Value"][0] for item in items for entry in item.get("00741048", {}).get("Value", [])
    ]


def warnings(answer: Answer) -> list[int]:
    return [item["00081196"]["Value"][0] for item in answer.json()["00081199"]["Value"] if "00081196" in item]


def stored(service: Service, made: Dataset, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    sent = part10(made, syntax)
    assert service.store(sent).status in (200, 202)
    return sent


def stored_file(service: Service, name: str) -> tuple[Dataset, bytes]:
    """Store a file of pydicom under UIDs of its own."""
    made = pydicom.dcmread(str(get_testdata_file(name)))
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = (generate_uid() for _ in range(3))
    if not made.get("PatientID"):
        made.PatientID = "P"
    out = BytesIO()
    made.save_as(out)
    assert service.store(out.getvalue()).status in (200, 202)
    return made, out.getvalue()


def multi_frame(frames: int = 3) -> Dataset:
    pixels = np.arange(frames * 5 * 5, dtype=np.uint8)
    return dataset(NumberOfFrames=frames, Rows=5, Columns=5, BitsAllocated=8, BitsStored=8, HighBit=7,
                   PixelData=pixels.tobytes() + b"\0")  # fmt: skip


def closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


Starter = Callable[..., Service]


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    """Start services that end with the test."""
    running: list[Service] = []

    def run(data: Path | str, *arguments: str, auth: bool = False) -> Service:
        running.append(start(data, tmp_path / "log", *arguments, auth=auth))
        return running[-1]

    yield run
    for service in running:
        if service.process.poll() is None:
            service.process.kill()
            service.process.wait()
