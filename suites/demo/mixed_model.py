"""What a long mixed run has done so far, and where everything has to be."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fixtures.data import Study
from fixtures.world import World

_DATES = ("19940223", "20040831", "20110602", "20121030", "20221122")


@dataclass(frozen=True)
class Step:
    """One action; `pick` chooses among the studies it could act on."""

    action: str
    pick: int

    def __str__(self) -> str:
        return f"{self.action}({self.pick})"


@dataclass
class Known:
    """A study and where it has to be; `routed` means that it came by QIEROUTER, `retired` that it is not acted on again."""

    study: Study
    pacs: bool = False
    cloud: bool = False
    routed: bool = False
    retired: bool = False


@dataclass
class Model:
    """What the sequence has done so far, as it has to be seen from outside."""

    world: World
    known: list[Known] = field(default_factory=list)
    created: set[str] = field(default_factory=set)
    """SOP Instance UIDs that the cloud was given."""
    deleted: set[str] = field(default_factory=set)
    """Those that were deleted there by an explicit action."""

    def new(self, *, pacs: bool = False, cloud: bool = False, routed: bool = False) -> Study:
        """A study of a patient of its own, and where it has to come."""
        date = _DATES[len(self.known) % len(_DATES)]
        (study,) = self.world.dated_studies([date], matrix=32)
        self.known.append(Known(study, pacs, cloud, routed))
        if cloud:
            self.created |= self.world.sop_uids([study])
        return study

    def one(
        self, wanted: Callable[[Known], bool], pick: int, otherwise: Callable[["Model"], object]
    ) -> Known:
        """A study that is as wanted; made by `otherwise` where there is none."""
        found = self._active(wanted)
        if not found:
            otherwise(self)
            found = self._active(wanted)
        return found[pick % len(found)]

    def _active(self, wanted: Callable[[Known], bool]) -> list[Known]:
        return [known for known in self.known if not known.retired and wanted(known)]

    def in_pacs(self) -> list[Study]:
        """What the PACS has to hold."""
        return [known.study for known in self.known if known.pacs]

    def in_cloud(self) -> list[Study]:
        """What the cloud has to hold."""
        return [known.study for known in self.known if known.cloud]
