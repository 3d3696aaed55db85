"""The admin interface: routes, authentication, start and stop of paths, connection tests."""

import json
from itertools import pairwise

from fixtures.waiting import eventually
from systems.router.store.audit import line_hash
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import FakeCloud, FakePacs, make_dataset, send


def test_everything_but_health_and_description_needs_the_token(router: RouterProcess) -> None:
    description = router.ask("GET", "/openapi.json", token="wrong").json()  # noqa: S106
    anonymous = {"/health/live", "/health/ready", "/openapi.json"}

    for path, operations in description["paths"].items():
        for method in operations:
            answer = router.ask(method.upper(), path.replace("{", "").replace("}", ""), token="wrong")  # noqa: S106
            assert (answer.status_code == 401) == (path not in anonymous), (method, path)
    assert len(description["paths"]) >= 15


def test_stopping_a_path_closes_its_listener_and_no_other(router: RouterProcess) -> None:
    before = router.intake
    assert router.ask("POST", "/paths/modality-intake/stop").json()["state"] == "stopped"
    assert send(router.intake, [make_dataset()]) == [None]
    assert router.ask("GET", "/health/ready").status_code == 503
    assert send(router.bridge, [make_dataset()], called="QIETOAZURE") == [0]

    assert router.ask("POST", "/paths/modality-intake/start").json() == {
        "name": "modality-intake",
        "state": "running",
        "port": before,
    }
    assert send(router.intake, [make_dataset()]) == [0]
    assert router.ask("GET", "/health/ready").status_code == 200


def test_stopped_pacs_bridge_holds_its_deliveries(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs
) -> None:
    router.ask("POST", "/paths/pacs-bridge/stop")
    send(router.intake, [make_dataset()])
    eventually(lambda: cloud.stored, within=10, because="the cloud copy")
    assert pacs.stored == {}
    assert router.destination("ORTHANC")["state"] == "stopped"
    router.ask("POST", "/paths/pacs-bridge/start")
    eventually(lambda: pacs.stored, within=10, because="the PACS copy")


def test_paused_queue_is_shown_and_resumes(router: RouterProcess, cloud: FakeCloud) -> None:
    assert router.ask("POST", "/queues/cloud/pause").json()["state"] == "paused"
    ds = make_dataset()
    send(router.intake, [ds])
    tasks = router.ask("GET", "/queues/cloud").json()["tasks"]
    assert [task["sop_instance_uid"] for task in tasks] == [ds.SOPInstanceUID]
    assert router.destination("cloud")["oldest_age_seconds"] >= 0
    router.ask("POST", "/queues/cloud/resume")
    eventually(lambda: cloud.stored, within=10, because="delivery")


def test_wake_ends_a_long_back_off(make_router: MakeRouter, cloud: FakeCloud) -> None:
    router = make_router(backoff="first_seconds = 200\nceiling_seconds = 300")
    cloud.script = [lambda _: (503, {}, b"")]
    send(router.intake, [make_dataset()])
    eventually(lambda: router.destination("cloud")["last_error"], within=10, because="the refusal")
    router.ask("POST", "/queues/cloud/wake")
    eventually(lambda: cloud.stored, within=5, because="delivery after the wake")


def test_connection_tests_name_each_peer_and_show_no_token(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs
) -> None:
    answer = router.ask("POST", "/connection-tests")
    assert {(item["name"], item["passed"]) for item in answer.json()} == {
        ("oauth", True),
        ("cloud-qido", True),
        ("echo-ORTHANC", True),
    }
    assert not any(token in answer.text for token in cloud.valid_tokens)

    pacs.stop()
    cloud.secret = "changed"  # noqa: S105
    verdicts = {item["name"]: item for item in router.ask("POST", "/connection-tests").json()}
    assert not verdicts["oauth"]["passed"]
    assert "invalid_client" in verdicts["oauth"]["detail"]
    assert not verdicts["echo-ORTHANC"]["passed"]
    pacs.start()


def test_wrong_secret_holds_the_queue_and_a_corrected_file_lets_it_go(
    make_router: MakeRouter, cloud: FakeCloud
) -> None:
    cloud.secret = "rotated"  # noqa: S105
    router = make_router()
    send(router.intake, [make_dataset()])
    eventually(
        lambda: "invalid_client" in router.destination("cloud")["last_error"], within=10, because="the hold"
    )
    assert send(router.bridge, [make_dataset()], called="QIETOAZURE") == [0x0124]
    assert router.destination("cloud")["dead_lettered"] == 0

    (router.folder / "secret").write_text("rotated")

    eventually(lambda: cloud.stored, within=10, because="delivery with the corrected secret")
    assert "rotated" not in router.ask("GET", "/config").text + router.log.read_text()


def test_refused_token_is_renewed_once_and_the_request_repeated(
    router: RouterProcess, cloud: FakeCloud
) -> None:
    assert send(router.bridge, [make_dataset()], called="QIETOAZURE") == [0]
    cloud.valid_tokens.clear()
    assert send(router.bridge, [make_dataset()], called="QIETOAZURE") == [0]
    assert len(cloud.token_requests) == 2


def test_audit_is_chained_and_resumable(router: RouterProcess, cloud: FakeCloud, pacs: FakePacs) -> None:
    ds = make_dataset()
    send(router.intake, [ds])
    eventually(lambda: cloud.stored and pacs.stored, within=10, because="delivery")
    eventually(
        lambda: router.destination("cloud")["delivered"] and router.destination("ORTHANC")["delivered"],
        within=5,
        because="records",
    )

    lines = [json.loads(line) for line in router.ask("GET", "/audit").text.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    for before, after in pairwise(lines):
        assert after["previous"] == before["hash"]
        assert line_hash(after) == after["hash"]
    delivered = {line["destination"] for line in lines if line["event"] == "delivered"}
    assert delivered == {"cloud", "ORTHANC"}
    rest = router.ask("GET", f"/audit?since={len(lines) - 1}").text.splitlines()
    assert [json.loads(line)["seq"] for line in rest] == [len(lines)]


def test_metrics_and_errors_are_readable(router: RouterProcess) -> None:
    metrics = router.ask("GET", "/metrics").text
    assert 'router_path_running{path="cloud-bridge"} 1' in metrics
    for method, path in (
        ("POST", "/paths/nowhere/start"),
        ("GET", "/queues/nowhere"),
        ("POST", "/queues/cloud/explode"),
        ("POST", "/dead-letters/99/retry"),
        ("GET", "/instances/1.2.3"),
        ("GET", "/migrations/none"),
    ):
        answer = router.ask(method, path)
        assert answer.status_code == 404, path
        assert answer.json()["error"]
    assert router.ask("POST", "/migrations", {"select": {"oldest": 1}}).status_code == 400
