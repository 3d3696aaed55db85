"""What operators see and do (ROUTER-001, 002, 005, 008, 009, 046, 101, 155 to 157, 161, 199, 202)."""

import json
import re

import pytest

from fixtures.clients import link
from fixtures.clients.link import Match, Rule
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from fixtures.world import World
from suites.router.clients import study_keys
from suites.router.conftest import VariantWorld, WitnessBy
from suites.router.settings import NARROW, STRICT

pytestmark = pytest.mark.router


@requirement("ROUTER-008", "ROUTER-002", "ROUTER-005", "ROUTER-046")
def test_configuration_can_be_exported(world: World) -> None:
    """The export names listeners, peers, destinations, rules, limits and where secrets come from."""
    shown = world.router.config()
    text = json.dumps(shown)
    for part in (
        "cloud_bridge",
        "modality_intake",
        "pacs_bridge",
        "peers",
        "destinations",
        "rules",
        "spool",
        "timers",
    ):
        assert part in shown, f"ROUTER-008: the export lacks {part}: {sorted(shown)}"
    assert {"ORTHANC", "WORKSTATION"} <= {peer["ae_title"] for peer in shown["peers"]}, "ROUTER-005"
    assert shown["cloud_bridge"]["mode"] == world.router.path("cloud-bridge")["mode"], "ROUTER-046"
    assert "client-secret" in text, "ROUTER-008: the place of the secret, not the secret"
    assert world.router.config() == shown, "two exports of one configuration differ"


@requirement("ROUTER-009")
@needs("link")
def test_connection_tests_give_verdict_and_reason(world: World) -> None:
    """Token, search and C-ECHO to each peer: passed with a detail, and failed with the reason when the link is cut."""
    well = world.connection_tests()
    assert {"oauth", "cloud-qido", "echo-ORTHANC", "echo-WORKSTATION"} <= set(well), (
        f"ROUTER-009: {sorted(well)}"
    )
    assert all(result.passed and result.detail for result in well.values()), well
    assert "200" in well["oauth"].detail, "ROUTER-009: the HTTP status of the OAuth test"
    assert "bearer" in well["oauth"].detail.lower(), "ROUTER-009: the token type"
    with world.cut("refuse"):
        badly = world.connection_tests()
    failed = {name for name, result in badly.items() if not result.passed}
    assert failed == {"oauth", "cloud-qido"}, f"ROUTER-009: with the cloud cut off {failed} failed"
    assert all(badly[name].detail for name in failed)


@requirement("ROUTER-155", "ROUTER-001")
def test_counters_belong_to_their_path(world: World, by: WitnessBy) -> None:
    """Objects for the intake count there, those for the bridge there, and an instance can be looked up."""
    first, second = world.sized_studies(count=2, instances=2)
    world.register([first, second])
    before = {row["name"]: row["received"] for row in world.router.status()["paths"]}
    assert len(by().send(first.instances, world.intake, via="intake").acknowledged) == 2
    assert len(by().send(second.instances, world.bridge, via="bridge").acknowledged) == 2
    after = {row["name"]: row["received"] for row in world.router.status()["paths"]}
    grown = {name: after[name] - before[name] for name in after}
    assert grown["modality-intake"] == grown["cloud-bridge"] == 2, f"ROUTER-155: {grown}"
    world.expect("cloud", [first, second])
    world.expect("pacs", [first])
    found = world.router.instance(first.instances[0].sop_instance_uid)
    assert found.status == 200, "ROUTER-155: per instance lookup"
    assert {"ORTHANC", "cloud"} <= set(re.findall(r"ORTHANC|cloud", found.body.decode())), found.body
    unknown = world.router.instance(world.run.uid(world.scene, 66, 6))
    assert unknown.status == 404


@requirement("ROUTER-156")
@needs("link")
def test_health_readiness_and_destinations(world: World) -> None:
    """Liveness and readiness answer anybody; each destination says when it last worked and why it does not."""
    nobody = world.http(world.deployment.router.admin_url)
    for path in ("/health/live", "/health/ready"):
        assert nobody.request("GET", path).status == 200, f"ROUTER-156: {path}"
    study = world.series(instances=1)
    with world.cut("refuse"):
        assert world.send([study], "intake").all_success
        row = eventually(
            lambda: (
                (found := world.router.destination("cloud"))["last_error"]
                and found["backoff_until"]
                and found
            ),
            within=20,
            because="the cloud's row to name error and back-off (ROUTER-156)",
        )
        assert row["waiting"] + row["in_progress"] == 1, row
        assert row["oldest_age_seconds"] is not None, "ROUTER-156: oldest age"
        assert nobody.request("GET", "/health/ready").status == 200, "ROUTER-189: ready without a cloud"
    world.expect("cloud", [study])
    row = world.router.destination("cloud")
    assert row["last_success"], "ROUTER-156: last success"
    assert not row["backoff_until"], row


@requirement("ROUTER-157")
def test_metrics_are_prometheus_text_and_move(world: World) -> None:
    """The metrics parse, cover the topics of the record, and count what was sent."""
    study = world.series(instances=3)
    before = _metrics(world)
    assert world.send([study], "intake").all_success
    world.expect_both([study])
    assert world.find_through_bridge("STUDY", study).status == 0x0000
    world.router.drained(within=world.bounds.settle)
    after = _metrics(world)
    moved = {name for name, value in after.items() if value > before.get(name, 0)}
    received = [name for name in moved if "objects_received" in name and "modality-intake" in name]
    assert received, f"ROUTER-157: no counter of received objects moved: {sorted(moved)}"
    assert after[received[0]] - before[received[0]] == 3
    topics = {
        "associations": "associations",
        "DIMSE statuses": "dimse",
        "HTTP codes": "cloud_answers|http",
        "queue depth": "waiting",
        "oldest age": "oldest",
        "bytes": "bytes",
        "latencies": "seconds_(sum|bucket|count)|latency",
        "token renewals": "token_renewals",
        "disk use": "disk",
    }
    missing = [
        topic for topic, pattern in topics.items() if not any(re.search(pattern, name) for name in after)
    ]
    assert not missing, f"ROUTER-157: no metric for {missing}"


def _metrics(world: World) -> dict[str, float]:
    values: dict[str, float] = {}
    for line in world.router.metrics().splitlines():
        if line.startswith("#") or not line.strip():
            continue
        parsed = re.fullmatch(r"([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (\S+)", line)
        assert parsed, f"ROUTER-157: not the text exposition format: {line!r}"
        values[parsed[1]] = float(parsed[2])
    return values


@requirement("ROUTER-161")
@needs("control", "link")
def test_alarms_of_an_outage_come_and_go(variant_world: VariantWorld) -> None:
    """A destination down longer than its bound and an oldest task older than its bound are alarms; later they are gone."""
    with variant_world(NARROW) as world:
        study = world.series(instances=1)
        name = "cloud: "
        with world.cut("refuse"):
            assert world.send([study], "intake").all_success
            alarms = eventually(
                lambda: _both([a for a in world.router.status()["alarms"] if a.startswith(name)]),
                within=20,
                because="alarms for the destination that is down and its oldest object (ROUTER-161)",
            )
            assert alarms
        world.expect("cloud", [study])
        eventually(
            lambda: not [a for a in world.router.status()["alarms"] if "down" in a or "oldest" in a],
            within=10,
            because="the alarms to end with the outage (ROUTER-161)",
        )


def _both(alarms: list[str]) -> list[str]:
    assert any("down" in alarm for alarm in alarms), alarms
    assert any("oldest" in alarm for alarm in alarms), alarms
    return alarms


@requirement("ROUTER-199")
def test_admin_interface_describes_itself(world: World) -> None:
    """The served OpenAPI description names every verb operators and this suite use."""
    answer = world.router.http.request("GET", "/openapi.json")
    assert answer.status == 200, answer.describe()
    described = {(verb.upper(), path) for path, verbs in answer.json()["paths"].items() for verb in verbs}
    wanted = {
        ("POST", "/paths/{name}/start"),
        ("POST", "/paths/{name}/stop"),
        ("GET", "/queues/{destination}"),
        ("GET", "/dead-letters"),
        ("POST", "/dead-letters/{id}/retry"),
        ("GET", "/status"),
        ("POST", "/connection-tests"),
        ("GET", "/config"),
        ("POST", "/migrations"),
        ("GET", "/migrations/{id}"),
        ("GET", "/audit"),
        ("GET", "/instances/{sop_instance_uid}"),
    }
    assert wanted <= described, f"ROUTER-199: not described: {sorted(wanted - described)}"
    assert any(path.startswith("/reconciliations") for _, path in described), "ROUTER-199: reconciliation"
    assert any(verb != "GET" and "config" in path for verb, path in described), (
        "ROUTER-199: configuration load"
    )


@requirement("ROUTER-202")
@needs("control")
def test_timers_that_do_not_fit_are_warned_of(world: World, variant_world: VariantWorld) -> None:
    """A bound that is not below its peer's timer is a warning that names the peer; the reference has none."""
    assert not [w for w in world.router.status()["warnings"] if "timer" in w.lower()]
    with variant_world(STRICT) as strict:
        warnings = strict.router.status()["warnings"]
        assert [w for w in warnings if "WORKSTATION" in w], (
            f"ROUTER-202: no warning for WORKSTATION: {warnings}"
        )
        assert not [w for w in warnings if "ORTHANC" in w], f"ROUTER-202: ORTHANC's timer fits: {warnings}"


@requirement("ROUTER-101")
@needs("http-interposer")
def test_queries_go_on_while_a_queue_is_paused_and_stores_are_slow(world: World) -> None:
    """A paused PACS queue and a slow cloud hold up neither C-ECHO nor C-FIND."""
    study = world.series(instances=1)
    world.store_in_cloud([study])
    world.router.pause("ORTHANC")
    try:
        with world.cloud_answers(Rule("slow", link.delay(2.0), Match(method="POST"))):
            assert world.send(world.sized_studies(count=2, instances=2), "intake").all_success
            found = world.workstation.find(world.bridge, "STUDY", study_keys(study))
            assert found.status == 0x0000, found.describe()
            assert world.router.destination("ORTHANC")["state"] == "paused"
    finally:
        world.router.resume("ORTHANC")
    world.router.drained(within=world.bounds.settle)
