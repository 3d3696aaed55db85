"""Words of big endian data sets, which pydicom reads and writes as they are (PS3.5 section 7.3)."""

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_PIXEL_DATA = 0x7FE00010


def to_little_endian(dataset: Dataset) -> None:
    """Swap the bytes of every word in the elements of `_WORDS`, also within sequences, in place."""
    bits = int(dataset.get("BitsAllocated") or 0)
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                to_little_endian(item)
        elif isinstance(element.value, bytes):
            size = _word(element, bits)
            if size > 1:
                element.value = _swapped(element.value, size)


def _word(element: DataElement, bits: int) -> int:
    """Return the bytes of one word; pixel cells of more than 16 bits are words of their own."""
    if element.tag == _PIXEL_DATA and bits > 16:
        return bits // 8
    return _WORDS.get(element.VR, 1)


def _swapped(value: bytes, size: int) -> bytes:
    swapped = bytearray(value)
    whole = len(value) - len(value) % size
    for byte in range(size):
        swapped[byte:whole:size] = value[size - 1 - byte : whole : size]
    return bytes(swapped)
