"""JSON request bodies as the original reads them: comments and trailing commas pass, letter case does not count (API-007)."""

import re
from typing import Any

import orjson

from systems.dicom_service.web.problems import BadRequest, Problem, TooLarge
from systems.dicom_service.web.request import Request

_LARGEST_BODY = 4 << 20
_STRUCTURED = re.compile(r"application/(?:json|[^;\s]+\+json)", re.IGNORECASE)
_STRING = rb'"(?:[^"\\]|\\.)*"'
_COMMENT = re.compile(_STRING + rb"|/\*.*?\*/|//[^\r\n]*", re.DOTALL)
# A comma after an opening bracket or another comma is taken whole, so that it stays and the body stays broken.
_COMMA = re.compile(_STRING + rb"|[\[{,]\s*,|,(?=\s*[\]}])", re.DOTALL)


def require_json_type(request: Request, *, text_json: bool = False) -> None:
    """Raise an empty 415 unless the body is JSON by its Content-Type (TAG-009, TAG-068, EXP-021)."""
    media_type = (request.header("content-type") or "").partition(";")[0].strip()
    if _STRUCTURED.fullmatch(media_type) or (text_json and media_type.lower() == "text/json"):
        return
    raise Problem(status=415)


async def read_body(request: Request) -> bytes:
    """Return the whole body; raises a 413 beyond 4 MiB."""
    pieces, size, more = [], 0, True
    while more:
        piece, more = await request.body_part()
        size += len(piece)
        if size > _LARGEST_BODY:
            raise TooLarge(f"The request body exceeds the limit of {_LARGEST_BODY} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


async def read_json(request: Request) -> Any:
    """Return the value of a JSON body; raises the 400 of an empty or broken one."""
    body = (await read_body(request)).removeprefix(b"\xef\xbb\xbf")
    if not body.strip():
        raise BadRequest("The request body is invalid: it is empty, JSON is expected.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(_COMMA.sub(_without_comma, _COMMENT.sub(_without_comment, body)))
    except orjson.JSONDecodeError as error:
        raise BadRequest(
            f"The field '$' in request body is invalid: JSON cannot be read from line {error.lineno}, column {error.colno} on."
        ) from None


def _without_comment(match: re.Match[bytes]) -> bytes:
    text = match.group()
    return text if text.startswith(b'"') else b" "


def _without_comma(match: re.Match[bytes]) -> bytes:
    text = match.group()
    return b"" if text == b"," else text


def member(value: dict[str, Any], name: str) -> tuple[str, Any]:
    """Return a member as the client spelled it and its value, whatever its letter case; (`name`, None) when absent."""
    found: tuple[str, Any] = (name, None)
    for key, given in value.items():
        if key.lower() == name.lower():
            found = (key, given)
    return found
