"""Whom the router trusts and what it keeps to itself: secrets, identity, certificates, source networks (ROUTER-003, 123 to 125, 159)."""

import json

import pytest
import trustme

from fixtures.actors.association import REJECTED
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.router.clients import study_keys, witness
from suites.router.conftest import VariantWorld
from suites.router.settings import NARROW, Variant

pytestmark = pytest.mark.router
FOREIGN = Variant(
    "foreign",
    keys={"paths.cloud-bridge.allowed_networks": '["192.0.2.0/24"]'},
    files={"ca.pem": trustme.CA().cert_pem.bytes()},
    ready_without_bridge=True,
)
"""A router that trusts an authority which has signed nothing here, and whose bridge is for a network that nobody is in."""


@requirement("ROUTER-123", "ROUTER-159")
@needs("control")
def test_no_secret_and_no_patient_in_what_the_router_says(world: World) -> None:
    """Neither secrets nor tokens nor patients are in the export, status, metrics, audit, error comments or the log."""
    study = world.cast.study(1, "new")
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    with world.cut("refuse"):
        comment = world.send([world.cast.study(2, "new")], "bridge").outcomes[0].comment
        world.workstation.find(
            world.bridge, "STUDY", study_keys(study, PatientName="", PatientID=study.patient.patient_id)
        )
        tests = world.connection_tests()
    said = {
        "the log": world.control.logs("router"),
        "GET /config": json.dumps(world.router.config()),
        "GET /status": json.dumps(world.router.status()),
        "GET /metrics": world.router.metrics(),
        "GET /audit": json.dumps(world.router.audit()),
        "POST /connection-tests": str(tests),
        "GET /instances": str(world.router.instance(study.instances[0].sop_instance_uid).body),
        "an Error Comment": comment,
    }
    assert said["the log"], "nothing was logged, so nothing was shown"
    deployed = world.deployment
    secrets = {
        "the client secret": deployed.identity.applications["router"].secret,
        "the admin token": deployed.router.admin_token,
        "the PACS password": deployed.pacs.password,
        "a token": "eyJ",
    }
    family = str(study.instances[0].dataset().PatientName.family_name)
    people = {"a Patient ID": study.patient.patient_id, "a patient's name": family}
    found = [
        f"{what} is in {where}"
        for where, text in said.items()
        for what, value in {**secrets, **people}.items()
        if value in text
    ]
    assert not found, f"ROUTER-123, ROUTER-159: {found}"


@requirement("ROUTER-124")
@needs("http-interposer")
def test_router_has_an_identity_of_its_own(world: World) -> None:
    """Every request of the router carries the router's application, which is nobody else's."""
    study = world.series(instances=1)
    mark = world.link_mark()
    assert world.send([study], "bridge").all_success
    assert world.find_through_bridge("STUDY", study).status == 0x0000
    applications = world.deployment.identity.applications
    callers = {e["client_id"] for e in world.link.exchanges("cloud", mark) if e["status"] not in (401, None)}
    assert callers == {applications["router"].client_id}, f"ROUTER-124: requests of {callers}"
    others = {name: one.client_id for name, one in applications.items() if name != "router"}
    assert applications["router"].client_id not in others.values()


@requirement("ROUTER-125")
@needs("control")
def test_cloud_with_a_certificate_of_another_authority_is_not_trusted(variant_world: VariantWorld) -> None:
    """A trust store without the cloud's CA: the connection tests name the certificate, and nothing is uploaded."""
    with variant_world(FOREIGN) as world:
        tests = world.connection_tests()
        for name in ("oauth", "cloud-qido"):
            assert not tests[name].passed, f"ROUTER-125: {name} trusts a foreign authority"
        assert "certificate" in tests["oauth"].detail.lower(), tests["oauth"].detail
        study = world.series(instances=1)
        assert world.send([study], "intake").all_success
        world.expect("pacs", [study])
        row = eventually(
            lambda: (found := world.router.destination("cloud"))["last_error"] and found,
            within=20,
            because="the cloud's queue to say why it does not deliver",
        )
        assert (row["delivered"], row["dead_lettered"]) == (0, 0), f"ROUTER-125: {row}"
        assert world.held("cloud", [study]) == set()


@requirement("ROUTER-003")
@needs("control")
def test_allow_list_of_source_networks_is_enforced(variant_world: VariantWorld) -> None:
    """A caller from outside the listed networks is rejected (result 1, source 1, reason 3); the other listener lets it in."""
    with variant_world(FOREIGN) as world:
        answer = witness(world, "pynetdicom").echo(world.bridge)
        assert answer.association == REJECTED, f"ROUTER-003 demands A-ASSOCIATE-RJ: {answer}"
        assert "result 1, source 1, reason 3" in answer.comment, answer.comment
        assert witness(world, "dcmtk").echo(world.bridge).association == REJECTED
        assert witness(world, "dcmtk").echo(world.intake).succeeded


@requirement("ROUTER-125")
@needs("control")
def test_verification_that_is_off_shows_in_the_status(world: World, variant_world: VariantWorld) -> None:
    """The test-only flag is a warning of the status page; without it there is none."""
    assert not [w for w in world.router.status()["warnings"] if "verif" in w], (
        "ROUTER-125: the reference verifies"
    )
    with variant_world(NARROW) as narrow:
        warnings = narrow.router.status()["warnings"]
        assert [w for w in warnings if "verif" in w], f"ROUTER-125: not in the status: {warnings}"
