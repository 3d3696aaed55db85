"""The header scan answers as pydicom does, and answers bad bytes with a reason."""

import contextlib
import warnings
import zlib
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_partial
from pydicom.sequence import Sequence
from pydicom.uid import UID

from systems.shared.header_errors import HeaderError, NotDicom, Truncated
from systems.shared.header_scan import read_file_meta, scan, scan_part10

WANTED = frozenset(
    {
        0x00010001, 0x00080005, 0x00080016, 0x00080018, 0x00080020, 0x00080050, 0x00080060, 0x00080090, 0x00081030, 0x00081111,
        0x00081115, 0x00081140, 0x00090010, 0x00100010, 0x00100020, 0x00100030, 0x0020000D, 0x0020000E, 0x00200013,
        0x00280010, 0x00280011, 0x00400244, 0x00400245, 0x00400275, 0x52009229, 0x52009230,
    }
)  # fmt: skip

BASE_SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big-endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
}


def _files() -> list[str]:
    extra = Path(str(distribution("pydicom-data").locate_file("data_store")))
    folders = [Path(pydicom.__file__).parent / "data", extra]
    return sorted(str(path) for folder in folders for path in folder.rglob("*") if path.is_file())


def _with_pydicom(part10: bytes) -> dict[int, bytes | None]:
    """Return the raw values pydicom reads; None where it reads a sequence (compared by presence)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = read_partial(BytesIO(part10), stop_when=lambda tag, _vr, _length: tag > max(WANTED))
        values: dict[int, bytes | None] = {}
        for tag in WANTED & {int(found) for found in dataset.keys()}:  # noqa: SIM118 - iterating converts every element
            raw = dataset.get_item(tag)
            values[tag] = (raw.value or b"") if isinstance(raw, RawDataElement) else None
    return values


def _compare(part10: bytes) -> None:
    meta = read_file_meta(part10)
    seen = scan_part10(part10, meta, WANTED)
    expected = _with_pydicom(part10)
    assert seen.keys() == expected.keys()
    for tag, value in expected.items():
        assert value is None or seen[tag] == value, f"{tag:08X}"
    assert scan(part10[meta.data_set_offset :], meta.transfer_syntax_uid, WANTED) == seen


def test_every_file_of_pydicom_reads_as_pydicom_reads_it() -> None:
    compared, refused = 0, []
    for name in _files():
        part10 = Path(name).read_bytes()
        try:
            read_file_meta(part10)
        except HeaderError:
            refused.append(name)
            continue
        try:
            _compare(part10)
        except Truncated:
            refused.append(name)
            continue
        compared += 1
    assert compared > 100
    for name in refused:
        assert not _complete(Path(name)), f"{name} is a complete file and was refused"


def _complete(path: Path) -> bool:
    """Return whether pydicom takes the file as Part 10 with a transfer syntax and without a complaint."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            dataset = pydicom.dcmread(path)
        except (InvalidDicomError, UserWarning, EOFError, OSError, zlib.error):
            return False
    # pydicom returns short values of a cut file in silence; the file's name tells.
    return "TransferSyntaxUID" in dataset.file_meta and "truncated" not in path.name


def _nested(undefined: bool) -> Dataset:
    inner = Dataset()
    inner.PatientID = "inner"
    inner.ReferencedSOPInstanceUID = "1.2.3"
    outer = Dataset()
    outer.ReferencedImageSequence = Sequence([inner, Dataset()])
    outer.StudyInstanceUID = "9.9.9"
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.ReferencedStudySequence = Sequence([outer, outer])
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "outer"
    dataset.StudyInstanceUID = "1.2"
    dataset.SeriesInstanceUID = "1.3"
    for sequence in (dataset["ReferencedStudySequence"], outer["ReferencedImageSequence"]):
        sequence.is_undefined_length = undefined
        sequence.value.is_undefined_length = undefined
        for item in sequence.value:
            item.is_undefined_length_sequence_item = undefined
    return dataset


def _part10(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    written = DicomBytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


@pytest.mark.parametrize("syntax", BASE_SYNTAXES)
@pytest.mark.parametrize("undefined", [True, False])
def test_nested_sequences_are_skipped_in_every_encoding(syntax: str, undefined: bool) -> None:
    part10 = _part10(_nested(undefined), BASE_SYNTAXES[syntax])

    _compare(part10)

    found = scan_part10(part10, read_file_meta(part10), WANTED)
    assert found[0x00100020].strip() == b"outer"
    assert found[0x0020000D].strip(b"\0") == b"1.2"


def test_file_meta_names_the_instance() -> None:
    part10 = _part10(_nested(undefined=True), BASE_SYNTAXES["explicit"])

    meta = read_file_meta(part10)

    assert (meta.sop_class_uid, meta.sop_instance_uid) == ("1.2.840.10008.5.1.4.1.1.7", "1.2.3.4")
    assert part10[meta.data_set_offset :][:4] == b"\x08\x00\x16\x00"


def test_every_cut_of_a_file_is_truncated_or_a_prefix_of_the_answer() -> None:
    part10 = _part10(_nested(undefined=True), BASE_SYNTAXES["explicit"])
    meta = read_file_meta(part10)
    whole = scan_part10(part10, meta, WANTED)
    truncated = 0
    for length in range(meta.data_set_offset, len(part10)):
        try:
            seen = scan_part10(part10[:length], meta, WANTED)
        except Truncated:
            truncated += 1
        else:
            assert seen.items() <= whole.items()
    assert truncated > len(part10) - meta.data_set_offset - 12


def test_a_deflated_head_larger_than_one_step_is_read_on() -> None:
    dataset = _nested(undefined=True)
    dataset.add_new(0x00090010, "LO", "MAKER")
    dataset.add_new(0x00091001, "OB", bytes(range(256)) * 8192)
    _compare(_part10(dataset, BASE_SYNTAXES["deflated"]))


@pytest.mark.parametrize("data", [b"", b"DICM", b"\0" * 200, b"\0" * 128 + b"DICM"])
def test_what_is_no_part_10_file_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(HeaderError, match=r"\w+"):
        read_file_meta(data)


def test_bad_deflate_is_not_dicom() -> None:
    with pytest.raises(NotDicom, match="inflated"):
        scan(b"\xff\xff\xff\xff", BASE_SYNTAXES["deflated"], WANTED)


def test_endless_nesting_is_refused() -> None:
    level = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(NotDicom, match="nested"):
        scan(level * 5000, BASE_SYNTAXES["explicit"], WANTED)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300), syntax=st.sampled_from(sorted(BASE_SYNTAXES.values())))
def test_random_bytes_never_raise_anything_else(data: bytes, syntax: str) -> None:
    for attempt in (lambda: scan(data, syntax, WANTED), lambda: read_file_meta(b"\0" * 128 + b"DICM" + data)):
        try:
            attempt()
        except HeaderError:
            continue


@settings(max_examples=200, deadline=None)
@given(
    position=st.integers(min_value=0, max_value=10_000),
    patch=st.binary(min_size=1, max_size=8),
    syntax=st.sampled_from(sorted(BASE_SYNTAXES.values())),
)
def test_a_damaged_file_never_raises_anything_else(position: int, patch: bytes, syntax: str) -> None:
    part10 = bytearray(_part10(_nested(undefined=True), syntax))
    at = 132 + position % (len(part10) - 132)
    part10[at : at + len(patch)] = patch
    with contextlib.suppress(HeaderError):
        scan_part10(bytes(part10), read_file_meta(bytes(part10)), WANTED)
