"""One reconciliation: study by study, in memory that does not grow with their number."""

import asyncio
import logging
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from systems.router.errors import DamagedError
from systems.router.reconcile.index import instances_of, studies_after
from systems.router.reconcile.model import Expected, Finding, Kind, Request, Tally
from systems.router.reconcile.records import Records
from systems.router.reconcile.repair import Repair
from systems.router.reconcile.sides import Side, SideError, digest_of
from systems.router.store.model import TaskState
from systems.router.store.queue import SqliteQueue

log = logging.getLogger(__name__)
_STUDIES_AT_ONCE: Final = 100
# A destination that could not be asked for so many studies in a row is not asked for the rest.
_GIVE_UP_AFTER: Final = 3


class ReconciliationJob:
    """Runs a recorded job to its end. A destination that cannot be asked is never taken to be empty (ROUTER-142)."""

    def __init__(
        self, queue: SqliteQueue, records: Records, sides: Mapping[str, Side], repair: Repair, job: str
    ) -> None:
        self._queue = queue
        self._records = records
        self._sides = sides
        self._repair = repair
        self._job = job
        self._silent: dict[str, tuple[int, str]] = {}

    async def run(self) -> str:
        """Compare, from where an earlier run stopped. Returns `done`, or `incomplete` where a side was not asked."""
        row = await self._records.job(self._job)
        assert row is not None  # noqa: S101 - recorded before it is run
        request, position = Request.from_json(row["request"]), str(row["position"])
        while (study := await self._records.again(self._job)) is not None:
            await self._study(study, request)
        while page := await self._queue.perform(
            partial(studies_after, request=request, after=position, limit=_STUDIES_AT_ONCE)
        ):
            for study in page:
                await self._study(study, request)
                position = study
        tallies = await self._records.tallies(self._job)
        return "incomplete" if any(tally.not_compared for tally in tallies.values()) else "done"

    async def _study(self, study: str, request: Request) -> None:
        known = await self._queue.perform(partial(instances_of, study_instance_uid=study))
        tallies: dict[str, Tally] = {}
        found: list[Finding] = []
        for name, side in self._sides.items():
            tallies[name] = Tally()
            found += await self._at(name, side, study, known, tallies[name], request)
        await self._records.add_study(self._job, study, len(known), tallies, found)

    async def _at(
        self, name: str, side: Side, study: str, known: dict[str, Expected], tally: Tally, request: Request
    ) -> list[Finding]:
        routed = {uid: expected for uid, expected in known.items() if name in expected.states}
        tally.expected = len(routed)
        try:
            held = await self._held(name, side, study)
        except SideError as error:
            tally.not_compared = len(routed)
            return [Finding(name, Kind.NOT_COMPARED, study, "", str(error))]
        found: list[Finding] = []
        for uid, expected in routed.items():
            found += await self._instance(name, side, expected, uid in held, tally, request)
        extra = sorted(held - routed.keys())
        tally.extra = len(extra)
        for uid in extra:
            reason = "received, but not routed there" if uid in known else "never received by this router"
            found.append(Finding(name, Kind.EXTRA, study, uid, reason))
        return found

    async def _held(self, name: str, side: Side, study: str) -> set[str]:
        failures, reason = self._silent.get(name, (0, ""))
        if failures >= _GIVE_UP_AFTER:
            raise SideError(f"not asked any more after {failures} failures in a row: {reason}")
        try:
            held = {uid async for uid in side.instances(study)}
        except SideError as error:
            self._silent[name] = failures + 1, str(error)
            log.warning("reconciliation %s: %s cannot be asked: %s", self._job, name, error)
            raise
        self._silent.pop(name, None)
        return held

    async def _instance(
        self, name: str, side: Side, expected: Expected, held: bool, tally: Tally, request: Request
    ) -> list[Finding]:
        identity, state = expected.identity, expected.states[name]
        row = partial(Finding, name, study_instance_uid=identity.study_instance_uid)
        uid = identity.sop_instance_uid
        if state == TaskState.DEAD:
            tally.dead_lettered += 1
            return [row(kind=Kind.DEAD, sop_instance_uid=uid, reason="see /dead-letters")]
        if state != TaskState.DELIVERED:
            tally.waiting += 1
            return []
        if not held:
            tally.missing += 1
            action = await self._repair.put_back(expected, name) if request.repair else ""
            tally.put_back += action.startswith("put back")
            reason = "delivered, but not there"
            return [row(kind=Kind.MISSING, sop_instance_uid=uid, reason=reason, action=action)]
        tally.present += 1
        if request.deep and not side.gives_copies:
            tally.unread += 1
            return []
        reason = await self._difference(name, side, expected) if request.deep else ""
        if not reason:
            return []
        tally.differs += 1
        return [row(kind=Kind.DIFFERS, sop_instance_uid=uid, reason=reason)]

    async def _difference(self, name: str, side: Side, expected: Expected) -> str:
        """How the copy differs from what was received; empty where it does not."""
        with tempfile.TemporaryDirectory(prefix="router-reconcile-") as folder:
            copy = Path(folder) / "copy.dcm"
            try:
                if not await side.fetch(expected.identity, copy):
                    return "its content cannot be read back"
                found = await asyncio.to_thread(digest_of, copy, expected.digest)
            except SideError as error:
                return f"its content cannot be read back: {error}"
            if found == expected.digest:
                return ""
            original = await self._original(name, expected, Path(folder))
            elements = await asyncio.to_thread(_described, original, copy) if original else ""
        digests = f"its data set has the digest {found}, received was {expected.digest}"
        return f"{elements}; {digests}" if elements else digests

    async def _original(self, besides: str, expected: Expected, folder: Path) -> Path | None:
        """The instance as it was received: from the spool, else from another destination whose copy is that very one."""
        target, uid = folder / "received.dcm", expected.identity.sop_instance_uid
        if expected.location is not None:
            with suppress(DamagedError):
                content = await asyncio.to_thread(
                    self._queue.spool.read, expected.location, expected.digest, uid
                )
                await asyncio.to_thread(target.write_bytes, content)
                return target
        for name, side in self._sides.items():
            if name == besides or expected.states.get(name) != TaskState.DELIVERED:
                continue
            with suppress(SideError):
                if await side.fetch(expected.identity, target) and _is(target, expected.digest):
                    return target
        return None


def _is(copy: Path, digest: str) -> bool:
    return digest_of(copy, digest) == digest


def _described(received: Path, copy: Path) -> str:
    """Runs in a thread: what it loads is slow to load."""
    from systems.router.reconcile.differing import described  # noqa: PLC0415 - needs pydicom, see dimse.identifier

    return described(received, copy)
