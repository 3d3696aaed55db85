"""The books of a C-MOVE or C-GET: every sub-operation is remaining, completed, failed or warned (ROUTER-083)."""

import asyncio
from collections.abc import Iterable

from systems.router.bridge.retrieved import InstanceReference
from systems.router.dimse.service import SubOperations


class Progress:
    """Counts outcomes and wakes who reports them."""

    def __init__(self, references: Iterable[InstanceReference]) -> None:
        self._open = {reference.sop_instance_uid: None for reference in references}
        self.total = len(self._open)
        self.completed = 0
        self.warning = 0
        self.failed_uids: list[str] = []
        self.kept_uids: list[str] = []
        self.changed = asyncio.Event()

    @property
    def counters(self) -> SubOperations:
        """The four counters; their sum is always the total."""
        return SubOperations(len(self._open), self.completed, len(self.failed_uids), self.warning)

    @property
    def done(self) -> int:
        """How many sub-operations have an outcome."""
        return self.total - len(self._open)

    def _settle(self, reference: InstanceReference) -> None:
        del self._open[reference.sop_instance_uid]
        self.changed.set()

    def complete(self, reference: InstanceReference) -> None:
        """The receiver has taken the instance."""
        self._settle(reference)
        self.completed += 1
        self.kept_uids.append(reference.sop_instance_uid)

    def warn(self, reference: InstanceReference) -> None:
        """The receiver has taken the instance with a warning."""
        self._settle(reference)
        self.warning += 1
        self.kept_uids.append(reference.sop_instance_uid)

    def fail(self, reference: InstanceReference) -> None:
        """The receiver has not got the instance."""
        self._settle(reference)
        self.failed_uids.append(reference.sop_instance_uid)

    def fail_rest(self) -> None:
        """What has not been attempted is failed and listed (ROUTER-086)."""
        self.failed_uids.extend(self._open)
        self._open.clear()
        self.changed.set()
