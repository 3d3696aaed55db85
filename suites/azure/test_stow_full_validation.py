"""Storing where the server's switch for full validation is on: every root element is held against its rules."""

from pydicom import Dataset

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker, Raw, element
from suites.azure.stow import kept, metadata, outcome, reasons, stored

REVIEW_DATE = 0x300E0004


def _nested_violation() -> Dataset:
    item = Dataset()
    item[0x00400009] = element(0x00400009, "SH", "s" * 17)
    return item


def _fails_v1(web: DicomWeb, make: Maker) -> None:
    for made in (make(raw=_BAD), make(RequestAttributesSequence=[_nested_violation()])):
        answer = stored(web, made)
        assert outcome(answer) == (409, [43264], []), answer.describe()
        assert kept(web, made) is None
    assert outcome(stored(web, make(raw=_GOOD))) == (200, [], [])


def _warns_v2(web: DicomWeb, make: Maker) -> None:
    made = make(raw=_BAD, RequestAttributesSequence=[_nested_violation()])
    answer = stored(web, made)
    assert outcome(answer) == (202, [], [1]), answer.describe()
    named = {reason.partition(" - ")[0] for reason in reasons(answer)}
    assert named == {"DICOM100: (0040,0275)", "DICOM100: (300e,0004)"}, "under the root tags"
    described = metadata(web, made)
    assert not {"00400275", "300E0004"} & described.keys(), "the sequence goes as a whole"
    assert described["00080060"]["Value"] == ["CT"]
    assert kept(web, made) == made.part10


_BAD: Raw = {REVIEW_DATE: ("DA", "NotADate")}
_GOOD: Raw = {REVIEW_DATE: ("DA", "20230405")}


@needs("control")
@requirement("STOW-129")
def test_full_validation(special_service: SpecialService, v1: DicomWeb, make: Maker) -> None:
    """With the switch on v1 fails any violation and v2 warns under the root tag; off, v1 takes it (STOW-129)."""
    assert outcome(stored(v1, make(raw=_BAD))) == (200, [], []), "off by default"
    with special_service("--full-validation") as own:
        _fails_v1(own.web(version="v1"), make)
        _warns_v2(own.web(version="v2"), make)
