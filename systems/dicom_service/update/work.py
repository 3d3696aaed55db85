"""The operation of a bulk update: one study after the other, each as a whole (UPD-013 to UPD-028)."""

import logging
import sqlite3
from dataclasses import dataclass, field, replace
from typing import Any

from systems.dicom_service.dicom.attributes import Level
from systems.dicom_service.operations.records import Json
from systems.dicom_service.operations.runner import Ended, Run, Stopping
from systems.dicom_service.storage import catalog
from systems.dicom_service.storage.blobs import Incoming
from systems.dicom_service.storage.catalog import Stored
from systems.dicom_service.storage.writer import Clock, Transaction
from systems.dicom_service.tags import definitions
from systems.dicom_service.update.asked import Changes
from systems.dicom_service.update.job import RenewStudy
from systems.dicom_service.update.rewriting import Renewed, renew
from systems.shared import logs

_log = logging.getLogger(__name__)
_LARGEST_IN_MEMORY = 1 << 20
_MOST_IN_MEMORY = 16 << 20
_MOST_ERRORS = 5


@dataclass(slots=True)
class _Counts:
    """How far the update has come; kept with the operation, so that no study is updated twice by it."""

    done: int = 0
    updated: int = 0
    failed: int = 0
    instances: int = 0
    errors: list[str] = field(default_factory=list)

    def as_json(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}

    def results(self) -> Json:
        results: dict[str, Any] = {
            "studyProcessed": self.done,
            "studyUpdated": self.updated,
            "studyFailed": self.failed,
            "instanceUpdated": self.instances,
        }
        return results | {"errors": self.errors} if self.errors else results


def bulk_update(run: Run) -> Ended:
    """Update the studies of the operation; goes on after the last one that was finished."""
    given = run.operation.input
    update = _Update(run, given["partition"], {int(tag): values for tag, values in given["changes"].items()})
    for study in given["studies"][update.counts.done :]:
        run.check()
        update.study(study, len(given["studies"]))
    return Ended(update.counts.results(), failed=update.counts.failed > 0)


class _Update:
    def __init__(self, run: Run, partition: int, changes: Changes) -> None:
        self._run = run
        self._partition = partition
        self._changes = changes
        self.counts = _Counts(**(run.operation.progress or {}))

    def study(self, uid: str, studies: int) -> None:
        """Update one study; when one instance cannot be updated, none of its study is."""
        instances = catalog.instances(self._run.store.connection, uid, partition=self._partition)
        with self._run.store.blobs.holding(instance.place for instance in instances):
            renewed, errors = self._renewed(instances)
        self.counts.done += 1
        percent = min(99, 100 * self.counts.done // studies)
        if renewed:
            errors = self._replace(uid, renewed, percent)
        if errors:
            self.counts.failed += 1
            self.counts.errors += [f"Failed to update instances for study {uid}", *errors[:_MOST_ERRORS]]
        if errors or not renewed:
            self._run.store.run(
                Transaction(
                    lambda change, clock: self._run.advance(change, clock, self.counts.as_json(), percent)
                )
            )

    def _replace(self, uid: str, renewed: list[Renewed], percent: int) -> list[str]:
        """Make the new versions current; return why that was not possible, [] when it was."""

        def note(change: sqlite3.Connection, clock: Clock, count: int) -> None:
            after = replace(
                self.counts,
                updated=self.counts.updated + (1 if count else 0),
                instances=self.counts.instances + count,
            )
            self._run.advance(change, clock, after.as_json(), percent)

        job = RenewStudy(self._run.store.objects, uid, self._partition, self._changes, renewed, note)
        try:
            count = self._run.store.run(job)
        except OSError as error:
            _log.error("a study could not be updated: %s", logs.origin(error))
            return [f"The new files cannot be written: {error.strerror or type(error).__name__}"]
        self.counts.updated += 1 if count else 0
        self.counts.instances += count
        return []

    def _renewed(self, instances: list[Stored]) -> tuple[list[Renewed], list[str]]:
        """Return the new versions of all instances, or what is wrong with those that have none."""
        tags = [
            tag
            for tag in definitions.everything(self._run.store.connection)
            if tag.level is Level.STUDY and tag.number in self._changes
        ]
        renewed: list[Renewed] = []
        errors: list[str] = []
        in_memory = 0
        try:
            for stored in instances:
                self._run.check()
                small = stored.place.size <= _LARGEST_IN_MEMORY
                fits = small and in_memory + stored.place.size <= _MOST_IN_MEMORY
                in_memory += stored.place.size if fits else 0
                one = self._one(stored, tags, in_memory=fits, errors=errors)
                renewed.extend([one] if one else [])
        except Stopping:
            _discard(renewed)
            raise
        if errors:
            _discard(renewed)
        return ([], errors) if errors else (renewed, [])

    def _one(
        self, stored: Stored, tags: list[definitions.ExtendedTag], *, in_memory: bool, errors: list[str]
    ) -> Renewed | None:
        try:
            return renew(self._run.store, stored, self._changes, tags, in_memory=in_memory)
        except Exception as error:  # noqa: BLE001 - an instance pydicom cannot cope with fails its study alone
            _log.error("an instance could not be updated: %s", logs.origin(error))
            errors.append(f"Failed to update instance {stored.sop_uid}: {type(error).__name__}")
            return None


def _discard(renewed: list[Renewed]) -> None:
    for one in renewed:
        if isinstance(one.content, Incoming):
            one.content.discard()
