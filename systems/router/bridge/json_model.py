"""From DICOM JSON (PS3.18 annex F) to data sets, and the character set to answer in (ROUTER-066, ROUTER-193)."""

from typing import Any, Final

from pydicom import Dataset, config
from pydicom.charset import python_encoding

from systems.router.bridge.cloud import CloudGarbled

_LATIN_1: Final = "ISO_IR 100"
_UTF_8: Final = "ISO_IR 192"


def to_dataset(json: object) -> Dataset:
    """Read a match.

    Raises:
        CloudGarbled: when it is not the DICOM JSON model.

    """
    if not isinstance(json, dict):
        message = "a match is not a JSON object"
        raise CloudGarbled(message)
    # Validation would only warn, quoting the value, and values are patient data.
    with config.disable_value_validation():
        try:
            return Dataset.from_json(json)
        except Exception as error:
            # pydicom lets through whatever its converters raise on a malformed value.
            message = f"a match is not readable as DICOM JSON ({type(error).__name__})"
            raise CloudGarbled(message) from error


def character_set_for(dataset: Dataset, asked: str) -> str:
    """A Specific Character Set that can hold every text of `dataset`: the requester's own if possible, else a wider one."""
    text = "".join(_texts(dataset))
    for candidate in (asked, _LATIN_1):
        if candidate and candidate in python_encoding and _holds(python_encoding[candidate], text):
            return candidate
    return _UTF_8


def _holds(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _texts(dataset: Dataset) -> list[str]:
    found: list[str] = []
    for element in dataset.iterall():
        value: Any = element.value
        if element.VR in {"PN", "LO", "SH", "LT", "ST", "UC", "UT"} and value is not None:
            found.append(str(value))
    return found
