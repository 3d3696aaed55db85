"""The readers of what comes from outside: no input ends them otherwise than they say, however it arrives."""

import mmap
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems.dicom_service.dicom import quick
from systems.dicom_service.dicom.elements import Element, open_part10
from systems.dicom_service.dicom.intake import Examined, examine
from systems.dicom_service.dicom.json_model import to_json
from systems.dicom_service.storage.blobs import Incoming
from systems.dicom_service.web.multipart import ContentType, PartReader, Receiver
from systems.dicom_service.web.problems import Problem
from systems.shared.header_errors import HeaderError
from tests.dicom_service.conftest import dataset, multipart, part10

_MANY = settings(max_examples=400, deadline=None, derandomize=True)
_RELATED, _BODY = multipart([b"first file", b"", b"\r\n--fron", b"\r\n--frontier"[:-1] + b"x", b"z" * 300])
_MARKS = st.sampled_from(
    [
        b"\r\n--frontier",
        b"--frontier--",
        b"\r\n\r\n",
        b"--",
        b"\r\n",
        b"Content-Type: text/plain",
        b"\0",
        b"x" * 40,
    ]
)
_FILE = part10(
    dataset(
        RequestAttributesSequence=[
            dataset(PixelData=None, RequestAttributesSequence=[dataset(PixelData=None)])
        ]
    )
)
_HEADERS = st.sampled_from(
    [
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"SQ\0\0\xff\xff\xff\xff",
        b"UN\0\0\xff\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff",
    ]
)


def _damaged(data: st.DataObject, whole: bytes, pieces: st.SearchStrategy[bytes]) -> bytes:
    made = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4), "changes")):
        at = data.draw(st.integers(0, max(0, len(made) - 1)), "at")
        kind = data.draw(st.sampled_from(["over", "insert", "cut", "flip", "end"]), "kind")
        piece = data.draw(pieces, "piece")
        if kind == "over":
            made[at : at + len(piece)] = piece
        elif kind == "insert":
            made[at:at] = piece
        elif kind == "cut":
            del made[at : at + data.draw(st.integers(1, 60), "length")]
        elif kind == "end":
            del made[at:]
        elif made:
            made[at] ^= data.draw(st.integers(1, 255), "bits")
    return bytes(made)


def _parts(pieces: Sequence[bytes]) -> list[bytes] | tuple[int, str]:
    """Return the parts of a body that arrives in these pieces, or the answer to it."""

    def no_file() -> Incoming:
        raise AssertionError("so little is kept in memory")

    receiver = Receiver(no_file, 1 << 20)
    reader = PartReader(ContentType.parse(_RELATED), receiver)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end()
    except Problem as problem:
        return problem.status, problem.message
    return [content for content in receiver.contents if isinstance(content, bytes)]


def _cut(body: bytes, cuts: list[int]) -> list[bytes]:
    return [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]


@_MANY
@given(data=st.data())
def test_multipart_bodies_are_read_alike_however_they_are_cut(data: st.DataObject) -> None:
    """Network pieces of any length give the parts, or the refusal, that the whole body gives."""
    body = _damaged(data, _BODY, _MARKS)
    with mock.patch("systems.dicom_service.web.multipart._WORTH_PASSING_ON", 1 << 30):
        whole = _parts([body])
    single = _parts([body[at : at + 1] for at in range(len(body))])
    # Long pieces are passed on without being copied.
    with mock.patch("systems.dicom_service.web.multipart._WORTH_PASSING_ON", 0):
        quick_cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=4), "long pieces"))
        assert _parts(_cut(body, quick_cuts)) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8), "cuts"))
    assert _parts(_cut(body, cuts)) == whole
    assert single == whole


def test_whole_multipart_body() -> None:
    """Without damage the parts are those that were sent, also what looks like the beginning of a boundary."""
    assert _parts([_BODY]) == [b"first file", b"", b"\r\n--fron", b"\r\n--frontiex", b"z" * 300]


def _inside(elements: list[Element], size: int) -> bool:
    return all(
        0 <= element.start <= element.stop <= size
        and all(_inside(item, size) for item in element.items or ())
        for element in elements
    )


@_MANY
@given(data=st.data(), version=st.sampled_from([1, 2]))
def test_files_are_refused_or_read_inside_their_bytes(data: st.DataObject, version: int) -> None:
    """STOW-026, STOW-132: a damaged file is a HeaderError or a data set whose elements lie inside it and can be described."""
    file = _damaged(data, _FILE, _HEADERS)
    try:
        meta, data_set = open_part10(file)
    except HeaderError:
        return
    assert meta.transfer_syntax_uid
    assert _inside(data_set.elements, len(data_set.data))
    to_json(data_set)
    found = examine(file, version=version, study=None)
    assert found.failed or (found.study_uid and found.series_uid)
    with tempfile.TemporaryFile() as mapped:
        mapped.write(file)
        mapped.flush()
        with mmap.mmap(mapped.fileno(), 0, access=mmap.ACCESS_READ) as view:
            assert examine(view, version=version, study=None) == found


def _both(file: bytes) -> tuple[Examined | str, Examined | str]:
    """Return what a store makes of a file by whichever way it takes, and by the long way."""

    def outcome() -> Examined | str:
        try:
            return examine(file, version=2, study=None)
        except HeaderError as error:
            return f"{type(error).__name__}: {error}"

    either = outcome()
    with mock.patch("systems.dicom_service.dicom.intake.open_usual", return_value=None):
        return either, outcome()


_NAMED = {
    "UTF-8": part10(dataset(PatientName="山田^太郎=やまだ", StudyDescription="头部 CT", InstitutionName="Ü")),
    "Latin-1": part10(
        dataset(SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg", AccessionNumber="Ä")
    ),
    "Japanese": part10(
        dataset(
            SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう"
        )
    ),
    "Cyrillic": part10(
        dataset(SpecificCharacterSet="ISO_IR 144", PatientName="Люк", StudyDescription="я" * 80)
    ),
    "long": part10(dataset(PatientName="A" * 64 + "^" * 4, StudyDescription="x" * 65)),
    "sequences": _FILE,
}


@settings(max_examples=500, deadline=None, derandomize=True)
@given(data=st.data(), name=st.sampled_from(sorted(_NAMED)))
def test_short_way_judges_as_the_long_one(data: st.DataObject, name: str) -> None:
    """Whatever was stored before and however a file is damaged, both ways give the same outcome and the same index."""
    either, long_way = _both(_damaged(data, _NAMED[name], _HEADERS))
    assert either == long_way


@pytest.mark.parametrize(
    "path",
    sorted((Path(pydicom.__file__).parent / "data" / "test_files").rglob("*.dcm")),
    ids=lambda p: p.name,
)
def test_short_way_judges_real_files_as_the_long_one(path: Path) -> None:
    """The files of pydicom, twice: what the first time was remembered changes nothing."""
    file = path.read_bytes()
    first, long_way = _both(file)
    assert first == long_way
    assert _both(file) == (first, first)


def test_usual_files_take_the_short_way() -> None:
    """Else the comparison above would compare nothing; names in other scripts are usual too."""
    for name in ("UTF-8", "Latin-1", "sequences"):
        assert quick.open_usual(_NAMED[name]) is not None, name
    assert quick.open_usual(_NAMED["long"]) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many different elements come, the memory keeps few."""
    monkeypatch.setattr(quick, "_MOST_REMEMBERED", 50)
    for number in range(40):
        assert (
            quick.open_usual(part10(dataset(StudyDescription="x" * number, InstanceNumber=number)))
            is not None
        )
    assert len(quick._usual) <= 50
    assert len(quick._headers) <= 50
