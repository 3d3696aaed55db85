"""Storing: which UIDs an instance may have."""

import pytest

from fixtures.clients.dicomweb import ONE_AS_STORED, DicomWeb
from fixtures.traceability import requirement
from suites.azure import stow
from suites.azure.data import Maker
from suites.azure.stow import DUPLICATE, items, kept, metadata, outcome, reasons, stored

SOP_CLASS, SOP, STUDY, SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E


def _padded(uid: str, pad: bytes) -> bytes:
    """A UID with at least one pad character, of even length."""
    return uid.encode() + pad * (2 - len(uid) % 2)


@requirement("STOW-071")
@pytest.mark.parametrize("tag", [STUDY, SERIES, SOP])
@pytest.mark.parametrize("value", ["abc.123", "1.2.11|", "1.2.3.", "1.2-3.4", "1" * 65])
def test_uid_characters(web: DicomWeb, make: Maker, tag: int, value: str) -> None:
    """Instance UIDs hold digits and dots only, end with a digit and have at most 64 characters (STOW-071)."""
    answer = stored(web, make(raw={tag: ("UI", value)}))
    assert stow.refused(answer.response) == (409, [43264]), answer.describe()
    assert any(f"({tag >> 16:04x},{tag & 0xFFFF:04x})" in reason for reason in reasons(answer))


def _odd(make: Maker, form: str) -> str:
    """A UID of its own in an odd form."""
    digits = make.uid().replace(".", "")[-30:]
    return {"zero": f"1.02.{digits}", "dots": f"1..2.{digits}", "dot first": f".1.2.{digits}"}[form]


@requirement("STOW-072", "STOW-074")
@pytest.mark.parametrize("form", ["zero", "dots", "dot first"])
@pytest.mark.parametrize("tag", [STUDY, SERIES, SOP])
def test_odd_components_v1(v1: DicomWeb, make: Maker, tag: int, form: str) -> None:
    """v1 takes leading zeros and empty components without a remark (STOW-072, STOW-074)."""
    made = make(raw={tag: ("UI", _odd(make, form))})
    assert outcome(stored(v1, made)) == (200, [], [])
    assert kept(v1, made) == made.part10


@requirement("STOW-073", "STOW-074")
@pytest.mark.parametrize("form", ["zero", "dots", "dot first"])
@pytest.mark.parametrize("tag", [STUDY, SERIES, SOP])
def test_odd_components_v2(v2: DicomWeb, make: Maker, tag: int, form: str) -> None:
    """v2 stores leading zeros and empty components with a warning and keeps the value in metadata (STOW-073, STOW-074)."""
    uid = _odd(make, form)
    made = make(raw={tag: ("UI", uid)})
    answer = stored(v2, made)
    assert outcome(answer) == (202, [], [1]), answer.describe()
    assert len(reasons(answer)) == 1
    assert reasons(answer)[0].startswith(f"DICOM100: ({tag >> 16:04x},{tag & 0xFFFF:04x}) - ")
    assert metadata(v2, made)[f"{tag:08X}"]["Value"] == [uid]


@requirement("STOW-075", "STOW-068")
@pytest.mark.parametrize("tag", [STUDY, SERIES, SOP])
def test_trailing_spaces(web: DicomWeb, make: Maker, tag: int) -> None:
    """Trailing spaces are kept in the file and do not make another UID (STOW-075, STOW-068)."""
    plain = make.uid()
    made = make(raw={tag: ("UI", _padded(plain, b" "))})
    first = stored(web, made)
    assert (first.status, len(first.stored)) == (200, 1), first.describe()
    padded_path = made.path().replace(plain, plain + "%20")
    for path in (made.path(), padded_path):
        answer = web.get(path, accept=ONE_AS_STORED)
        assert (answer.status, answer.body) == (200, made.part10), f"STOW-075: {path}"
    uids = {STUDY: made.study, SERIES: made.series, SOP: made.instance}
    same = make(StudyInstanceUID=uids[STUDY], SeriesInstanceUID=uids[SERIES], SOPInstanceUID=uids[SOP])
    assert stow.refused(stored(web, same).response) == (409, [DUPLICATE]), "STOW-068"
    assert kept(web, made) == made.part10


@requirement("STOW-076")
def test_null_padded_study_uid(web: DicomWeb, make: Maker) -> None:
    """A Study Instance UID that ends with a null matches the path without it and keeps it (STOW-076)."""
    made = make(raw={STUDY: ("UI", _padded(make.uid(), b"\0"))})
    answer = stored(web, made, study=made.study)
    assert outcome(answer) == (200, [], []), answer.describe()
    assert kept(web, made) == made.part10
    assert web.retrieve(made.study) == [made.part10]


@requirement("STOW-067")
def test_key_is_the_triple(web: DicomWeb, make: Maker) -> None:
    """The same SOP Instance UID under another series or study is another instance (STOW-067)."""
    first = make()
    other_series = make(like=first, SeriesInstanceUID=make.uid(), SOPInstanceUID=first.instance)
    other_study = make(SeriesInstanceUID=first.series, SOPInstanceUID=first.instance)
    for made in (first, other_series, other_study):
        assert outcome(stored(web, made)) == (200, [], [])
    assert [kept(web, made) for made in (first, other_series, other_study)] == [
        first.part10,
        other_series.part10,
        other_study.part10,
    ]


@requirement("STOW-067")
def test_equal_uids_in_one_instance(web: DicomWeb, make: Maker) -> None:
    """Study, series and instance may have one and the same UID (STOW-067)."""
    uid = make.uid()
    made = make(StudyInstanceUID=uid, SeriesInstanceUID=uid, SOPInstanceUID=uid)
    assert outcome(stored(web, made)) == (200, [], [])
    assert kept(web, made) == made.part10


@requirement("STOW-077", "STOW-078")
@pytest.mark.parametrize("value", ["not.a.uid", "1.2.840.", "1.2 .3"])
def test_sop_class_format(v1: DicomWeb, v2: DicomWeb, make: Maker, value: str) -> None:
    """v1 does not look at the form of the SOP Class UID, v2 fails it (STOW-077, STOW-078)."""
    first, second = (make(raw={SOP_CLASS: ("UI", value)}) for _ in range(2))
    assert outcome(stored(v1, first)) == (200, [], [])
    assert kept(v1, first) == first.part10
    answer = stored(v2, second)
    assert outcome(answer) == (409, [43264], []), answer.describe()
    assert items(answer, "00081198")[0]["00081150"]["Value"] == [value]
    assert kept(v2, second) is None


@requirement("STOW-079")
@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.104.1", "2.25.99999", "1.2.840.10008.1.1"])
def test_any_sop_class(web: DicomWeb, make: Maker, sop_class: str) -> None:
    """Any SOP class is stored, unknown ones too, and its modules are not checked (STOW-079)."""
    made = make(SOPClassUID=sop_class, PixelData=None)
    answer = stored(web, made)
    assert outcome(answer) == (200, [], []), answer.describe()
    assert items(answer, "00081199")[0]["00081150"]["Value"] == [sop_class]
    assert kept(web, made) == made.part10


@requirement("STOW-135")
def test_sop_class_with_a_warning_v2(v2: DicomWeb, make: Maker) -> None:
    """A SOP Class UID that v2 warns about is gone from metadata and has no value in the answer (STOW-135)."""
    made = make(raw={SOP_CLASS: ("UI", "1.02.3")})
    answer = stored(v2, made)
    assert outcome(answer) == (202, [], [1]), answer.describe()
    assert items(answer, "00081199")[0]["00081150"] == {"vr": "UI"}
    assert "00080016" not in metadata(v2, made)
    assert metadata(v2, made)["00080018"]["Value"] == [made.instance]
