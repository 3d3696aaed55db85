"""Frames found by position: uncompressed ones, and compressed ones with one fragment each, without reading the rest."""

from collections.abc import Sequence
from struct import Struct

from systems.dicom_service.dicom.elements import Buffer, DataSet, Element, describe_part10
from systems.dicom_service.imaging.errors import NoPixelData, NoSuchFrame
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import DEFLATED_EXPLICIT_VR_LE, read_file_meta

_PIXEL_DATA = 0x7FE00010
_ITEM = Struct("<HHL").unpack_from


def native_frames(file: Buffer, pixels_start: int, numbers: Sequence[int]) -> list[bytes] | None:
    """Return frames (from 1) as they are stored, cut out of a file whose pixel data element starts at `pixels_start`.

    None when the frames have no simple layout and the whole file must be parsed. Raises `NoPixelData` and
    `NoSuchFrame`.
    """
    try:
        if read_file_meta(file[:4096]).transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LE:
            return None
        head = describe_part10(file[:pixels_start])
    except HeaderError:
        return None
    size, count = _frame_size(head), _count(head)
    if size is None or pixels_start + 12 > len(file):
        raise NoPixelData("the instance has no pixel data")
    if max(numbers) > count:
        raise NoSuchFrame(f"the instance has {count} frames")
    start, length = _pixel_value(file, pixels_start, head)
    if length == 0xFFFFFFFF:
        return _fragments(file, start, count, numbers)
    if size % 8 or start + length > len(file) or count * size // 8 > length:
        return None
    step = size // 8
    return [file[start + (number - 1) * step : start + number * step] for number in numbers]


def _pixel_value(file: Buffer, position: int, head: DataSet) -> tuple[int, int]:
    """Return where the pixel data's value starts and its length as written."""
    order = "<" if head.little_endian else ">"
    if head.explicit:
        return position + 12, Struct(order + "L").unpack(file[position + 8 : position + 12])[0]
    return position + 8, Struct(order + "L").unpack(file[position + 4 : position + 8])[0]


def _fragments(file: Buffer, position: int, count: int, numbers: Sequence[int]) -> list[bytes] | None:
    places: list[tuple[int, int]] = []
    while position + 8 <= len(file) and len(places) <= count + 1:
        group, element, length = _ITEM(file[position : position + 8])
        if (group, element) != (0xFFFE, 0xE000) or position + 8 + length > len(file):
            break
        places.append((position + 8, position + 8 + length))
        position += 8 + length
    # The first item is the offset table.
    if len(places) != count + 1:
        return None
    return [file[slice(*places[number])] for number in numbers]


def _number(data_set: DataSet, tag: int) -> int | None:
    element: Element | None = data_set.by_tag.get(tag)
    if element is None or element.stop - element.start < 2:
        return None
    order = "little" if data_set.little_endian else "big"
    return int.from_bytes(data_set.value(element)[:2], order)  # type: ignore[arg-type]


def _frame_size(head: DataSet) -> int | None:
    """Return the bits of one uncompressed frame, None when the image is not described."""
    rows, columns, allocated = _number(head, 0x00280010), _number(head, 0x00280011), _number(head, 0x00280100)
    if rows is None or columns is None or allocated is None:
        return None
    return rows * columns * allocated * (_number(head, 0x00280002) or 1)


def _count(head: DataSet) -> int:
    element = head.by_tag.get(0x00280008)
    text = head.value(element).strip(b" \0") if element is not None else b""
    return max(1, int(text)) if text.isdigit() else 1
