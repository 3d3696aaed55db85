"""A prefetch that cannot look, or cannot fetch, neither floods nor falls silent (CLAIM-PREFETCH-05)."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pynetdicom import evt

from fixtures.actors.queries import MODELS
from fixtures.actors.scp import StorageScp
from fixtures.clients import link
from fixtures.deployment.endpoints import DimseAddress
from fixtures.faults.outage import outage
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World, rules
from fixtures.world.orders import (
    audited,
    ended,
    fetched_since,
    last_line,
    newest,
    order_for,
    place,
    priors_of,
    report,
)

pytestmark = [pytest.mark.demo, needs("prefetch", "router-admin", "http-interposer")]

_PACS = "ORTHANC"
_SEARCHES = "/(studies|series|instances)(\\?|$)"


@dataclass(frozen=True)
class Failure:
    """A way in which a side cannot be asked; `reason` is a word of what the router must say about it."""

    name: str
    enter: Callable[[World], AbstractContextManager[object]]
    reason: str


def _pacs_cut(kind: str) -> Callable[[World], AbstractContextManager[object]]:
    @contextmanager
    def cut(world: World) -> Iterator[None]:
        host, port = world.link_endpoint.routes["pacs"].rsplit(":", 1)
        address = DimseAddress(_PACS, host, int(port))

        def dead() -> str | None:
            echo = world.modality().echo(address)
            return None if echo.succeeded else f"C-ECHO to the PACS: {echo.association}"

        with outage(
            world.link,
            ("pacs",),
            kind,
            probe=dead,
            healed=lambda: world.modality().echo(address).succeeded,
            windows=[],
        ):
            yield

    return cut


@contextmanager
def _pacs_refuses_queries(world: World) -> Iterator[None]:
    """Another archive in the place of the PACS, which ends every query with A700."""
    bind, seen = world.deployment.workstation_bind, world.deployment.workstation

    def refuse(_event: evt.Event) -> Iterator[tuple[int, None]]:
        yield 0xA700, None

    def instead(text: str) -> str:
        entry = rf'(ae_title = "{_PACS}"\nhost = )"[^"]*"(\nport = )\d+'
        changed, count = re.subn(entry, rf'\g<1>"{seen.host}"\g<2>{seen.port}', text)
        assert count == 1, "the router's file has no entry of the PACS"
        return changed

    archive = StorageScp(
        DimseAddress(_PACS, bind.host, bind.port),
        lambda _: 0x0000,
        more=[(evt.EVT_C_FIND, refuse)],
        more_sop_classes=[MODELS["C-FIND", "study"]],
    )
    with archive, world.router_settings(instead):
        yield


def _answers(status: int) -> Callable[[World], AbstractContextManager[object]]:
    return lambda world: world.cloud_answers(rules.reads(f"{status}", link.respond(status), _SEARCHES))


_PACS_FAILURES = (
    Failure("down", _pacs_cut("refuse"), "PACS"),
    Failure("abort", _pacs_cut("reset"), "PACS"),
    Failure("A700", _pacs_refuses_queries, "PACS"),
)
_CLOUD_FAILURES = (
    Failure("down", lambda world: world.cut("refuse"), "cloud"),
    Failure("503", _answers(503), "503"),
    Failure("401", _answers(401), "401"),
)


def _tried_again(world: World, number: int) -> dict[str, Any]:
    """The trigger when it has been tried a second time and waits."""

    def look() -> dict[str, Any]:
        found = report(world, number)
        assert found["attempts"] > 1, f"CLAIM-PREFETCH-05: trigger {number} is not tried again: {found}"
        assert found["reason"], found
        return found

    return eventually(look, within=world.bounds.settle, because=f"trigger {number} to be tried again")


def _expect_reported(world: World, number: int, since: int, reason: str) -> None:
    said = [
        line["reason"] for line in audited(world, "prefetch postponed", since) if line["trigger"] == number
    ]
    assert said, "CLAIM-PREFETCH-05: the audit trail does not tell of the failure"
    assert all(reason in each for each in said), f"CLAIM-PREFETCH-05: {reason!r} is not named: {said}"


@requirement("CLAIM-PREFETCH-05")
@needs("control")
@pytest.mark.parametrize("failure", _PACS_FAILURES, ids=lambda failure: failure.name)
@pytest.mark.lasting(4)
def test_pacs_that_cannot_be_asked_is_not_taken_for_empty(world: World, failure: Failure) -> None:
    """While the PACS cannot be asked nothing is fetched from the cloud; afterwards only what it lacks.

    CLAIM-PREFETCH-05: a failed lookup is no empty list.
    """
    patient = world.cast.patient(1)
    here, missing = priors_of(world, patient, ["20110602", "20050101"])
    world.arrange(here, "pacs")
    world.store_in_cloud([here, missing])
    mark, since = world.link_mark(), last_line(world)
    with failure.enter(world):
        assert place(world, order_for(patient)).code == "AA"
        number = newest(world)
        seen = _tried_again(world, number)
        assert failure.reason in seen["reason"], f"CLAIM-PREFETCH-05: {seen}"
        assert fetched_since(world, mark) == set(), "CLAIM-PREFETCH-05: fetched without knowing what is there"
    assert ended(world, number)["state"] == "done"
    _expect_reported(world, number, since, failure.reason)
    world.expect("pacs", [here, missing])
    assert fetched_since(world, mark) == missing.sop_instance_uids, "CLAIM-PREFETCH-05: more than was lacking"
    world.evidence.note(
        f"PACS ({failure.name}): nothing was fetched until it could be asked, then only what it lacked."
    )


@requirement("CLAIM-PREFETCH-05")
@needs("link")
@pytest.mark.parametrize("failure", _CLOUD_FAILURES, ids=lambda failure: failure.name)
@pytest.mark.lasting(4)
def test_cloud_that_cannot_be_asked_is_asked_again(world: World, failure: Failure) -> None:
    """While the cloud cannot be asked the order waits and says why; afterwards the priors come by themselves.

    CLAIM-PREFETCH-05: a failed lookup does not end the order for ever.
    """
    (prior,) = priors_of(world, world.cast.patient(1), ["20050101"])
    world.store_in_cloud([prior])
    since = last_line(world)
    with failure.enter(world):
        assert place(world, order_for(prior.patient)).code == "AA"
        number = newest(world)
        seen = _tried_again(world, number)
        assert failure.reason in seen["reason"], f"CLAIM-PREFETCH-05: {seen}"
    assert ended(world, number)["state"] == "done"
    _expect_reported(world, number, since, failure.reason)
    world.expect("pacs", [prior])
    world.evidence.note(
        f"Cloud ({failure.name}): the order waited, and its prior came once the cloud could be asked."
    )


@requirement("CLAIM-PREFETCH-05")
def test_failed_transfer_is_made_up_for(world: World) -> None:
    """An image that the cloud does not give the first time is reported and fetched by another attempt, and nothing twice.

    CLAIM-PREFETCH-05.
    """
    (prior,) = priors_of(world, world.cast.patient(1), ["20050101"])
    world.store_in_cloud([prior])
    since, bad = last_line(world), prior.instances[0].fingerprint
    once = rules.reads(
        "404", link.respond(404), rf"/instances/{re.escape(bad.sop_instance_uid)}(\?|$)", times=1
    )
    mark = world.link_mark()
    with world.cloud_answers(once):
        assert place(world, order_for(prior.patient)).code == "AA"
        number = newest(world)
        found = ended(world, number)
    assert (found["state"], found["attempts"]) == ("done", 2), f"CLAIM-PREFETCH-05: {found}"
    _expect_reported(world, number, since, "1 instances")
    world.expect("pacs", [prior])
    fetched = len(world.retrievals_since(mark))
    assert fetched == len(prior.instances) + 1, f"CLAIM-PREFETCH-05: {fetched} retrievals"
