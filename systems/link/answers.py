"""Answers the link gives in the target's place."""

from http import HTTPStatus

from systems.link.messages import Head, made_head
from systems.link.rules import Action
from systems.link.stored import StoredInstance, store_success


def own_answer(
    request: Head, action: Action, instances: list[StoredInstance], scheme: str
) -> tuple[Head, bytes]:
    """Return head and body of the answer a `respond` or `pretend_stored` action gives to `request`.

    `instances` are those the request stores; `scheme` is the one the client used.
    """
    fields, body, status = list(action.headers), action.body, action.status
    if action.kind == "pretend_stored":
        status, body = (200, store_success(request, instances, scheme)) if instances else (204, b"")
        fields = [(b"Content-Type", b"application/dicom+json")] if body else []
    named = {name.lower() for name, _ in fields}
    if status in {204, 304}:
        body = b""
    elif not named & {b"content-length", b"transfer-encoding"}:
        fields.append((b"Content-Length", b"%d" % len(body)))
    if request.closes:
        fields.append((b"Connection", b"close"))
    head = made_head(f"HTTP/1.1 {status} {_reason(status)}".encode("ascii"), fields)
    return head, b"" if request.method == "HEAD" else body


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unassigned"
