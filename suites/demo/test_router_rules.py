"""Rules of the router: which data goes to the cloud, to a second service, or to the PACS only (CLAIM-ROUTER-07)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from fixtures.data import Instance, Study
from fixtures.data.encode import part10
from fixtures.evidence.fingerprint import Fingerprint, same
from fixtures.traceability import needs, requirement
from fixtures.world import World

pytestmark = pytest.mark.demo

US_CLASS = "1.2.840.10008.5.1.4.1.1.3.1"
RULES = f"""
[[destinations]]
name = "RESEARCH"
kind = "dimse"
peer = "WORKSTATION"

[[rules]]
name = "magnetic resonance to the cloud and the PACS"
destinations = ["ORTHANC", "cloud"]
called_ae_titles = ["QIEROUTER"]
modalities = ["MR"]

[[rules]]
name = "ultrasound clips to research"
destinations = ["RESEARCH"]
sop_classes = ["{US_CLASS}"]

[[rules]]
name = "of a trial also to research"
destinations = ["RESEARCH"]
tags = {{"0012,0010" = ["*"]}}

[[rules]]
name = "one sponsor's also to the cloud"
destinations = ["cloud"]
tags = {{"0012,0010" = ["North*"]}}

[[rules]]
name = "the rest to the PACS"
destinations = ["ORTHANC"]
modalities = ["CT", "DX"]
"""


@dataclass(frozen=True)
class Sample:
    """A study and the places where the rules send it; none for one that no rule knows."""

    study: Study
    places: frozenset[str]


def _of_sponsor(study: Study, sponsor: str) -> Study:
    """The study with a Clinical Trial Sponsor Name in every instance."""

    def marked(instance: Instance) -> Instance:
        dataset = instance.dataset()
        dataset.ClinicalTrialSponsorName = sponsor
        return Instance(part10(dataset), f"{instance.description} of a trial")

    return replace(study, make=lambda: [marked(instance) for instance in study.instances])


def _mix(world: World) -> dict[str, Sample]:
    """What is sent, by what it is."""

    def one(modality: str, sponsor: str = "") -> Study:
        study = world.series(instances=2, modality=modality)
        return _of_sponsor(study, sponsor) if sponsor else study

    return {
        "MR": Sample(one("MR"), frozenset({"pacs", "cloud"})),
        "US": Sample(one("US"), frozenset({"research"})),
        "CT": Sample(one("CT"), frozenset({"pacs"})),
        "DX of a trial": Sample(one("DX", "Southern Trials"), frozenset({"pacs", "research"})),
        "CT of the sponsor": Sample(one("CT", "Northern Trials"), frozenset({"pacs", "cloud", "research"})),
        "CR that no rule knows": Sample(one("CR"), frozenset()),
    }


@requirement("CLAIM-ROUTER-07")
@needs("control", "router-admin")
@pytest.mark.lasting(10)
def test_each_destination_gets_what_the_rules_say(world: World) -> None:
    """A mix of data reaches exactly the places its rules name; what no rule knows is held and reported.

    CLAIM-ROUTER-07: the second service takes C-STORE, because this router speaks to one DICOMweb service.
    """
    with world.new_router(lambda text: text + RULES):
        samples = _mix(world)
        bind = world.deployment.workstation_bind
        with world.workstation.receiving(bind) as research:
            for name, sample in samples.items():
                assert world.send([sample.study], "intake").all_success, name
            world.router.drained(within=world.bounds.settle)
            arrived = list(research.received)
        for name, sample in samples.items():
            seen = {
                "pacs": world.held("pacs", [sample.study]),
                "cloud": world.held("cloud", [sample.study]),
                "research": {f.sop_instance_uid for f in arrived} & world.sop_uids([sample.study]),
            }
            wanted = {
                place: world.sop_uids([sample.study]) if place in sample.places else set() for place in seen
            }
            assert seen == wanted, f"{name} belongs in {sorted(sample.places)}: {seen}"
        _unchanged(samples, arrived)
        _held_and_reported(world, samples["CR that no rule knows"].study)
    for side in ("pacs", "cloud"):
        world.expect(side, [sample.study for sample in samples.values() if side in sample.places])
    world.evidence.note(
        f"{len(samples)} kinds of data went where {RULES.count('[[rules]]')} rules say; one was held and reported."
    )


def _unchanged(samples: Mapping[str, Sample], arrived: list[Fingerprint]) -> None:
    sent = {i.sop_instance_uid: i.fingerprint for s in samples.values() for i in s.study.instances}
    uids = [each.sop_instance_uid for each in arrived]
    assert len(uids) == len(set(uids)), "the second service got an instance twice"
    assert all(same(sent[each.sop_instance_uid], each) for each in arrived), "altered for the second service"


def _held_and_reported(world: World, study: Study) -> None:
    status = world.router.status()
    assert status["held"] == len(study.instances)
    assert [alarm for alarm in status["alarms"] if "no routing rule" in alarm], status["alarms"]
    for instance in study.instances:
        assert world.router.instance(instance.sop_instance_uid).status == 200, "held, and not known any more"
