"""Peers that can be searched as a whole, on top of the peers of the router's own tests."""

import os
import subprocess
import sys
from io import BytesIO
from typing import Any

import orjson
from pydicom.dataset import Dataset
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.router.conftest import ADMIN_TOKEN, REPOSITORY, RouterProcess
from tests.router.fakes import FakeCloud, FakePacs, study_of


class SearchableCloud(FakeCloud):
    """Answers searches for the instances of a study, in pages; `broken` answers them with that status and body."""

    def __init__(self) -> None:
        super().__init__()
        self.searches = 0
        self.broken: tuple[int, bytes] | None = None
        self._app.router.routes.append(Route("/v2/studies/{study}/instances", self._instances))

    async def _instances(self, request: Request) -> Response:
        self.searches += 1
        if not self._authorised(request):
            return Response(status_code=401)
        if self.broken is not None:
            return Response(self.broken[1], self.broken[0])
        study = request.path_params["study"]
        uids = [uid for uid, content in self.stored.items() if study_of(content) == study]
        offset, limit = int(request.query_params["offset"]), int(request.query_params["limit"])
        page = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids[offset : offset + limit]]
        return Response(orjson.dumps(page), 200 if page else 204, media_type="application/dicom+json")


class SearchablePacs(FakePacs):
    """Answers C-FIND at SERIES and IMAGE level."""

    def _find(self, event: Any) -> Any:
        keys = event.identifier
        seen: set[str] = set()
        for uid, content in list(self.stored.items()):
            ds = _read(content)
            if keys.get("StudyInstanceUID", ds.StudyInstanceUID) != ds.StudyInstanceUID:
                continue
            match = Dataset()
            match.QueryRetrieveLevel = keys.QueryRetrieveLevel
            match.SeriesInstanceUID = ds.SeriesInstanceUID
            if keys.QueryRetrieveLevel == "IMAGE":
                if keys.SOPInstanceUID not in ("", None, uid):
                    continue
                match.SOPInstanceUID = uid
            elif ds.SeriesInstanceUID in seen:
                continue
            seen.add(ds.SeriesInstanceUID)
            yield 0xFF00, match


def _read(data_set: bytes) -> Dataset:
    from pydicom.filereader import read_dataset

    return read_dataset(BytesIO(data_set), is_implicit_VR=False, is_little_endian=True)


def command(router: RouterProcess, *words: str) -> "subprocess.CompletedProcess[str]":
    """`dicom-router` with the router's configuration."""
    return subprocess.run(
        [sys.executable, "-m", "systems.router.cli", words[0], "--config", str(router.config), *words[1:]],
        cwd=REPOSITORY,
        env={**os.environ, "TEST_ADMIN_TOKEN": ADMIN_TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
