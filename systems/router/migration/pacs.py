"""The PACS as the migration job sees it, through Orthanc's REST interface."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from systems.router.cloud.client import load
from systems.router.cloud.http import why
from systems.router.config.model import PacsRest
from systems.router.errors import RouterError
from systems.router.migration.model import PacsStudy

if TYPE_CHECKING:
    import aiohttp

_PAGE: Final = 200
_CHUNK: Final = 1 << 20
_DELETE_AT_ONCE: Final = 200


class PacsError(RouterError):
    """The PACS did not do what was asked."""


class OrthancRest:
    """Reads studies and files, and deletes instances one by one: never a study or patient as a whole.

    So an instance that arrives at the last moment stays (CLAIM-MIGRATE-07).
    """

    def __init__(self, settings: PacsRest) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            context = await load(settings.ca_file)
            import aiohttp  # noqa: PLC0415 - loaded just now, see cloud.client

            headers = {}
            if settings.username and settings.password:
                pair = f"{settings.username}:{settings.password.read()}".encode()
                headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
            self._session = self._session or aiohttp.ClientSession(
                headers=headers,
                connector=aiohttp.TCPConnector(ssl=context),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60),
            )
        return self._session

    async def _json(self, method: str, path: str, body: object = None) -> Any:
        session = await self._open()
        import aiohttp  # noqa: PLC0415 - loaded by now, see cloud.client

        try:
            async with session.request(method, self._settings.url + path, json=body) as response:
                if response.status == 404:
                    return None
                if response.status != 200:
                    raise PacsError(
                        f"the PACS answers HTTP {response.status} to {method} {path.partition('?')[0]}"
                    )
                return await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PacsError(f"the PACS at {self._settings.url} does not answer: {why(error)}") from error

    async def studies(self) -> AsyncIterator[PacsStudy]:
        """All studies, in pages."""
        since = 0
        while True:
            page = await self._json("GET", f"/studies?expand&since={since}&limit={_PAGE}") or []
            for entry in page:
                tags = entry["MainDicomTags"]
                yield PacsStudy(
                    entry["ID"],
                    str(tags.get("StudyInstanceUID", "")),
                    str(tags.get("StudyDate", "")).strip(),
                    str(tags.get("StudyTime", "")).strip(),
                )
            since += len(page)
            if len(page) < _PAGE:
                return

    async def size(self, study: PacsStudy) -> int:
        """Bytes the study takes on the PACS's disk; 0 when it is gone."""
        found = await self._json("GET", f"/studies/{study.pacs_id}/statistics")
        return int(found["DiskSize"]) if found else 0

    async def is_split(self, study: PacsStudy) -> bool:
        """Whether the PACS holds the study under several patients, as after a correction that new images did not follow."""
        query = {"Level": "Study", "Query": {"StudyInstanceUID": study.study_instance_uid}, "Limit": 2}
        found = await self._json("POST", "/tools/find", query)
        return len(found or ()) > 1

    async def instance_ids(self, study: PacsStudy) -> list[str]:
        """The PACS's ids of all instances of a study; empty when it is gone."""
        found = await self._json("GET", f"/studies/{study.pacs_id}")
        ids: list[str] = []
        for series_id in found["Series"] if found else []:
            series = await self._json("GET", f"/series/{series_id}")
            ids += series["Instances"] if series else []
        return sorted(ids)

    async def sop_instance_uid(self, instance_id: str) -> str:
        """The SOP Instance UID behind the PACS's id; empty when it is gone."""
        found = await self._json("GET", f"/instances/{instance_id}")
        return str(found["MainDicomTags"].get("SOPInstanceUID", "")) if found else ""

    async def instance_id(self, sop_instance_uid: str) -> str:
        """The PACS's id of an instance; empty where it holds none of that UID."""
        query = {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}, "Limit": 1}
        found = await self._json("POST", "/tools/find", query)
        return str(found[0]) if found else ""

    async def checksum(self, instance_id: str) -> str:
        """The PACS's own checksum of a file: it changes when the instance is overwritten. Empty when it is gone."""
        path = f"/instances/{instance_id}/attachments/dicom/md5"
        session = await self._open()
        import aiohttp  # noqa: PLC0415 - loaded by now, see cloud.client

        try:
            async with session.get(self._settings.url + path) as response:
                return await response.text() if response.status == 200 else ""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PacsError(f"the PACS at {self._settings.url} does not answer: {why(error)}") from error

    async def file(self, instance_id: str, target: Path) -> None:
        """Write the Part 10 file of an instance to `target`."""
        path = f"/instances/{instance_id}/file"
        session = await self._open()
        import aiohttp  # noqa: PLC0415 - loaded by now, see cloud.client

        try:
            async with session.get(self._settings.url + path) as response:
                if response.status != 200:
                    raise PacsError(f"the PACS does not give instance {instance_id}: HTTP {response.status}")
                with target.open("wb") as file:
                    async for chunk in response.content.iter_chunked(_CHUNK):
                        await asyncio.to_thread(file.write, chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PacsError(f"the PACS at {self._settings.url} does not answer: {why(error)}") from error

    async def delete(self, instance_ids: Sequence[str]) -> None:
        """Delete exactly these instances."""
        for start in range(0, len(instance_ids), _DELETE_AT_ONCE):
            chunk = list(instance_ids[start : start + _DELETE_AT_ONCE])
            await self._json("POST", "/tools/bulk-delete", {"Resources": chunk})
