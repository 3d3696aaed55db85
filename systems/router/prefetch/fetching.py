"""Brings instances from the cloud to the PACS as a C-MOVE would, giving way to live traffic (ROUTER-140, ROUTER-143)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from systems.router.bridge.cloud import CloudError, CloudReader
from systems.router.bridge.progress import Progress
from systems.router.bridge.retrieved import InstanceReference
from systems.router.bridge.senders import DestinationLost, MoveSender
from systems.router.bridge.transfer import Transfer, TransferLimits
from systems.router.dimse.pool import AssociationPool, Destination
from systems.router.prefetch.courtesy import Courtesy
from systems.router.prefetch.returns import Returns

_MESSAGE_IDS: Final = 0x10000


@dataclass(frozen=True, slots=True)
class Fetched:
    """SOP Instance UIDs that the PACS has taken and has not; `ended_by` is what ended it early."""

    moved: tuple[str, ...]
    failed: tuple[str, ...]
    ended_by: CloudError | DestinationLost | None = None


class PoliteTransfer(Transfer):
    """A transfer that asks for its turn before each instance."""

    def __init__(
        self,
        cloud: CloudReader,
        sender: MoveSender,
        progress: Progress,
        limits: TransferLimits,
        courtesy: Courtesy,
    ) -> None:
        super().__init__(cloud, sender, progress, limits)
        self._courtesy = courtesy

    async def _one(self, reference: InstanceReference) -> None:
        async with self._courtesy.turn():
            await super()._one(reference)


class Fetcher:
    """Sends to one PACS."""

    def __init__(
        self,
        cloud: CloudReader,
        pool: AssociationPool,
        destination: Destination,
        returns: Returns,
        courtesy: Courtesy,
        *,
        width: int,
    ) -> None:
        self.destination = destination
        self._cloud = cloud
        self._pool = pool
        self._returns = returns
        self._courtesy = courtesy
        self._limits = TransferLimits(width=width)

    async def fetch(self, references: Sequence[InstanceReference], originator: str, number: int) -> Fetched:
        """Move `references`; the PACS is told `originator` and `number` as those of a C-MOVE."""
        uids = [reference.sop_instance_uid for reference in references]
        await self._returns.remember(self.destination.ae_title, uids)
        classes = dict.fromkeys(reference.sop_class_uid for reference in references)
        sender = MoveSender(self._pool, self.destination, classes, (originator, number % _MESSAGE_IDS))
        progress = Progress(references)
        transfer = PoliteTransfer(self._cloud, sender, progress, self._limits, self._courtesy)
        try:
            await transfer.run(references)
        finally:
            await sender.close()
        progress.fail_rest()
        failed = set(progress.failed_uids)
        return Fetched(
            tuple(uid for uid in uids if uid not in failed), tuple(progress.failed_uids), transfer.ended_by
        )
