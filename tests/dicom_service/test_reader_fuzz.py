"""The readers of what comes from outside: no input ends them otherwise than they say, however it arrives."""

import mmap
import tempfile
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from systems.dicom_service.dicom.elements import Element, open_part10
from systems.dicom_service.dicom.intake import examine
from systems.dicom_service.dicom.json_model import to_json
from systems.dicom_service.storage.blobs import Incoming
from systems.dicom_service.web.multipart import ContentType, PartReader, Receiver
from systems.dicom_service.web.problems import Problem
from systems.shared.header_scan import HeaderError
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


@_MANY
@given(data=st.data())
def test_multipart_bodies_are_read_alike_however_they_are_cut(data: st.DataObject) -> None:
    """Network pieces of any length give the parts, or the refusal, that the whole body gives."""
    body = _damaged(data, _BODY, _MARKS)
    whole = _parts([body])
    single = _parts([body[at : at + 1] for at in range(len(body))])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8), "cuts"))
    pieces = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert _parts(pieces) == whole
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
