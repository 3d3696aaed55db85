"""What the tests of the prefetch share: routers that take orders, look-alike patients, studies that lack something."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fixtures.actors.ris import Acknowledgement, Order, send_order
from fixtures.data import Instance, Patient, Study
from fixtures.data.encode import part10
from fixtures.deployment.spec import Address
from fixtures.evidence.fingerprint import Fingerprint
from fixtures.waiting import eventually
from fixtures.world import World
from suites.router.settings import Variant

_ON = {"prefetch.hl7.enabled": "true"}

PREFETCHING = Variant(
    "prefetching",
    keys={
        **_ON,
        "prefetch.on_arrival": "true",
        "prefetch.window_seconds": "3",
        "prefetch.assigning_authority": '"HOSP"',
    },
)
"""The defaults, triggered by orders and by arrivals, with a short window (ROUTER-135 to 145)."""

LIMITED = Variant(
    "prefetching-limited",
    keys={
        **_ON,
        "prefetch.strict_name": "true",
        "prefetch.hl7.message_types": '["OMI^O23"]',
        "prefetch.priors.max_count": "2",
        "prefetch.priors.max_age_days": "7300",
        "prefetch.priors.same_modality": "true",
        "prefetch.priors.exclude_ordered": "true",
    },
)
"""Every limit on (ROUTER-138, ROUTER-139), and another message type (ROUTER-135)."""

ENDED = ("done", "failed", "stopped")


def orders_at(world: World) -> Address:
    """Where the router takes orders."""
    address = world.deployment.router.hl7
    assert address is not None, "the deployment's router takes no orders"
    return address


def order_for(patient: Patient, **values: Any) -> Order:
    """An order for a patient, by ID and name."""
    family, given = [*patient.name.partition("=")[0].split("^"), ""][:2]
    return Order(**{"identifiers": patient.patient_id, "name": f"{family}^{given}", **values})


def place(world: World, order: Order | bytes) -> Acknowledgement:
    """Send an order."""
    return send_order(orders_at(world), order)


def triggers(world: World) -> list[dict[str, Any]]:
    """Every trigger the router knows, oldest first."""
    return list(reversed(world.router.http.request("GET", "/prefetch").json()))


def report(world: World, number: int) -> dict[str, Any]:
    """One trigger, with what became of each study."""
    return dict(world.router.http.request("GET", f"/prefetch/{number}").json())


def ended(world: World, number: int) -> dict[str, Any]:
    """A trigger once it has ended."""

    def look() -> dict[str, Any]:
        found = report(world, number)
        assert found["state"] in ENDED, f"trigger {number} is {found['state']}: {found['reason']}"
        return found

    return eventually(look, within=world.bounds.settle, because=f"trigger {number} to end")


def newest(world: World) -> int:
    """The number of the newest trigger, 0 before the first."""
    return max((int(row["id"]) for row in triggers(world)), default=0)


def run(world: World, order: Order) -> dict[str, Any]:
    """Place an order that must be accepted, and wait until what it started has ended."""
    before = newest(world)
    answer = place(world, order)
    assert answer.code == "AA", f"ROUTER-136: the order was answered {answer.code} {answer.text}"
    number = newest(world)
    assert number > before, "ROUTER-135: the acknowledged order has no trigger"
    return ended(world, number)


def alike(patient: Patient, patient_id: str) -> Patient:
    """Another patient of the same name."""
    return replace(patient, patient_id=patient_id)


def only(study: Study, keep: Callable[[Fingerprint], bool]) -> Study:
    """The instances of a study that are kept."""
    return replace(study, make=lambda: [one for one in study.instances if keep(one.fingerprint)])


def first_series(study: Study) -> Study:
    """A study without all but its first series."""
    wanted = study.series_instance_uids[0]
    return only(study, lambda one: one.series_instance_uid == wanted)


def fetched_since(world: World, mark: int) -> set[str]:
    """SOP Instance UIDs that were retrieved from the cloud after a mark at the link."""
    return {exchange.path.partition("?")[0].rpartition("/")[2] for exchange in world.retrievals_since(mark)}


def audited(world: World, event: str, since: int = 0) -> list[dict[str, Any]]:
    """Audit lines of one kind."""
    return [line for line in world.router.audit(since) if line["event"] == event]


def last_line(world: World) -> int:
    """The number of the newest audit line."""
    return int(world.router.audit()[-1]["seq"])


def priors_of(world: World, patient: Patient, dates: Sequence[str], modality: str = "CT") -> list[Study]:
    """Small studies of one patient, one a date."""
    return [world.series(patient=patient, study_date=date, modality=modality) for date in dates]


def under(study: Study, patient_id: str) -> Study:
    """The study as it is after its Patient ID was corrected: the same UIDs."""

    def corrected(instance: Instance) -> Instance:
        dataset = instance.dataset()
        dataset.PatientID = patient_id
        return Instance(part10(dataset), f"corrected {instance.description}")

    return replace(study, make=lambda: [corrected(one) for one in study.instances])
