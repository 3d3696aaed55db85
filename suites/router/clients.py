"""The two witnesses of every DIMSE check: clients of ours on pynetdicom, and dcmtk's programs."""

from collections.abc import Sequence
from typing import Protocol

from fixtures.actors.dcmtk import Dcmtk
from fixtures.actors.queries import Keys
from fixtures.actors.results import EchoResult, FindResult, MoveResult, SendResult
from fixtures.data import Instance, Study
from fixtures.deployment.endpoints import DimseAddress
from fixtures.evidence.fingerprint import Fingerprint
from fixtures.world import World

WITNESSES = ("pynetdicom", "dcmtk")


class Witness(Protocol):
    """What both can do."""

    def echo(self, to: DimseAddress) -> EchoResult:
        """C-ECHO."""

    def send(self, instances: Sequence[Instance], to: DimseAddress, *, via: str) -> SendResult:
        """C-STORE."""

    def find(self, to: DimseAddress, level: str, keys: Keys, root: str = "study") -> FindResult:
        """C-FIND."""

    def move(
        self, to: DimseAddress, level: str, keys: Keys, destination: str, root: str = "study"
    ) -> MoveResult:
        """C-MOVE."""

    def get(
        self, to: DimseAddress, level: str, keys: Keys, root: str = "study"
    ) -> tuple[MoveResult, list[Fingerprint]]:
        """C-GET."""


class _Own:
    """`Modality` and `Workstation` as one."""

    def __init__(self, world: World, ae_title: str) -> None:
        self._modality = world.modality(ae_title)
        self._workstation = world.workstation_as(ae_title)

    def echo(self, to: DimseAddress) -> EchoResult:
        return self._modality.echo(to)

    def send(self, instances: Sequence[Instance], to: DimseAddress, *, via: str) -> SendResult:
        return self._modality.send(instances, to, via=via)

    def find(self, to: DimseAddress, level: str, keys: Keys, root: str = "study") -> FindResult:
        return self._workstation.find(to, level, keys, root)

    def move(
        self, to: DimseAddress, level: str, keys: Keys, destination: str, root: str = "study"
    ) -> MoveResult:
        return self._workstation.move(to, level, keys, destination, root)

    def get(
        self, to: DimseAddress, level: str, keys: Keys, root: str = "study"
    ) -> tuple[MoveResult, list[Fingerprint]]:
        result, shelf = self._workstation.get(to, level, keys, root)
        received = shelf.received
        shelf.clear()
        return result, received


def witness(world: World, name: str, ae_title: str = "GDCM") -> Witness:
    """The witness of that name, calling as `ae_title`; what it sends is in the world's ledger."""
    if name == "dcmtk":
        return Dcmtk(ae_title, world.recorder, world.ledger)
    return _Own(world, ae_title)


def study_keys(study: Study, **more: str) -> dict[str, str]:
    """The unique key of a study, and more."""
    return {"StudyInstanceUID": study.study_instance_uid, **more}


def shown(status: int | None) -> str:
    """A status for a message."""
    return "no status" if status is None else f"{status:04X}"
