"""The paging of lists: limit and offset (TAG-039, TAG-047, API-006)."""

import re

from systems.dicom_service.web.problems import bad_parameter
from systems.dicom_service.web.request import Request

_LARGEST_LIMIT = 200
_DEFAULT_LIMIT = 100


def page(request: Request) -> tuple[int, int]:
    """Return limit and offset; raises the 400 of a value that is no number or out of range."""
    limit = _number(request, "Limit", _DEFAULT_LIMIT, 1, _LARGEST_LIMIT)
    return limit, _number(request, "Offset", 0, 0, 2**63 - 1)


def _number(request: Request, name: str, default: int, least: int, most: int) -> int:
    text = request.control(name)
    if text is None:
        return default
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", text):
        raise bad_parameter(name, f"The value '{text[:64]}' is not a number.")
    if not least <= int(text) <= most:
        raise bad_parameter(name, f"The value must be between {least} and {most}.")
    return int(text)
