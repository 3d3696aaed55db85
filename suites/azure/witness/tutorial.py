"""The requests of Microsoft's tutorials for curl and Python, as facts: path, Accept and what has to come back.

Source: microsoft/dicom-server docs/tutorials/use-dicom-web-standard-apis-with-curl.md and ...-with-python.md @eeefbe4.
"""

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON
from fixtures.clients.multipart import read
from suites.azure.data import Made
from suites.azure.witness.sample import Sample

ALL_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
ONE_AS_STORED = "application/dicom; transfer-syntax=*"
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax='
LEVELS = {
    "study": "/studies/{study}",
    "series": "/studies/{study}/series/{series}",
    "instance": "/studies/{study}/series/{series}/instances/{instance}",
}


@dataclass(frozen=True)
class Search:
    """A search by one UID; `own` is the tag of the objects it finds and `name` says which UID of the sample."""

    path: str
    parameter: str
    name: str

    @property
    def tag(self) -> str:
        """The UID's tag in a result."""
        return {"study": "0020000D", "series": "0020000E", "instance": "00080018"}[self.name]


SEARCHES = (
    Search("/studies", "StudyInstanceUID", "study"),
    Search("/series", "SeriesInstanceUID", "series"),
    Search("/studies/{study}/series", "SeriesInstanceUID", "series"),
    Search("/instances", "SOPInstanceUID", "instance"),
    Search("/studies/{study}/instances", "SOPInstanceUID", "instance"),
    Search("/studies/{study}/series/{series}/instances", "SOPInstanceUID", "instance"),
)


def assert_stored(answer: Response, *made: Made) -> None:
    """Each instance is referenced in the answer of a store, and none failed."""
    assert answer.status == 200, answer.describe()
    body = answer.json()
    assert "00081198" not in body, f"failed: {answer.describe()}"
    referenced = {item["00081155"]["Value"][0] for item in body["00081199"]["Value"]}
    assert referenced == {one.instance for one in made}, answer.describe()


def assert_files(answer: Response, *made: Made) -> None:
    """A multipart answer with the very files that were stored, in any order; pydicom reads each."""
    assert answer.status == 200, answer.describe()
    parts = list(read(answer.content_type, [answer.body]))
    assert sorted(part.body for part in parts) == sorted(one.part10 for one in made)
    assert {part.content_type.partition(";")[0] for part in parts} == {"application/dicom"}
    assert {dcmread(BytesIO(part.body)).SOPInstanceUID for part in parts} == {one.instance for one in made}


def assert_metadata(answer: Response, *made: Made) -> None:
    """One metadata object for each instance."""
    assert answer.status == 200, answer.describe()
    assert answer.content_type.startswith(DICOM_JSON), answer.describe()
    assert sorted(item["00080018"]["Value"][0] for item in answer.json()) == sorted(
        one.instance for one in made
    )


def assert_frame(answer: Response, made: Made) -> None:
    """A multipart answer with the only frame."""
    assert answer.status == 200, answer.describe()
    (part,) = read(answer.content_type, [answer.body])
    assert part.body == made.dataset.PixelData, "the frame is not that of the file"


def assert_found(answer: Response, search: Search, sample: Sample) -> None:
    """Exactly one object, and the one asked for."""
    assert answer.status == 200, answer.describe()
    found = [item[search.tag]["Value"][0] for item in answer.json()]
    assert found == [sample.names[search.name]], answer.describe()
