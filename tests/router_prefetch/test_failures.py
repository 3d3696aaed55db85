"""The shipped router with sides that fail, and killed: triggers are neither lost nor turned into floods."""

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.waiting import eventually
from tests.router.conftest import RouterProcess
from tests.router.fakes import make_dataset, send
from tests.router_prefetch.conftest import MakePrefetcher, finished, trigger_port
from tests.router_prefetch.peers import order, put_into_cloud, send_order
from tests.router_prefetch.queryable_pacs import QueryablePacs


@pytest.fixture
def archive() -> Iterator[QueryablePacs]:
    pacs = QueryablePacs()
    yield pacs
    pacs.hold.set()
    pacs.stop()


def waiting_because(router: RouterProcess, number: int = 1) -> str:
    def postponed() -> str:
        found: dict[str, Any] = router.ask("GET", f"/prefetch/{number}").json()
        return str(found["reason"]) if found["attempts"] >= 2 else ""

    return eventually(postponed, within=20, because="a second attempt")


def test_failing_pacs_lookup_moves_nothing_and_is_repeated_until_it_works(
    make_prefetcher: MakePrefetcher, service: str, archive: QueryablePacs
) -> None:
    """ROUTER-142: A700, then an abort, then an answer."""
    prior = make_dataset()
    put_into_cloud(service, [prior])
    archive.find_status = 0xA700
    router = make_prefetcher("max_failures = 1", pacs_port=archive.port)
    assert send_order(trigger_port(router), order())[0] == "AA"

    assert "A700" in waiting_because(router)
    assert archive.order == []
    archive.aborts = True
    eventually(
        lambda: "aborted" in router.ask("GET", "/prefetch/1").json()["reason"],
        within=20,
        because="an attempt that the PACS aborted",
    )
    archive.find_status, archive.aborts = None, False

    assert finished(router)["state"] == "done"
    assert archive.order == [prior.SOPInstanceUID]


def test_failing_cloud_is_asked_again_and_a_full_ledger_says_so(
    make_prefetcher: MakePrefetcher, archive: QueryablePacs
) -> None:
    """ROUTER-142, ROUTER-136: no cloud; the trigger waits, and a trigger too many is answered AE."""
    router = make_prefetcher(
        "max_waiting = 1\nmax_failures = 1", pacs_port=archive.port, cloud_url="http://127.0.0.1:1"
    )
    assert send_order(trigger_port(router), order())[0] == "AA"
    assert "the cloud could not be asked" in waiting_because(router)

    answers = {send_order(trigger_port(router), order("OTHER-1"))[0] for _ in range(3)}

    assert answers == {"AE"}
    assert archive.queries == []
    assert router.path("prefetch-trigger")["refused"] == 3
    assert router.path("prefetch-trigger")["received"] == 1
    assert 'router_prefetch_messages_total{code="AE"} 3' in router.ask("GET", "/metrics").text


def test_acknowledged_order_survives_kill_in_the_middle_of_its_work(
    make_prefetcher: MakePrefetcher, service: str, archive: QueryablePacs
) -> None:
    """ROUTER-136: killed while the first prior is on its way to the PACS."""
    theirs = [make_dataset(StudyDate=f"200{n}0101") for n in range(3)]
    put_into_cloud(service, theirs)
    archive.hold.clear()
    router = make_prefetcher(pacs_port=archive.port)
    assert send_order(trigger_port(router), order())[0] == "AA"
    assert archive.arrived.wait(20)

    router.kill()
    archive.hold.set()
    router.start()

    report = finished(router)
    assert (report["state"], report["attempts"]) == ("done", 2)
    assert set(archive.held) == {ds.SOPInstanceUID for ds in theirs}


def test_instance_that_the_pacs_refuses_is_tried_a_bounded_number_of_times(
    make_prefetcher: MakePrefetcher, service: str, archive: QueryablePacs
) -> None:
    """ROUTER-142: reported, alarmed, and run again when an operator says so."""
    put_into_cloud(service, [make_dataset()])
    archive.always = 0xA900
    router = make_prefetcher("max_failures = 2", pacs_port=archive.port)
    send_order(trigger_port(router), order())

    report = finished(router)

    assert (report["state"], len(archive.order)) == ("failed", 2)
    assert "given up after 2 attempts" in report["reason"]
    assert any("1 triggers failed" in alarm for alarm in router.status()["alarms"])
    archive.always = None
    assert router.ask("POST", "/prefetch/1/retry").json() == {"id": 1, "state": "waiting"}
    assert finished(router)["state"] == "done"
    assert router.ask("POST", "/prefetch/1/retry").status_code == 404


def test_stopped_pacs_bridge_makes_triggers_wait(
    make_prefetcher: MakePrefetcher, service: str, archive: QueryablePacs
) -> None:
    """ROUTER-007: the path towards the PACS is closed; and so is the trigger's own when it is stopped."""
    put_into_cloud(service, [make_dataset()])
    router = make_prefetcher(pacs_port=archive.port)
    router.ask("POST", "/paths/pacs-bridge/stop")
    send_order(trigger_port(router), order())
    assert waiting_because(router) == "the path pacs-bridge is stopped"
    assert archive.queries == []
    assert router.ask("POST", "/paths/prefetch-trigger/stop").json()["state"] == "stopped"
    with pytest.raises(ConnectionError):
        send_order(trigger_port(router), order())

    router.ask("POST", "/paths/pacs-bridge/start")

    assert finished(router)["state"] == "done"
    assert router.ask("POST", "/paths/prefetch-trigger/start").json()["port"] == trigger_port(router)


def test_disagreeing_name_alarms_and_in_strict_mode_fetches_nothing(
    make_prefetcher: MakePrefetcher, service: str, archive: QueryablePacs
) -> None:
    """ROUTER-138: the alarm names no patient; the right name later is not swallowed."""
    put_into_cloud(service, [make_dataset()])
    router = make_prefetcher("strict_name = true", pacs_port=archive.port)
    send_order(trigger_port(router), order(name="Somebody^Else"))

    assert finished(router)["state"] == "stopped"
    assert archive.order == []
    alarms = " ".join(router.status()["alarms"])
    assert "strict_name" in alarms
    assert "Somebody" not in alarms + router.log.read_text() + router.ask("GET", "/audit").text
    send_order(trigger_port(router), order(name="Do^Not^Log"))
    assert finished(router, 2)["state"] == "done"
    assert len(archive.order) == 1


def test_new_study_that_waits_for_the_pacs_is_not_fetched_from_the_cloud(
    make_prefetcher: MakePrefetcher, archive: QueryablePacs
) -> None:
    """ROUTER-144: dual delivery has reached the cloud, the PACS's copy still waits in the queue."""
    new = make_dataset()
    router = make_prefetcher(pacs_port=archive.port)
    router.ask("POST", "/queues/ORTHANC/pause")
    assert send(router.intake, [new]) == [0]
    eventually(lambda: router.destination("cloud")["delivered"] == 1, within=20, because="the cloud's copy")

    send_order(trigger_port(router), order())

    assert (finished(router)["instances"], archive.order) == (0, [])
    router.ask("POST", "/queues/ORTHANC/resume")
    eventually(lambda: archive.order == [new.SOPInstanceUID], within=20, because="the PACS's copy")
