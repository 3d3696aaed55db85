"""The ASGI application of the viewer: files only. It has no way to the DICOM service and holds no secret."""

import json
import mimetypes
import re
from importlib.resources import files as resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from systems.viewer import policy
from systems.viewer.settings import Settings

# The bundler names these by their content, so that they may be kept for ever.
_NAMED_BY_CONTENT = re.compile(r"(^|\.)[0-9a-f]{16}\.(js|wasm|woff2)$")
_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_NEVER = "no-store"
"""For pages: one that the browser may keep comes back with its studies when Back is pressed after the sign-out."""
_SIGNED_OUT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Signed out</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px system-ui;max-width:22rem;margin:4rem auto;padding:0 1rem}</style></head>
<body><h1>Signed out</h1><p>The viewer holds no token any more.</p><p><a href="/">Sign in again</a></p></body></html>
"""


def create_app(settings: Settings) -> Starlette:
    """Return the application that serves a prepared viewer with these settings."""
    return Starlette(routes=_Site(settings).routes())


class _Site:
    def __init__(self, settings: Settings) -> None:
        self._folder = settings.files.resolve()
        page = (self._folder / "index.html").read_text(encoding="utf-8")
        self._headers = policy.headers(page, settings.origins())
        script = resources("systems.viewer").joinpath("app-config.js").read_text(encoding="utf-8")
        self._worker = resources("systems.viewer").joinpath("no-store.js").read_text(encoding="utf-8")
        self._configuration = f"window.cloudViewer = {json.dumps(settings.for_page())};\n{script}"

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health),
            Route("/app-config.js", self.configuration),
            Route("/no-store.js", self.worker),
            Route("/init-service-worker.js", self.nothing),
            Route("/signed-out", self.signed_out),
            Route("/{path:path}", self.file),
        ]

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def configuration(self, _: Request) -> Response:
        return self._script(self._configuration)

    async def worker(self, _: Request) -> Response:
        return self._script(self._worker)

    async def nothing(self, _: Request) -> Response:
        """OHIF's page asks for this script, which would take every worker away again."""
        return self._script("")

    def _script(self, text: str) -> Response:
        headers = self._headers | {"Cache-Control": _ASK_AGAIN}
        return Response(text, media_type="text/javascript", headers=headers)

    async def signed_out(self, _: Request) -> Response:
        # The browser forgets what the page kept, whatever state the page was left in (W3C Clear Site Data).
        cleared = {"Cache-Control": _NEVER, "Clear-Site-Data": '"storage"'}
        return HTMLResponse(_SIGNED_OUT, headers=self._headers | cleared)

    async def file(self, request: Request) -> Response:
        """Answer with a file; every path that is none is a place within the page."""
        path = self._find(request.path_params["path"])
        if path is None:
            return PlainTextResponse("there is no such file\n", 404, headers=self._headers)
        kept = _FOR_EVER if _NAMED_BY_CONTENT.search(path.name) else _ASK_AGAIN
        kept = _NEVER if path.suffix == ".html" else kept
        headers = self._headers | {"Cache-Control": kept, "Vary": "Accept-Encoding"}
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        packed = path.with_name(f"{path.name}.gz")
        if "gzip" in Headers(scope=request.scope).get("accept-encoding", "") and packed.is_file():
            return FileResponse(packed, media_type=media_type, headers=headers | {"Content-Encoding": "gzip"})
        return FileResponse(path, media_type=media_type, headers=headers)

    def _find(self, name: str) -> Path | None:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder):
            return None
        if path.is_file():
            return path
        return None if "." in name.rpartition("/")[2] else self._folder / "index.html"
