"""The data dictionary (PS3.6): VR, multiplicity, name and keyword of standard tags.

The tables are pydicom's. Importing pydicom takes most of a second, because it looks for every codec there is; its tables
alone take a few milliseconds, so that is what is loaded, and the service answers soon after its start.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from types import ModuleType

Entry = tuple[str, str, str, str, str]
"""VR, value multiplicity, name, "Retired" or empty, keyword."""


def _tables() -> ModuleType:
    package = importlib.util.find_spec("pydicom")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("pydicom is not installed")
    file = Path(package.submodule_search_locations[0]) / "_dicom_dict.py"
    spec = importlib.util.spec_from_file_location("systems.dicom_service.dicom._pydicom_tables", file)
    if spec is None or spec.loader is None or not file.is_file():
        return importlib.import_module("pydicom._dicom_dict")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_TABLES = _tables()
_STANDARD: dict[int, Entry] = _TABLES.DicomDictionary
_REPEATERS: dict[str, Entry] = _TABLES.RepeatersDictionary
_TAGS: dict[str, int] = {entry[4]: tag for tag, entry in _STANDARD.items() if entry[4]}
_PATTERNS = [
    (int("".join("0" if digit == "x" else "F" for digit in key), 16), int(key.replace("x", "0"), 16), entry)
    for key, entry in _REPEATERS.items()
]


@lru_cache(maxsize=16384)
def entry(tag: int) -> Entry | None:
    """Return the dictionary entry of a tag, repeating groups included; None for private and unknown tags."""
    found = _STANDARD.get(tag)
    if found is not None or (tag >> 16) & 1:
        return found
    return next((entry for mask, value, entry in _PATTERNS if tag & mask == value), None)


@lru_cache(maxsize=16384)
def vr(tag: int) -> str:
    """Return the VR of a tag, UN when it has none in the dictionary; "US or SS" and the like stay as they are."""
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return "UL"
    if group & 1 and 0x10 <= element <= 0xFF:
        return "LO"
    found = entry(tag)
    return found[0] if found is not None else "UN"


def keyword(tag: int) -> str:
    """Return the keyword of a tag, empty when it has none."""
    found = entry(tag)
    return found[4] if found is not None else ""


def name(tag: int) -> str:
    """Return the name of a tag, empty when it has none."""
    found = entry(tag)
    return found[2] if found is not None else ""


def tag_of(word: str) -> int | None:
    """Return the tag of a keyword, None when no tag has it; letter case counts."""
    return _TAGS.get(word)


@lru_cache(maxsize=16384)
def multiplicity(tag: int) -> tuple[int, int | None, str] | None:
    """Return least, most (None: no bound) and the text of a standard tag's value multiplicity, None for others."""
    found = entry(tag)
    if found is None:
        return None
    text = found[1]
    low, _, high = text.partition("-")
    if not high:
        return int(low), int(low), text
    return int(low), None if high.endswith("n") else int(high), text
