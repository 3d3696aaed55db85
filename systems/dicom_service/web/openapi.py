"""The OpenAPI document, made from the routes (VER-010, API-009, API-010)."""

import re
from typing import Any

from systems.dicom_service.web.routing import paths

_DOCUMENTS = {"v1-prerelease": "v1.0-prerelease", "v1": "v1", "v2": "v2"}
_PATH = re.compile(r"/([^/]+)/api\.(json|yaml)", re.IGNORECASE)


def document_for(path: str) -> dict[str, Any] | None:
    """Return the document at `path`, None when there is none. JSON is YAML too, so both names give the same text."""
    match = _PATH.fullmatch(path)
    prefix = _DOCUMENTS.get(match.group(1).lower()) if match else None
    if prefix is None:
        return None
    return {
        "openapi": "3.0.1",
        "info": {"title": "DICOM service", "version": prefix},
        "paths": {
            f"/{prefix}/{path}": _item(path, methods)
            for path, methods in paths().items()
            # The prerelease version has no export (EXP-003).
            if prefix != "v1.0-prerelease" or path.rpartition("/")[2] != "export"
        },
    }


def _item(path: str, methods: dict[str, str]) -> dict[str, Any]:
    item: dict[str, Any] = {
        method.lower(): {
            "operationId": f"{action}-{path}",
            "summary": action,
            "responses": {"default": {"description": ""}},
        }
        for method, action in methods.items()
    }
    variables = re.findall(r"\{(\w+)\}", path)
    if variables:
        item["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in variables
        ]
    return item
