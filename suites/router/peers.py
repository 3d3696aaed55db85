"""A storage peer that takes only some transfer syntaxes, and remembers what was proposed to it."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import PresentationContext

from fixtures.actors.association import VERIFICATION, Timeouts, application_entity
from fixtures.actors.scp import Incoming, StorageScp
from fixtures.deployment.endpoints import DimseAddress


class ChoosyPeer(StorageScp):
    """Listens as the workstation; `proposed` are (SOP class, transfer syntaxes) of each association's contexts."""

    def __init__(self, at: DimseAddress, classes: Sequence[str], syntaxes: Sequence[str]) -> None:
        super().__init__(at, self._keep, more=[(evt.EVT_REQUESTED, self._remember)])
        self._classes = tuple(classes)
        self._syntaxes = list(syntaxes)
        self.proposed: list[list[tuple[str, tuple[str, ...]]]] = []
        self.arrived: list[Incoming] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _entity(self) -> ApplicationEntity:
        entity = application_entity(self.address.ae_title, Timeouts())
        for sop_class in self._classes:
            entity.add_supported_context(sop_class, self._syntaxes)
        entity.add_supported_context(VERIFICATION)
        return entity

    def _contexts(self, entity: ApplicationEntity) -> list[PresentationContext]:
        return list(entity.supported_contexts)

    def _keep(self, arrived: Incoming) -> int:
        self.arrived.append(arrived)
        return 0x0000

    def _remember(self, event: evt.Event) -> None:
        contexts = event.assoc.requestor.requested_contexts
        self.proposed.append(
            [(str(c.abstract_syntax), tuple(map(str, c.transfer_syntax or ()))) for c in contexts]
        )
