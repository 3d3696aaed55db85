"""Reading `application/x-www-form-urlencoded` requests, each field once (RFC 6749 section 3.2)."""

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request

from systems.identity import errors

_LARGEST = 65_536


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of the body. Raises `EntraError`."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise errors.malformed("its Content-Type must be application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            raise errors.malformed(f"it is longer than {_LARGEST} bytes")
    return once(bytes(body))


def once(encoded: bytes) -> dict[str, str]:
    """Return url-encoded fields as a map. Raises `EntraError` for a field that occurs twice."""
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"), keep_blank_values=True, max_num_fields=100, errors="strict"
        )
    except ValueError as error:
        raise errors.malformed("its fields are not url-encoded") from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise errors.repeated_parameter(name)
        fields[name] = value
    return fields


def basic_credentials(request: Request) -> dict[str, str]:
    """Return client id and secret of a Basic Authorization header (RFC 6749 section 2.3.1), or nothing."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        user, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise errors.malformed("its Basic credentials are not base64") from error
    if not colon:
        raise errors.malformed("its Basic credentials have no colon")
    return {"client_id": unquote_plus(user), "client_secret": unquote_plus(secret)}
