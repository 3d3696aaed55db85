"""Store requests as tests write them by hand, and the items of the answers."""

from collections.abc import Iterable, Sequence
from typing import Any

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import AS_STORED, DICOM_JSON, DicomWeb
from fixtures.clients.multipart import read
from fixtures.clients.store_response import StoreResponse, parse_store_response
from suites.azure.data import Made

DICOM = "application/dicom"
BOUNDARY = "frontier"
RELATED = f'multipart/related; type="{DICOM}"; boundary={BOUNDARY}'

VALIDATION_FAILURE = 43264
DUPLICATE = 45070
PENDING = 45071
IMPLICIT_VR = 45063
WARNED = 1


def post(
    web: DicomWeb,
    body: bytes,
    content_type: str | None = DICOM,
    *,
    accept: str | None = DICOM_JSON,
    study: str | None = None,
    method: str = "POST",
    headers: Iterable[tuple[str, str]] = (),
) -> Response:
    """A store request whose headers are only these; None leaves one out."""
    sent = [*headers]
    sent += [("Accept", accept)] if accept is not None else []
    sent += [("Content-Type", content_type)] if content_type is not None else []
    path = "/studies" + (f"/{study}" if study is not None else "")
    return web.request(method, path, headers=sent, body=body)


def stored(web: DicomWeb, *made: Made, study: str | None = None) -> StoreResponse:
    """Store instances in one request, as the standard has it: what else Microsoft takes is STOW-010's to judge."""
    return web.store([one.part10 for one in made], study=study)


def kept(web: DicomWeb, made: Made) -> bytes | None:
    """The file as the service has it, or None when it answers 404. Asked for in parts, as every server gives it."""
    answer = web.get(made.path(), accept=AS_STORED)
    assert answer.status in (200, 404), f"{made.path()}: {answer.describe()}"
    if answer.status == 404:
        return None
    found = [part.body for part in read(answer.content_type, [answer.body])]
    assert len(found) == 1, f"{made.path()}: {len(found)} parts"
    return found[0]


def metadata(web: DicomWeb, made: Made) -> dict[str, Any]:
    """The metadata of one instance."""
    answer = web.metadata(*made.uids)
    assert answer.status == 200, f"metadata of {made.path()}: {answer.describe()}"
    found: dict[str, Any] = answer.json()[0]
    return found


def items(answer: StoreResponse | Response, sequence: str) -> list[dict[str, Any]]:
    """The items of the response's `00081199` (stored) or `00081198` (failed)."""
    response = answer.response if isinstance(answer, StoreResponse) else answer
    found: list[dict[str, Any]] = response.json().get(sequence, {}).get("Value", [])
    return found


def all_items(answer: StoreResponse | Response) -> list[dict[str, Any]]:
    """The stored and failed items."""
    return items(answer, "00081199") + items(answer, "00081198")


def reasons(answer: StoreResponse | Response) -> list[str]:
    """The validation reasons (00741048, 00000902) of all items."""
    return [
        entry["00000902"]["Value"][0]
        for item in all_items(answer)
        for entry in item.get("00741048", {}).get("Value", [])
    ]


def outcome(answer: StoreResponse) -> tuple[int, list[int | None], list[int]]:
    """Status, failure reasons and warning reasons: what a test of one instance compares."""
    return answer.status, list(answer.failed.values()), list(answer.warnings.values())


def refused(answer: Response) -> tuple[int, list[int]]:
    """Status and all failure reasons, also of items without UIDs."""
    found = items(answer, "00081198")
    return answer.status, [item["00081197"]["Value"][0] for item in found]


def part(content: bytes, *headers: str) -> bytes:
    """One part with these header lines, after its delimiter."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"--{BOUNDARY}\r\n{lines}\r\n".encode() + content + b"\r\n"


def dicom_part(content: bytes) -> bytes:
    """One part as the standard has it."""
    return part(content, f"Content-Type: {DICOM}")


def body(parts: Sequence[bytes]) -> bytes:
    """A whole multipart body."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def as_store(response: Response) -> StoreResponse:
    """A hand-made request's answer, parsed."""
    return parse_store_response(response)
