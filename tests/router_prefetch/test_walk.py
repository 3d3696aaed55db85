"""Orders, priors and missing series through the shipped router, the reference service and Orthanc."""

from typing import Any

import requests
from pydicom.dataset import Dataset

from fixtures.waiting import eventually
from tests.router.fakes import make_dataset, send
from tests.router.orthanc import AUTH, Orthanc
from tests.router_prefetch.conftest import MakePrefetcher, finished, trigger_port
from tests.router_prefetch.peers import cloud_changes, order, put_into_cloud, send_order


def priors(count: int, **attributes: Any) -> list[Dataset]:
    return [make_dataset(StudyDate=f"{2000 + n}0101", **attributes) for n in range(count)]


def uids(datasets: list[Dataset]) -> set[str]:
    return {str(ds.SOPInstanceUID) for ds in datasets}


def test_order_brings_every_prior_the_pacs_lacks_and_a_second_one_moves_nothing(
    make_prefetcher: MakePrefetcher, service: str, orthanc: Orthanc
) -> None:
    """ROUTER-135, ROUTER-139, ROUTER-145: all missing studies of the patient, once."""
    theirs, here = priors(3), priors(1)
    strangers = [make_dataset(PatientID="secret-id-7"), make_dataset(PatientID="SECRET-ID-77")]
    put_into_cloud(service, [*theirs, *here, *strangers])
    orthanc.put(*here)
    router = make_prefetcher("window_seconds = 0")

    assert send_order(trigger_port(router), order()) == ("AA", "MSG-1")

    report = finished(router)
    assert report["state"] == "done", report
    assert report["instances"] == 3
    assert orthanc.instances() == uids(theirs + here)
    assert send_order(trigger_port(router), order(control="MSG-2")) == ("AA", "MSG-2")
    again = finished(router, 2)
    assert (again["state"], again["instances"]) == ("done", 0)
    assert {study["outcome"] for study in again["studies"]} == {"present"}
    assert "SECRET" not in router.log.read_text()
    assert "SECRET" not in router.ask("GET", "/audit").text + router.ask("GET", "/prefetch").text


def test_only_the_missing_series_and_instances_of_known_studies_are_moved(
    make_prefetcher: MakePrefetcher, service: str, orthanc: Orthanc
) -> None:
    """ROUTER-140, ROUTER-141: a series the PACS lacks, and single instances of one it has."""
    study = make_dataset()
    same = [make_dataset(study=study.StudyInstanceUID) for _ in range(2)]
    other = [
        make_dataset(study=study.StudyInstanceUID, SeriesInstanceUID=f"{study.SeriesInstanceUID}9")
        for _ in range(2)
    ]
    put_into_cloud(service, [study, *same, *other])
    orthanc.put(study, same[0])
    router = make_prefetcher()

    send_order(trigger_port(router), order())

    report = finished(router)
    assert (report["state"], report["instances"]) == ("done", 3), report
    assert [row["outcome"] for row in report["studies"]] == ["completed"]
    assert orthanc.instances() == uids([study, *same, *other])


def test_arriving_study_triggers_once_and_nothing_goes_round(
    make_prefetcher: MakePrefetcher, service: str, orthanc: Orthanc
) -> None:
    """ROUTER-137, ROUTER-144: the priors of an arriving study come; what the PACS forwards of them goes nowhere."""
    theirs = priors(2)
    put_into_cloud(service, theirs)
    router = make_prefetcher("on_arrival = true")
    new = make_dataset()

    assert send(router.intake, [new, make_dataset(study=new.StudyInstanceUID)]) == [0, 0]

    report = finished(router)
    assert (report["source"], report["state"], report["instances"]) == ("arrival", "done", 2), report
    eventually(lambda: len(orthanc.instances()) == 4, within=15, because="the new study and its priors")
    eventually(lambda: router.destination("cloud")["delivered"] == 2, within=15, because="the cloud copies")
    changes = cloud_changes(service)

    requests.put(
        f"{orthanc.url}/modalities/router",
        json={"AET": "QIEROUTER", "Host": "127.0.0.1", "Port": router.intake},
        auth=AUTH,
        timeout=10,
    ).raise_for_status()
    body = {"Resources": orthanc.get("/studies"), "Synchronous": True, "LocalAet": "ORTHANC"}
    answer = requests.post(f"{orthanc.url}/modalities/router/store", json=body, auth=AUTH, timeout=20)
    assert answer.ok
    assert router.destination("cloud")["waiting"] + router.destination("cloud")["in_progress"] == 0

    assert cloud_changes(service) == changes
    assert len(router.ask("GET", "/prefetch").json()) == 1
    events = [line["event"] for line in map(_json, router.ask("GET", "/audit").text.splitlines())]
    assert events.count("not routed: it came from the cloud") == 2


def _json(line: str) -> dict[str, Any]:
    import orjson

    found: dict[str, Any] = orjson.loads(line)
    return found
