"""Runs a migration: copy, read back, compare, and only then delete (CLAIM-MIGRATE-03)."""

import asyncio
import hashlib
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from systems.router.cloud.errors import CloudError
from systems.router.cloud.readback import Held
from systems.router.cloud.stow import Part
from systems.router.cloud.stow_table import Kind
from systems.router.cloud.uploader import Upload, Uploader
from systems.router.config.limit_values import Migration
from systems.router.delivery.blocking import file_chunks, in_thread
from systems.router.errors import RouterError
from systems.router.migration.ledger import MigrationLedger
from systems.router.migration.model import PacsStudy, Selection, plan
from systems.router.migration.pacs import OrthancRest, PacsError
from systems.router.objects import Identity
from systems.router.sealing import opened
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import read_file_meta, scan_part10

log = logging.getLogger(__name__)
_STORED: Final = frozenset({Kind.STORED, Kind.STORED_WITH_WARNING, Kind.ALREADY_STORED})
_TRANSIENT: Final = frozenset({Kind.TRANSIENT, Kind.UNKNOWN, Kind.IN_PROGRESS})
_ROUNDS: Final = 3
_ATTEMPTS: Final = 3
_HEAD: Final = 1 << 20
_AUDITED_AT_ONCE: Final = 200
_TAGS: Final = frozenset({0x0020000D, 0x0020000E})


Note = Callable[..., Awaitable[None]]
"""Takes an event of the audit trail and its facts."""


async def unrecorded(_event: str, **_facts: Any) -> None:
    """For a job without a running router: its ledger is all there is of it."""


class NotProvenError(RouterError):
    """An instance is not proven to be in the cloud; its study stays in the PACS."""


class MigrationJob:
    """One job. It may be run again after an interruption and ends in the same state as an uninterrupted one."""

    def __init__(
        self,
        pacs: OrthancRest,
        uploader: Uploader,
        ledger: MigrationLedger,
        settings: Migration,
        job: str,
        audit: Note = unrecorded,
    ) -> None:
        self._pacs = pacs
        self._uploader = uploader
        self._ledger = ledger
        self._settings = settings
        self._job = job
        self._audit = audit

    async def run(self) -> None:
        """Do what the job was asked to do; the outcome is in the ledger."""
        selection = await self._ledger.selection(self._job)
        if selection is None:
            return
        try:
            if not await self._ledger.is_planned(self._job):
                await self._plan(selection)
            failed = 0
            for study in await self._ledger.open_studies(self._job):
                failed += not await self._study(study, selection)
        except RouterError as error:
            log.error("migration %s stopped: %s", self._job, error)  # noqa: TRY400 - the text says it all
            await self._ledger.finish(self._job, "failed", str(error))
            return
        state = "failed" if failed else "done"
        await self._ledger.finish(
            self._job, state, f"{failed} studies failed and stay in the PACS" if failed else ""
        )

    async def _plan(self, selection: Selection) -> None:
        found = plan(selection, [study async for study in self._pacs.studies()])
        chosen = (
            found.chosen if selection.bytes is None else await self._within(found.chosen, selection.bytes)
        )
        entries = [(study, "waiting", "") for study in chosen]
        entries += [
            (study, "undated", "no usable StudyDate: neither migrated nor deleted") for study in found.undated
        ]
        entries += [
            (PacsStudy("", uid, "", ""), "absent", "the PACS does not hold it") for uid in found.absent
        ]
        await self._ledger.plan(self._job, entries)

    async def _within(self, studies: Sequence[PacsStudy], limit: int) -> list[PacsStudy]:
        """The first studies that together are not larger than `limit` bytes."""
        chosen: list[PacsStudy] = []
        for study in studies:
            limit -= await self._pacs.size(study)
            if limit < 0:
                break
            chosen.append(study)
        return chosen

    async def _study(self, study: PacsStudy, selection: Selection) -> bool:
        await self._ledger.study_state(self._job, study, "running")
        try:
            if selection.dry_run:
                await self._list(study)
                await self._ledger.study_state(self._job, study, "planned")
                return True
            ids = await self._prove(study)
            if not selection.delete:
                await self._ledger.study_state(self._job, study, "copied")
                return True
            await asyncio.sleep(self._settings.grace_seconds)
            return await self._delete(study, ids)
        except (RouterError, OSError) as error:
            log.warning("study %s stays in the PACS: %s", study.study_instance_uid, error)
            await self._ledger.study_state(self._job, study, "failed", str(error))
            return False

    async def _list(self, study: PacsStudy) -> None:
        for instance_id in await self._pacs.instance_ids(study):
            uid = await self._pacs.sop_instance_uid(instance_id)
            await self._ledger.instance(
                self._job, study, instance_id, sop_instance_uid=uid, outcome="planned"
            )

    async def _prove(self, study: PacsStudy) -> list[str]:
        """Copy and verify until the PACS's content of the study stands still; the ids then proven."""
        for _ in range(_ROUNDS):
            ids = await self._pacs.instance_ids(study)
            if not ids:
                raise NotProvenError("the PACS lists no instances of it")
            await self._prove_all(study, ids)
            if await self._stands_still(study, ids):
                return ids
        raise NotProvenError(f"it kept changing in the PACS over {_ROUNDS} rounds")

    async def _stands_still(self, study: PacsStudy, ids: list[str]) -> bool:
        if await self._pacs.is_split(study):
            raise NotProvenError("the PACS holds it under several patients; none of it is deleted")
        if await self._pacs.instance_ids(study) != ids:
            return False
        proven = await self._ledger.proven(self._job, study)
        for instance_id in ids:
            if await self._pacs.checksum(instance_id) != proven.get(instance_id):
                return False
        return True

    async def _prove_all(self, study: PacsStudy, ids: list[str]) -> None:
        proven = await self._ledger.proven(self._job, study)
        turns = asyncio.Semaphore(self._settings.width)

        async def one(instance_id: str) -> None:
            async with turns:
                checksum = await self._pacs.checksum(instance_id)
                if not checksum or proven.get(instance_id) != checksum:
                    await self._prove_one(study, instance_id, checksum)

        for start in range(0, len(ids), 256):
            results = await asyncio.gather(*map(one, ids[start : start + 256]), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def _prove_one(self, study: PacsStudy, instance_id: str, checksum: str) -> None:
        with tempfile.TemporaryDirectory(prefix="router-migration-") as folder:
            file = Path(folder) / "pacs.dcm"
            note = partial(self._ledger.instance, self._job, study, instance_id)
            try:
                await self._pacs.file(instance_id, file)
                identity, digest = await asyncio.to_thread(describe, file)
            except (PacsError, HeaderError, OSError) as error:
                await note(sop_instance_uid="", outcome="failed", reason=str(error))
                raise NotProvenError(
                    f"instance {instance_id} cannot be read from the PACS: {error}"
                ) from error
            size = file.stat().st_size
            facts: dict[str, Any] = {
                "sop_instance_uid": identity.sop_instance_uid,
                "pacs_digest": digest,
                "checksum": checksum,
                "size": size,
            }
            part = Part(identity, size, None, partial(in_thread, partial(file_chunks, file)))
            try:
                cloud_digest = await self._copy_and_verify(
                    Upload(part, digest, partial(opened, file, None)), note, facts
                )
            except NotProvenError as error:
                await note(**facts, outcome="failed", reason=str(error))
                raise
            await note(
                **facts, outcome="verified", reason="", cloud_digest=cloud_digest, verified_at=time.time()
            )
            await self._audit(
                "migrated",
                migration=self._job,
                study_instance_uid=study.study_instance_uid,
                sop_instance_uid=identity.sop_instance_uid,
                digest=digest,
            )

    async def _copy_and_verify(self, upload: Upload, note: Callable[..., Any], facts: dict[str, Any]) -> str:
        uid = upload.part.identity.sop_instance_uid
        if self._uploader.too_large(upload.part.size):
            raise NotProvenError(f"{uid} is larger than the cloud takes in one request")
        for attempt in range(1, _ATTEMPTS + 1):
            verdict = (await self._uploader.store([upload]))[uid]
            if verdict.kind not in _TRANSIENT or attempt == _ATTEMPTS:
                break
            await asyncio.sleep(verdict.retry_after or 0.5 * 2**attempt)
        if verdict.kind not in _STORED:
            raise NotProvenError(f"{uid} is not stored in the cloud: {verdict.comment}")
        await note(**facts, outcome="copied", copied_at=time.time())
        try:
            compared = await self._uploader.compare(upload)
        except CloudError as error:
            raise NotProvenError(f"{uid} could not be read back: {error}") from error
        if compared.held is not Held.SAME:
            raise NotProvenError(
                f"{uid} in the cloud is {compared.held.value}, though its store was confirmed"
            )
        return compared.digest

    async def _delete(self, study: PacsStudy, ids: list[str]) -> bool:
        """Delete exactly what is proven, after a last look; what arrived since then stays and is reported."""
        if not await self._stands_still(study, ids):
            ids = await self._prove(study)
        await self._pacs.delete(ids)
        left = await self._pacs.instance_ids(study)
        gone = [instance_id for instance_id in ids if instance_id not in left]
        await self._ledger.deleted(self._job, gone)
        await self._record_removal(study, gone)
        if left:
            reason = f"{len(left)} instances arrived during the migration or were not deleted, and stay in the PACS"
            await self._ledger.study_state(self._job, study, "failed", reason)
            return False
        await self._ledger.study_state(self._job, study, "migrated")
        return True

    async def _record_removal(self, study: PacsStudy, gone: Sequence[str]) -> None:
        uids = await self._ledger.sop_instance_uids(self._job, gone)
        for start in range(0, len(uids), _AUDITED_AT_ONCE):
            await self._audit(
                "removed from the PACS",
                migration=self._job,
                study_instance_uid=study.study_instance_uid,
                sop_instance_uids=uids[start : start + _AUDITED_AT_ONCE],
            )


def describe(part10: Path) -> tuple[Identity, str]:
    """Who a Part 10 file is, and the SHA-256 of its data set.

    Raises:
        HeaderError: it is no DICOM file, or lacks Study or Series Instance UID.

    """
    chunks: Iterator[bytes] = file_chunks(part10)
    head = next(chunks, b"")
    meta = read_file_meta(head)
    try:
        found = scan_part10(head, meta, _TAGS)
    except HeaderError:
        found = scan_part10(part10.read_bytes(), meta, _TAGS)
    study, series = (
        found.get(tag, b"").decode("ascii", "replace").strip(" \0") for tag in (0x0020000D, 0x0020000E)
    )
    if not study or not series:
        raise HeaderError("the file has no Study or Series Instance UID")
    hasher = hashlib.sha256(head[meta.data_set_offset :])
    for chunk in chunks:
        hasher.update(chunk)
    identity = Identity(meta.sop_instance_uid, meta.sop_class_uid, series, study, meta.transfer_syntax_uid)
    return identity, hasher.hexdigest()
