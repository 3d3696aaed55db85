"""Deleting what a bulk update has left in two versions."""

import json

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DICOM_JSON, ONE_AS_STORED, DicomWeb
from fixtures.traceability import requirement
from fixtures.waiting import eventually
from suites.azure.data import Made, Maker
from suites.azure.service import Service
from suites.azure.stow import outcome, stored


def _updated(web: DicomWeb, made: Made, within: float) -> None:
    """Give the patient of a study another name, and wait until that is done."""
    name = {"vr": "PN", "Value": [{"Alphabetic": "Other^Name"}]}
    wanted = {"studyInstanceUids": [made.study], "changeDataset": {"00100010": name}}
    headers = [("Content-Type", "application/json"), ("Accept", "application/json")]
    answer = web.request("POST", "/studies/$bulkUpdate", headers=headers, body=json.dumps(wanted).encode())
    assert answer.status == 202, answer.describe()
    path = f"/operations/{answer.json()['id']}"

    def ended() -> str:
        status = str(web.get(path, accept="application/json").json()["status"]).lower()
        return "" if status in ("notstarted", "running") else status

    seen = eventually(ended, within=within, because="the bulk update to end")
    assert seen in ("succeeded", "completed"), f"the bulk update ended {seen}"


def _latest(web: DicomWeb, made: Made) -> Response:
    return web.get(made.path(), accept=ONE_AS_STORED)


def _original(web: DicomWeb, made: Made) -> Response:
    headers = [("Accept", ONE_AS_STORED), ("msdicom-request-original", "true")]
    return web.request("GET", made.path(), headers=headers)


@requirement("DEL-018")
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_both_versions_go(service: Service, web: DicomWeb, v2: DicomWeb, make: Maker, level: str) -> None:
    """After a bulk update a delete removes original and latest, and the UIDs are free again (DEL-018)."""
    made = make()
    assert stored(web, made).status == 200
    _updated(v2, made, service.settle)
    assert (_original(v2, made).status, _original(v2, made).body == made.part10) == (200, True)
    assert (_latest(v2, made).status, _latest(v2, made).body == made.part10) == (200, False)
    assert web.request("DELETE", made.path(level)).status == 204
    assert (_original(v2, made).status, _latest(v2, made).status) == (404, 404)
    assert web.get(f"{made.path()}/metadata", accept=DICOM_JSON).status == 404
    assert outcome(stored(web, made)) == (200, [], [])
    assert _latest(v2, made).body == made.part10
