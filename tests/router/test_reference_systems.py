"""Router, reference DICOM service and Orthanc together: the demo's ways through the router."""

from typing import Any

import pytest
import requests
from pydicom.dataset import Dataset

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import make_dataset, send
from tests.router.orthanc import AUTH, Orthanc


@pytest.fixture
def demo(make_router: MakeRouter, service: str, orthanc: Orthanc) -> RouterProcess:
    router = make_router(cloud_url=service, pacs_port=orthanc.port, cloud_credential=None)
    modality: Any = {"AET": "QIETOAZURE", "Host": "127.0.0.1", "Port": router.bridge}
    requests.put(f"{orthanc.url}/modalities/cloud", json=modality, auth=AUTH, timeout=10).raise_for_status()
    return router


def cloud_instances(service: str, ds: Dataset) -> list[str]:
    answer = requests.get(f"{service}/v2/studies/{ds.StudyInstanceUID}/instances", timeout=10)
    return [item["00080018"]["Value"][0] for item in answer.json()] if answer.status_code == 200 else []


def ask(orthanc: Orthanc, path: str, body: Any) -> Any:
    answer = requests.post(orthanc.url + path, json=body, auth=AUTH, timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def test_modality_study_reaches_both_and_the_pacs_copy_is_known_as_the_same(
    demo: RouterProcess, service: str, orthanc: Orthanc
) -> None:
    first = make_dataset()
    datasets = [first, make_dataset(study=first.StudyInstanceUID)]
    uids = {ds.SOPInstanceUID for ds in datasets}
    assert send(demo.intake, datasets) == [0, 0]
    eventually(lambda: orthanc.instances() == uids, within=15, because="the PACS copies")
    eventually(lambda: set(cloud_instances(service, first)) == uids, within=15, because="the cloud copies")

    (study,) = orthanc.get("/studies")
    job = ask(orthanc, "/modalities/cloud/store", {"Resources": [study], "Synchronous": True})

    assert job["FailedInstancesCount"] == 0
    assert demo.path("cloud-bridge")["received"] == 2
    assert demo.path("cloud-bridge")["refused"] == 0
    assert demo.destination("cloud")["dead_lettered"] == 0


def test_prior_pushed_to_the_bridge_is_found_and_comes_back_to_the_pacs(
    demo: RouterProcess, service: str, orthanc: Orthanc
) -> None:
    prior = make_dataset(StudyDate="19940223")
    assert send(demo.bridge, [prior], called="QIETOAZURE") == [0]
    assert cloud_instances(service, prior) == [prior.SOPInstanceUID]

    query = ask(
        orthanc, "/modalities/cloud/query", {"Level": "Study", "Query": {"PatientID": prior.PatientID}}
    )
    answers = orthanc.get(f"/queries/{query['ID']}/answers?expand&simplify")
    assert [answer["StudyInstanceUID"] for answer in answers] == [prior.StudyInstanceUID]

    ask(orthanc, f"/queries/{query['ID']}/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True})
    assert orthanc.instances() == {prior.SOPInstanceUID}

    demo.ask("POST", "/paths/pacs-bridge/stop")
    refused = requests.post(
        f"{orthanc.url}/queries/{query['ID']}/retrieve",
        json={"TargetAet": "ORTHANC", "Synchronous": True},
        auth=AUTH,
        timeout=30,
    )
    assert not refused.ok
