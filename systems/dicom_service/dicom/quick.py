"""The short way through most incoming files: every element is as usual, so only what the index needs is looked at.

Most elements of a series are byte for byte those of its first image, and all images share a few hundred headers. Both are
remembered: whether an element is usual depends on nothing but its bytes. Where anything is not usual this way ends, and the
file goes the long way (`open_part10`, `rules_v2.violations`), which alone decides what is wrong; a usual file gives there
what it gives here.
"""

from struct import Struct
from typing import NamedTuple

from systems.dicom_service.dicom import rules_v2
from systems.dicom_service.dicom.attributes import (
    PATIENT_ID,
    SERIES_ATTRIBUTES,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_ATTRIBUTES,
    STUDY_INSTANCE_UID,
)
from systems.dicom_service.dicom.elements import Buffer, DataSet, Element, read_meta
from systems.dicom_service.dicom.reader import SHORT_VRS, Cut, Reader, looks_explicit, new_element
from systems.dicom_service.dicom.text import LOCALISED_VRS, SPECIFIC_CHARACTER_SET, Decoder
from systems.shared.header_scan import (
    DEFLATED_EXPLICIT_VR_LE,
    EXPLICIT_VR_BE,
    IMPLICIT_VR_LE,
    FileMeta,
)

WANTED = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        PATIENT_ID,
        SOP_CLASS_UID,
        SOP_INSTANCE_UID,
        STUDY_INSTANCE_UID,
        SERIES_INSTANCE_UID,
        *(attribute.tag for attribute in (*STUDY_ATTRIBUTES, *SERIES_ATTRIBUTES)),
    }
)
"""The elements that are kept."""

_OTHER_ENCODINGS = frozenset({DEFLATED_EXPLICIT_VR_LE, EXPLICIT_VR_BE, IMPLICIT_VR_LE})
_MOST_REMEMBERED = 8192
_LONGEST_REMEMBERED = 512
_HEADER = Struct("<HH2sH").unpack
_LENGTH = Struct("<L").unpack
_PIXELS = 0x7FE0
_ITEM_END = 0xFFFEE00D


class _Header(NamedTuple):
    """What eight bytes at the beginning of an element say; size 0: more has to be read."""

    size: int
    tag: int
    vr: str
    wanted: bool


_headers: dict[bytes, _Header] = {}
_usual: set[bytes] = set()
"""Elements from the tag to the end of the value that were found usual."""


def open_usual(data: Buffer) -> tuple[FileMeta, DataSet] | None:
    """Return file meta information and the `WANTED` elements of a file in which everything is usual, else None.

    Raises `HeaderError` where `open_part10` does.
    """
    if data[128:132] != b"DICM":
        return None
    meta = read_meta(data)
    if meta.transfer_syntax_uid in _OTHER_ENCODINGS or not looks_explicit(data, meta.data_set_offset):
        return None
    data_set = _read(data, meta.data_set_offset)
    return (meta, data_set) if data_set is not None else None


def _read(  # noqa: C901 - the hot loop: a call for each element would double its time
    data: Buffer, position: int
) -> DataSet | None:
    kept: list[Element] = []
    end = pixels_start = pixels_stop = len(data)
    headers, usual = _headers, _usual
    reader: Reader | None = None
    decoded = False
    while position + 8 <= end:
        code = data[position : position + 8]
        header = headers.get(code) or _learn(code)
        if header.size:
            after = position + header.size
            encoded = data[position:after]
            if encoded not in usual and not _is_usual(header, encoded):
                if not _is_right(header, encoded, kept, data):
                    return None
                decoded = True
            if header.wanted:
                if header.tag == SPECIFIC_CHARACTER_SET and (kept or decoded):
                    # A second one, or one that is not where it should be, changes how those before it are read.
                    return None
                kept.append(new_element(Element, (header.tag, header.vr, position + 8, after, None)))
        else:
            reader = reader or Reader(data, explicit=True, little_endian=True)
            element, after = _other(reader, code, position, end)
            if element is not None:
                if element.tag >> 16 == _PIXELS:
                    pixels_start, pixels_stop = min(pixels_start, position), after
                elif element.tag == _ITEM_END or element.tag in WANTED:
                    return None
            elif not after:
                return None
        position = after
    return DataSet(data, kept, True, True, pixels_start, pixels_stop)


def _learn(code: bytes) -> _Header:
    group, number, vr_code, length = _HEADER(code)
    vr = SHORT_VRS.get(vr_code)
    tag = group << 16 | number
    if vr is None or group == _PIXELS:
        header = _Header(0, tag, "", wanted=False)
    else:
        header = _Header(8 + length, tag, vr, wanted=tag in WANTED)
    if len(_headers) >= _MOST_REMEMBERED:
        _headers.clear()
    _headers[code] = header
    return header


def _is_usual(header: _Header, encoded: bytes) -> bool:
    if len(encoded) != header.size or not rules_v2.is_usual(header.tag, header.vr, encoded[8:]):
        return False
    _remember(encoded)
    return True


def _is_right(header: _Header, encoded: bytes, kept: list[Element], data: Buffer) -> bool:
    """Return whether a value that does not look usual violates nothing when it is decoded: a name in another script, say."""
    if len(encoded) != header.size or header.vr not in LOCALISED_VRS or header.tag == SPECIFIC_CHARACTER_SET:
        return False
    decoder = Decoder(DataSet(data, kept, True, True, 0, 0))
    return rules_v2.cause_in(header.tag, header.vr, decoder.text(header.vr, encoded[8:])) is None


def _other(reader: Reader, code: bytes, position: int, end: int) -> tuple[Element | None, int]:
    """Return an element with a long header and where the next one starts; None and that for a sequence known to be usual.

    None and 0 when it is not usual.
    """
    data = reader.data
    whole = b""
    if code[4:6] == b"SQ" and position + 12 <= end:
        size = 12 + _LENGTH(data[position + 8 : position + 12])[0]
        if size <= _LONGEST_REMEMBERED:
            whole = data[position : position + size]
            if whole in _usual:
                return None, position + size
    try:
        element, after = reader.element(position, end, True, 0)
    except Cut:
        return None, 0
    if element.tag >> 16 != _PIXELS and not rules_v2.are_usual(data, [element]):
        return None, 0
    if whole and after == position + len(whole):
        _remember(whole)
    return element, after


def _remember(encoded: bytes) -> None:
    if len(encoded) <= _LONGEST_REMEMBERED:
        if len(_usual) >= _MOST_REMEMBERED:
            _usual.clear()
        _usual.add(encoded)
