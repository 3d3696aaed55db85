"""What a listener has answered, and how fast: for the metrics of the router (ROUTER-157)."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from systems.router.dimse import command as commands

BOUNDS: Final = (0.01, 0.05, 0.2, 1.0, 5.0, 30.0, 300.0)
_NAMES: Final = {
    commands.C_STORE_RQ: "C-STORE",
    commands.C_GET_RQ: "C-GET",
    commands.C_FIND_RQ: "C-FIND",
    commands.C_MOVE_RQ: "C-MOVE",
    commands.C_ECHO_RQ: "C-ECHO",
    commands.N_ACTION_RQ: "N-ACTION",
}


class Histogram:
    """Counts of seconds, by upper bound."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.total += seconds
        for index, bound in enumerate(BOUNDS):
            if seconds <= bound:
                self._counts[index] += 1
                return
        self._counts[-1] += 1

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Each bound as text with the number of counts up to it; +Inf last."""
        count = 0
        for bound, here in zip((*map(str, BOUNDS), "+Inf"), self._counts, strict=True):
            count += here
            yield bound, count


class Measures:
    """Final responses by operation and status, their times, and what became of association requests."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.associations: Counter[str] = Counter()

    def answered(self, field: int, status: int, seconds: float) -> None:
        """A request got its final response."""
        operation = _NAMES.get(field, "other")
        self.answers[operation, status] += 1
        histogram = self.seconds.get(operation)
        if histogram is None:
            histogram = self.seconds[operation] = Histogram()
        histogram.add(seconds)
