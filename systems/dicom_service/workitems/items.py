"""DICOM JSON objects as clients send them: read, checked for their form and asked for values (PS3.18 annex F)."""

import re
from typing import Any

import orjson

from systems.dicom_service.web.problems import BadRequest, TooLarge
from systems.dicom_service.web.request import Request

Item = dict[str, Any]

LARGEST_BODY = 30_000_000
"""Bytes; what the original's web server takes for a body that is no instance."""
_DEEPEST = 32
_KEY = re.compile(r"[0-9A-Fa-f]{8}")
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_TEXTS = frozenset(
    "AE AS AT CS DA DT LO LT PN SH ST TM UC UI UR UT".split(),  # noqa: SIM905 - reads better
)
_VRS = _NUMBERS | _BINARY | _TEXTS | {"SQ"}
_NAME_GROUPS = frozenset({"Alphabetic", "Ideographic", "Phonetic"})


async def read_item(request: Request) -> Item:
    """Return the first object of the array in a request's body, its keys in upper case.

    Raises `BadRequest` for anything that is no array of DICOM JSON objects (UPS-001), `TooLarge` for a giant one.
    """
    pieces, size, more = [], 0, True
    while more:
        piece, more = await request.body_part()
        size += len(piece)
        if size > LARGEST_BODY:
            raise TooLarge(f"The request body exceeds the limit of {LARGEST_BODY} bytes.")
        pieces.append(piece)
    try:
        value = orjson.loads(b"".join(pieces))
    except orjson.JSONDecodeError as error:
        raise BadRequest("The request body is not valid JSON.") from error
    if not isinstance(value, list) or not value:
        raise BadRequest("The request body must be a JSON array with one DICOM JSON object.")
    return _item(value[0], 0)


def _item(value: Any, depth: int) -> Item:
    if not isinstance(value, dict):
        raise BadRequest("The request body is not DICOM JSON: a data set must be an object.")
    if depth > _DEEPEST:
        raise BadRequest(f"The request body is not DICOM JSON: sequences nest deeper than {_DEEPEST} levels.")
    result: Item = {}
    for key, entry in value.items():
        if not _KEY.fullmatch(key):
            raise BadRequest(
                "The request body is not DICOM JSON: a key must be a tag of eight hexadecimal digits."
            )
        if key.upper() in result:
            raise BadRequest(f"The request body is not DICOM JSON: the tag {key.upper()} is there twice.")
        result[key.upper()] = _entry(key.upper(), entry, depth)
    return dict(sorted(result.items()))


def _entry(key: str, entry: Any, depth: int) -> Item:
    vr = entry.get("vr") if isinstance(entry, dict) else None
    if vr not in _VRS:
        raise BadRequest(f"The request body is not DICOM JSON: the element {key} has no valid vr.")
    if vr in _BINARY:
        return {name: entry[name] for name in ("vr", "InlineBinary", "BulkDataURI") if name in entry}
    values = entry.get("Value", [])
    if values is None:
        values = []
    if not isinstance(values, list):
        raise BadRequest(f"The request body is not DICOM JSON: the Value of {key} is no array.")
    if vr == "SQ":
        values = [_item({} if value is None else value, depth + 1) for value in values]
    elif not all(_fits(vr, value) for value in values):
        raise BadRequest(f"The request body is not DICOM JSON: a value of {key} does not suit the vr {vr}.")
    return element(vr, *values)


def _fits(vr: str, value: Any) -> bool:
    """Return whether a value has the JSON type of its VR; its content is not looked at (UPS-078)."""
    if value is None:
        return True
    if vr == "PN":
        return isinstance(value, dict) and all(
            name in _NAME_GROUPS and (group is None or isinstance(group, str))
            for name, group in value.items()
        )
    if vr in _NUMBERS:
        return isinstance(value, str | int | float) and not isinstance(value, bool)
    return isinstance(value, str)


def element(vr: str, *values: Any) -> Item:
    """Return an element; one without values is empty."""
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def is_empty(entry: Item) -> bool:
    """Return whether an element has no value: none at all, or a single blank one."""
    if entry["vr"] in _BINARY:
        return not entry.get("InlineBinary") and "BulkDataURI" not in entry
    values = entry.get("Value", [])
    if entry["vr"] == "SQ":
        return not values
    return not values or (len(values) == 1 and _blank(values[0]))


def _blank(value: Any) -> bool:
    if isinstance(value, dict):
        return not any(value.values())
    return value is None or value == ""


def text(item: Item, key: str) -> str:
    """Return the first value of an element as text, empty when there is none; name groups are joined by =."""
    values = item.get(key, {}).get("Value", [])
    value = values[0] if values else None
    if isinstance(value, dict):
        groups = [value.get(name) or "" for name in ("Alphabetic", "Ideographic", "Phonetic")]
        return "=".join(groups).rstrip("=")
    return "" if value is None else str(value)


def members(item: Item, key: str) -> list[Item]:
    """Return the items of a sequence, none when it is absent or no sequence."""
    entry = item.get(key, {})
    values: list[Item] = entry.get("Value", []) if entry.get("vr") == "SQ" else []
    return values
