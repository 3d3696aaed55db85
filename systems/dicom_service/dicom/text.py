"""Text values: character sets, padding and splitting (PS3.5 chapter 6, PS3.3 section C.12.1.1.2).

pydicom knows the character sets. It takes long to import, so it is imported when the first text needs it; the service
does that right after its start.
"""

from collections.abc import Sequence
from functools import lru_cache

from systems.dicom_service.dicom.elements import DataSet
from systems.dicom_service.late_imports import ONE_AT_A_TIME

SPECIFIC_CHARACTER_SET = 0x00080005

LOCALISED_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""VRs whose repertoire depends on the Specific Character Set."""
ASCII_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
TEXT_VRS = LOCALISED_VRS | ASCII_VRS
SINGLE_TEXT_VRS = frozenset({"LT", "ST", "UR", "UT"})
"""Text VRs in which a backslash is an ordinary character."""

_DEFAULT = ("iso8859",)


# The sets without code extensions that nearly all files use.
_PLAIN = {b"": "latin-1", b"ISO_IR 6": "latin-1", b"ISO_IR 100": "latin-1", b"ISO_IR 192": "utf-8"}


@lru_cache(maxsize=64)
def _encodings(character_set: bytes) -> tuple[str, ...]:
    with ONE_AT_A_TIME:
        from pydicom.charset import convert_encodings  # noqa: PLC0415 - see the module's docstring

    names = [name.strip(b" \0").decode("ascii", "replace") for name in character_set.split(b"\\")]
    try:
        return tuple(convert_encodings(names))
    except (LookupError, ValueError):
        # ValueError: a name with a null inside.
        return _DEFAULT


class Decoder:
    """Decodes the text of one data set by its Specific Character Set (0008,0005)."""

    __slots__ = ("_character_set",)

    def __init__(self, data_set: DataSet) -> None:
        element = data_set.by_tag.get(SPECIFIC_CHARACTER_SET)
        self._character_set = data_set.value(element).strip(b" \0") if element is not None else b""

    def text(self, vr: str, value: bytes) -> str:
        """Return `value` as text; bytes outside the character set become replacement characters."""
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        if vr not in LOCALISED_VRS:
            return value.decode("iso8859")
        plain = _PLAIN.get(self._character_set)
        if plain is not None and b"\x1b" not in value:
            return value.decode(plain, "replace")
        return _decoded(vr, value, _encodings(self._character_set))


def _decoded(vr: str, value: bytes, encodings: Sequence[str]) -> str:
    with ONE_AT_A_TIME:
        from pydicom.charset import decode_bytes  # noqa: PLC0415 - see the module's docstring
        from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS  # noqa: PLC0415

    return decode_bytes(value, encodings, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)


def unpadded(text: str) -> str:
    """Return `text` without the padding that PS3.5 section 6.2 calls insignificant: trailing spaces and nulls."""
    return text.rstrip(" \0")
