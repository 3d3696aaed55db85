"""The kinds of outage in which a query to the cloud must fail openly (CLAIM-PRIORS-11, CLAIM-OFFLINE-03)."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from fixtures.clients import link
from fixtures.clients.link import Rule
from fixtures.world import World, rules

_LARGEST_PAGE = 200


@dataclass(frozen=True)
class QueryOutage:
    """A named way in which the cloud cannot be asked."""

    name: str
    enter: Callable[[World], AbstractContextManager[object]]
    pages: int = 1
    """How many pages of the cloud an answer must have for the outage to show."""

    def beyond_a_page(self, few: int) -> int:
        """How many matches there have to be: more than fit on the largest page, or just a few."""
        return few if self.pages == 1 else _LARGEST_PAGE + few

    def applied(self, world: World) -> AbstractContextManager[object]:
        """The outage as a context; it heals on leaving."""
        return self.enter(world)


def _cut(kind: str) -> Callable[[World], AbstractContextManager[object]]:
    return lambda world: world.cut(kind)


def _rule(rule: Rule) -> Callable[[World], AbstractContextManager[object]]:
    return lambda world: world.cloud_answers(rule)


@contextmanager
def _name_gone(world: World) -> Iterator[None]:
    with world.down("link"):
        yield


# The tail of a list arrives on a later page than its head, whatever the page size up to 200.
_AFTER_FIRST_PAGE = rules.reads("cut after the first page", link.reset("before"), "offset=200")

QUERY_OUTAGES = (
    QueryOutage("refused", _cut("refuse")),
    QueryOutage("silent", _cut("blackhole")),
    QueryOutage("unanswered", _cut("unanswered")),
    QueryOutage("link gone", _name_gone),
    QueryOutage(
        "503", _rule(rules.reads("503", link.respond(503, "unavailable"), "/(studies|instances|series)"))
    ),
    QueryOutage(
        "hang after headers",
        _rule(rules.reads("hang", link.hang_after_headers(), "/(studies|instances|series)")),
    ),
    QueryOutage("cut after the first page", _rule(_AFTER_FIRST_PAGE), pages=2),
)
