"""Killing the router at moments that are seen from outside (CLAIM-DUAL-07)."""

from collections.abc import Callable
from dataclasses import dataclass

from fixtures.clients.link import Rule
from fixtures.waiting import eventually
from fixtures.world import Sending, World, rules


@dataclass(frozen=True)
class Moment:
    """When to kill: `seen` becomes true at the moment; `rules` hold the cloud back so that it can be hit."""

    name: str
    seen: Callable[[World, Sending, int], bool]
    rules: tuple[Rule, ...] = ()
    every: float = 0.002
    """Seconds between two looks; a look over the network takes from the systems what they need to get there."""


def _some_data_sent(_world: World, sending: Sending, number: int) -> bool:
    return sending.attempted >= 2 + number


def _last_data_sent(_world: World, sending: Sending, _number: int) -> bool:
    return sending.attempted >= sending.total


def _answers_received(_world: World, sending: Sending, number: int) -> bool:
    return len(sending.acknowledged) >= min(sending.total, 2 * (number + 1))


def _upload_begun(world: World, _sending: Sending, _number: int) -> bool:
    return world.link_bytes("cloud", "up") > world.bytes_mark


def _upload_held(world: World, _sending: Sending, _number: int) -> bool:
    return world.rule_hits() > 0


def _pacs_has_it_cloud_not(world: World, sending: Sending, _number: int) -> bool:
    return len(world.held("pacs", sending.studies)) >= sending.total // 2


_OVER_THE_NETWORK = 0.01

MOMENTS = (
    Moment("n-th data set sent", _some_data_sent),
    Moment("last data set sent", _last_data_sent),
    Moment("answers received", _answers_received),
    Moment("first byte of an upload", _upload_begun, every=_OVER_THE_NETWORK),
    Moment(
        "upload passed and answer held",
        _upload_held,
        (rules.stores_delayed(3.0, "after"),),
        _OVER_THE_NETWORK,
    ),
    Moment("between PACS and cloud", _pacs_has_it_cloud_not, (rules.stores_delayed(3.0),), _OVER_THE_NETWORK),
)


def kill_round(world: World, moment: Moment, number: int) -> None:
    """One round: send, kill at the moment, restart, send again what was not acknowledged, and compare both places."""
    studies = world.sized_studies(count=2, instances=5)
    with world.cloud_answers(*moment.rules):
        world.bytes_mark = world.link_bytes("cloud", "up")
        with world.sending(studies, "intake") as sending:
            eventually(
                lambda: moment.seen(world, sending, number),
                within=world.bounds.settle,
                every=moment.every,
                because=f"the moment '{moment.name}'",
            )
            world.kill("router")
    world.start("router")
    acknowledged = sending.result().acknowledged
    unanswered = [s for s in studies if world.sop_uids([s]) - acknowledged]
    assert world.send(unanswered, "intake").all_success, (
        f"round {number}: the repeat of what was not acknowledged"
    )
    world.expect_both(studies)
    world.expect_created_once(studies)
