"""The two kinds of destinations as a reconciliation sees them: which instances of a study are there, and what they are."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Protocol, cast

import orjson

from systems.router.cloud.errors import CloudAnswerError, CloudError
from systems.router.cloud.http import CloudHttp, require_authorised
from systems.router.cloud.readback import data_set_digest, fetch
from systems.router.config.model import Config, Peer
from systems.router.digests import algorithm_of
from systems.router.dimse import identifier as identifiers
from systems.router.dimse.client import Association
from systems.router.dimse.errors import DimseError
from systems.router.dimse.settings import ClientTimeouts, ProposedContext
from systems.router.dimse.uids import STUDY_ROOT_FIND
from systems.router.errors import RouterError
from systems.router.migration.pacs import OrthancRest
from systems.router.objects import Identity
from systems.router.peers import peer_tls

_PAGE: Final = 200
_SOP_INSTANCE: Final = "00080018"


class SideError(RouterError):
    """A destination could not be asked, or did not answer usably: nothing is known of what it holds (ROUTER-142)."""


class Side(Protocol):
    """One destination; `gives_copies` is whether the content of what it holds can be read back."""

    @property
    def gives_copies(self) -> bool:
        """See above."""
        ...

    def instances(self, study_instance_uid: str) -> AsyncIterator[str]:
        """SOP Instance UIDs the destination holds of a study. Raises `SideError`; never ends early without it."""
        ...

    async def fetch(self, identity: Identity, target: Path) -> bool:
        """Write the copy to `target`; False where the destination gives none. Raises `SideError`."""
        ...


class CloudSide:
    """By QIDO-RS in pages, and WADO-RS of the stored encoding."""

    gives_copies = True

    def __init__(self, http: CloudHttp) -> None:
        self._http = http

    async def instances(self, study_instance_uid: str) -> AsyncIterator[str]:
        """See `Side`."""
        offset = 0
        while True:
            page = await self._page(study_instance_uid, offset)
            for uid in page:
                yield uid
            if len(page) < _PAGE:
                return
            offset += len(page)

    async def _page(self, study_instance_uid: str, offset: int) -> list[str]:
        path = f"/studies/{study_instance_uid}/instances?limit={_PAGE}&offset={offset}"
        try:
            answer = await self._http.request("GET", path, headers={"Accept": "application/dicom+json"})
            require_authorised(answer)
        except CloudError as error:
            raise SideError(str(error)) from error
        # 404 is how some servers say that a study has no instances.
        if answer.status in (204, 404):
            return []
        if answer.status != 200:
            raise SideError(f"the cloud answers HTTP {answer.status} to a search")
        return _uids(answer.body)

    async def fetch(self, identity: Identity, target: Path) -> bool:
        """See `Side`."""
        try:
            return await fetch(self._http, identity, target)
        except CloudError as error:
            raise SideError(str(error)) from error


def _uids(body: bytes) -> list[str]:
    try:
        matches = orjson.loads(body)
        return [str(match[_SOP_INSTANCE]["Value"][0]) for match in matches]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as error:
        raise SideError("the cloud's answer to a search cannot be read") from error


class PeerSide:
    """By C-FIND at SERIES and IMAGE level; files by the PACS's REST interface where it is configured."""

    def __init__(self, config: Config, peer: Peer, rest: OrthancRest | None) -> None:
        self._peer = peer
        self._calling = config.pacs_bridge.calling_ae_title
        timers = config.timers
        self._timeouts = ClientTimeouts(
            timers.association_request_seconds,
            timers.association_request_seconds,
            timers.communication_seconds,
        )
        self._rest = rest if peer.ae_title == config.pacs_bridge.peer else None

    @property
    def gives_copies(self) -> bool:
        """See `Side`."""
        return self._rest is not None

    async def instances(self, study_instance_uid: str) -> AsyncIterator[str]:
        """See `Side`."""
        await identifiers.load()
        peer = self._peer
        try:
            association = await Association.connect(
                peer.host,
                peer.port,
                calling_ae=self._calling,
                called_ae=peer.ae_title,
                contexts=[ProposedContext(STUDY_ROOT_FIND)],
                timeouts=self._timeouts,
                tls=peer_tls(peer),
            )
        except DimseError as error:
            raise SideError(str(error)) from error
        try:
            series = [
                uid
                async for uid in _find(association, "SeriesInstanceUID", StudyInstanceUID=study_instance_uid)
            ]
            for series_uid in series:
                keys = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_uid}
                async for uid in _find(association, "SOPInstanceUID", **keys):
                    yield uid
        except (DimseError, identifiers.IdentifierError) as error:
            raise SideError(str(error)) from error
        finally:
            await association.release()

    async def fetch(self, identity: Identity, target: Path) -> bool:
        """See `Side`."""
        if self._rest is None:
            return False
        try:
            number = await self._rest.instance_id(identity.sop_instance_uid)
            if not number:
                return False
            await self._rest.file(number, target)
        except RouterError as error:
            raise SideError(str(error)) from error
        return True


async def _find(association: Association, wanted: str, **keys: str) -> AsyncIterator[str]:
    identifier = identifiers.empty()
    identifier.QueryRetrieveLevel = "SERIES" if wanted == "SeriesInstanceUID" else "IMAGE"
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    setattr(identifier, wanted, "")
    async with aclosing(cast("Any", association.c_find(STUDY_ROOT_FIND, identifier))) as responses:
        async for status, match in responses:
            if match is not None:
                uid = str(match.get(wanted, ""))
                if not uid:
                    raise SideError(f"the PACS answers a C-FIND without {wanted}")
                yield uid
            elif not status.is_success:
                raise SideError(f"the PACS answers C-FIND with {status}")


def digest_of(copy: Path, like: str) -> str:
    """Digest of the data set of a fetched copy, taken in the way of `like`. Raises `SideError` where it is no DICOM file."""
    try:
        return data_set_digest(copy, algorithm_of(like))
    except CloudAnswerError as error:
        raise SideError("the copy is no DICOM file") from error
