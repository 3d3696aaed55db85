"""What an update asks for: the studies and the new values, checked (UPD-004 to UPD-011)."""

import re
from dataclasses import dataclass
from typing import Any

from systems.dicom_service.dicom import dictionary, rules_v2
from systems.dicom_service.dicom.attributes import shown
from systems.dicom_service.dicom.uids import is_uid
from systems.dicom_service.update.attributes import UPDATABLE
from systems.dicom_service.web.json_body import member
from systems.dicom_service.web.problems import BadRequest

MOST_STUDIES = 50
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_VR = re.compile(r"[A-Z]{2}")

Changes = dict[int, list[str]]
"""New values by tag, as the text of one value each; an empty list empties the attribute."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request; `refused` has the reason for each attribute that cannot be changed so."""

    studies: list[str]
    changes: Changes
    refused: list[str]


def asked(body: Any) -> Asked:
    """Return what the body asks for; raises the 400s of UPD-004 to UPD-007."""
    if not isinstance(body, dict):
        raise BadRequest("The field '$' in request body is invalid: an object is expected.")
    studies = _studies(member(body, "studyInstanceUids")[1])
    data_set = member(body, "changeDataset")[1]
    if data_set is None:
        raise BadRequest("The field 'ChangeDataset' in request body is invalid: it must be specified.")
    if not isinstance(data_set, dict):
        raise _broken("an object is expected")
    changes: Changes = {}
    refused = []
    for key, entry in data_set.items():
        tag, values = _element(key, entry)
        reason = _reason(tag, str(member(entry, "vr")[1]), values)
        if reason is None:
            changes[tag] = values or []
        else:
            refused.append(f"DICOM100: {shown(tag)} - {reason}")
    return Asked(studies, changes, refused)


def _studies(given: Any) -> list[str]:
    if given is None or given == []:
        raise BadRequest("The field 'StudyInstanceUids' in request body is invalid: at least one is needed.")
    if not isinstance(given, list):
        raise BadRequest("The field 'StudyInstanceUids' in request body is invalid: an array is expected.")
    if len(given) > MOST_STUDIES:
        raise BadRequest(
            f"The field 'StudyInstanceUids' in request body is invalid: the count of {len(given)} studies exceeds "
            f"{MOST_STUDIES}."
        )
    for uid in given:
        if not isinstance(uid, str) or not is_uid(uid.rstrip(" \0")):
            raise BadRequest(
                f"The field 'StudyInstanceUids' in request body is invalid: '{str(uid)[:64]}' is not a UID."
            )
    return [uid.rstrip(" \0") for uid in given]


def _broken(cause: str) -> BadRequest:
    return BadRequest(f"The field 'ChangeDataset' in request body is invalid: {cause} in DICOM JSON.")


def _element(key: str, entry: Any) -> tuple[int, list[str] | None]:
    """Return tag and values of an element, None for values that only attributes have which cannot be changed."""
    tag = int(key, 16) if _HEX.fullmatch(key) else dictionary.tag_of(key)
    if tag is None:
        raise _broken(f"'{key[:64]}' is no tag")
    if not isinstance(entry, dict) or not isinstance(entry.get("vr"), str) or not _VR.fullmatch(entry["vr"]):
        raise _broken(f"the element '{key}' needs a vr")
    values = entry.get("Value", [])
    if not isinstance(values, list):
        raise _broken(f"the Value of '{key}' has to be an array")
    if tag not in UPDATABLE:
        return tag, None
    return tag, [_text(key, entry["vr"], value) for value in values]


def _text(key: str, vr: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str) and vr != "PN":
        return value
    if vr in ("DS", "IS") and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if vr == "PN" and isinstance(value, dict):
        groups = [value.get(name) or "" for name in _NAME_GROUPS]
        if all(isinstance(group, str) for group in groups):
            return "=".join(groups).rstrip("=")
    raise _broken(f"a value of '{key}' does not suit VR {vr}")


def _reason(tag: int, vr: str, values: list[str] | None) -> str | None:
    """Return why an attribute cannot be changed so, None when it can (UPD-010, UPD-011)."""
    if values is None:
        return "Updating the tag is not supported"
    expected = dictionary.vr(tag)
    if vr != expected:
        return f"The element has VR '{vr}' but '{expected}' is expected."
    return rules_v2.cause_in(tag, expected, "\\".join(values)) if any(values) else None
