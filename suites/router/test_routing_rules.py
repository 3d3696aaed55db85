"""Routing rules: which object goes where, and what becomes of one that matches none (ROUTER-161, 191)."""

import pytest

from fixtures.traceability import needs, requirement
from suites.router.conftest import VariantWorld
from suites.router.settings import STRICT

pytestmark = pytest.mark.router
MR_CLASS, US_CLASS = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.3.1"


@requirement("ROUTER-191")
@needs("control")
def test_rules_select_destinations(variant_world: VariantWorld) -> None:
    """By modality, calling AE title and SOP class: to both, to one, to all that match."""
    with variant_world(STRICT) as world:
        ct, us, research = (
            world.series(instances=1),
            world.of_class(US_CLASS, instances=1),
            world.of_class(US_CLASS, instances=1),
        )
        assert world.send([ct, us], "intake").all_success
        assert world.send([research], "intake", ae="ALLOWED").all_success
        world.expect_both([ct, research])
        world.expect("pacs", [us])
        world.router.drained(within=world.bounds.settle)
        assert world.held("cloud", [us]) == set(), (
            "ROUTER-191: no rule sends ultrasound of this modality to the cloud"
        )


@requirement("ROUTER-191", "ROUTER-161")
@needs("control")
def test_object_that_matches_no_rule_is_held_and_alarmed(variant_world: VariantWorld) -> None:
    """It is acknowledged, in neither place, shown as held with an alarm, and still known: not dropped."""
    with variant_world(STRICT) as world:
        study = world.of_class(MR_CLASS, instances=1)
        before = world.router.status()["held"]
        assert world.send([study], "intake").all_success
        status = world.router.status()
        assert status["held"] == before + 1, "ROUTER-191: held"
        assert [a for a in status["alarms"] if "no routing rule" in a], (
            f"ROUTER-191: no alarm: {status['alarms']}"
        )
        assert world.router.instance(study.instances[0].sop_instance_uid).status == 200, "ROUTER-191: dropped"
        world.router.drained(within=world.bounds.settle)
        assert world.held("pacs", [study]) == world.held("cloud", [study]) == set()
