"""What the tests of the prefetch hold in their hands: HL7 messages, an MLLP sender, a cloud with priors."""

from collections.abc import Sequence

import requests
from pydicom.dataset import Dataset

from fixtures.actors import ris
from fixtures.actors.ris import Order
from fixtures.deployment.spec import Address
from tests.router.fakes import part10


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
    made = Order(patient_id, name, kind, control, version, processing, header, more)
    return made.encode()


def send_order(port: int, message: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2 of the answer."""
    answer = ris.send_order(Address("127.0.0.1", port), message)
    return answer.code, answer.control_id


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
