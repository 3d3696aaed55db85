"""The built-in storage account over HTTP: as much of Azure's Blob service as makes a container and reads an export.

Unlike Azure's emulators it wants the service's own bearer tokens, because what it holds are patients' images.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from xml.sax.saxutils import escape

from systems.dicom_service.export.containers import ACCOUNT, Containers
from systems.dicom_service.security.roles import Action
from systems.dicom_service.services.context import Context
from systems.dicom_service.web.problems import Problem
from systems.dicom_service.web.replies import Answer, Reply, Streamed
from systems.dicom_service.web.request import Request
from systems.dicom_service.web.routing import Route

ACTION = "storage-account"
_CHUNK = 1 << 20
_NEEDS = {"GET": Action.READ, "PUT": Action.EXPORT, "DELETE": Action.EXPORT}


def route(method: str, path: str) -> Route | None:
    """Return the route of a request to the account, None for other paths and methods."""
    first, _, rest = path.removeprefix("/").partition("/")
    if first != ACCOUNT or method not in _NEEDS:
        return None
    container, _, blob = rest.partition("/")
    return Route(ACTION, 0, first, {"container": container, "blob": blob}, ACCOUNT)


async def storage_account(request: Request, context: Context) -> Answer:
    """Answer a request for a container (`restype=container`) or for a blob."""
    if not context.settings.export:
        raise Problem(status=404)
    request.require(_NEEDS[request.method])
    containers = Containers(context.settings.data)
    names = request.route.variables
    if request.control("restype") == "container" and not names["blob"]:
        return _container(request, containers, names["container"])
    if request.method != "GET":
        raise Problem(status=405, headers=[("Allow", "GET")])
    found = containers.blob(names["container"], names["blob"])
    if found is None:
        raise Problem(status=404)
    return Streamed(_pieces(found), found.stat().st_size, "application/octet-stream")


def _container(request: Request, containers: Containers, name: str) -> Answer:
    if request.method == "PUT":
        return Reply(201 if containers.create(name) else 409)
    if request.method == "DELETE":
        return Reply(202 if containers.delete(name) else 404)
    if not containers.exists(name):
        raise Problem(status=404)
    if request.control("comp") != "list":
        return Reply(200)
    blobs = "".join(f"<Blob><Name>{escape(blob)}</Name></Blob>" for blob in containers.blobs(name))
    document = f'<EnumerationResults ContainerName="{name}"><Blobs>{blobs}</Blobs></EnumerationResults>'
    return Reply(200, document.encode(), "application/xml")


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
