"""UIDs in paths and instances (STOW-071, WADO-036, LIM-008)."""

import re

from systems.dicom_service.web.problems import BadRequest

_UID = re.compile(r"[0-9.]{0,63}[0-9]")


def is_uid(value: str) -> bool:
    """Return whether the value is taken for a UID: digits and dots, at most 64, ending in a digit.

    Leading zeros and empty components pass: the original server lets them through.
    """
    return _UID.fullmatch(value) is not None


def path_uid(value: str, name: str) -> str:
    """Return a UID of the path without trailing spaces; `name` is as messages spell it (ERR-013).

    Raises `BadRequest` when it is no UID.
    """
    trimmed = value.rstrip(" ")
    if not is_uid(trimmed):
        shown = value[:64]
        raise BadRequest(
            f"Dicom element '{name}' failed validation for VR 'UI': the value '{shown}' is not a UID; "
            "a UID has digits and dots only, ends in a digit and is at most 64 characters long."
        )
    return trimmed
