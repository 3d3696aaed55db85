"""How answers name an operation (OPS-003, OPS-004), and whether one may be started."""

from systems.dicom_service.settings import Settings
from systems.dicom_service.web.problems import BadRequest
from systems.dicom_service.web.request import Request


def href(request: Request, identifier: str) -> str:
    """Return the absolute URL of an operation, in the host and version of the reading request (OPS-018)."""
    # Operations lie at the base URI, whatever partition they were started in (OPS-020).
    return f"{request.scheme}://{request.host}/{request.route.version_segment}/operations/{identifier}"


def reference(request: Request, identifier: str) -> dict[str, str]:
    """Return the reference object of an operation."""
    return {"id": identifier, "href": href(request, identifier)}


def require_operations(settings: Settings) -> None:
    """Raise the 400 of a service that starts no operations (TAG-067, UPD-031)."""
    if not settings.operations:
        raise BadRequest("Asynchronous operations are temporarily disabled.")
