"""What a bulk update comes to that cannot be carried out (UPD-015, OPS-007)."""

from typing import Any

import pytest

from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from suites.azure.conftest import SpecialService
from suites.azure.data import Maker
from suites.azure.stow import metadata, stored
from suites.azure.tags import operation
from suites.azure.test_err_faults import broken_store
from suites.azure.updates import ask, model

pytestmark = [pytest.mark.azure, needs("control", "open-source")]

WITHIN = 60.0
MOST_INSTANCE_ERRORS = 5
LARGE: dict[str, Any] = {"Rows": 1024, "Columns": 1024, "PixelData": bytes(range(256)) * 8192}
"""Above the size up to which the reference service keeps files with others: its file can be taken away."""


def failed(web: DicomWeb, identifier: str) -> dict[str, Any]:
    """The state of an operation that has ended with status failed: 200 all the same (OPS-007)."""

    def ended() -> dict[str, Any] | None:
        answer = operation(web, identifier)
        assert answer.status in (200, 202), answer.describe()
        return answer.json() if answer.status == 200 else None

    state = eventually(ended, within=WITHIN, because=f"operation {identifier} should end")
    assert state is not None
    assert state["status"] == "failed", state
    return state


@requirement("UPD-015", "OPS-007")
def test_files_that_cannot_be_read(special_service: SpecialService, make: Maker) -> None:
    """A study whose files cannot be read fails the operation and is counted and named; the others are updated (UPD-015, OPS-007)."""
    lost, sound = make.series(MOST_INSTANCE_ERRORS + 1, **LARGE), make()
    with special_service() as own:
        web = own.web()
        assert stored(web, *lost, sound).status == 200
        with broken_store(own):
            answer = ask(web, [lost[0].study, sound.study], model(PatientName="After^Update"))
            assert answer.status == 202, answer.describe()
            identifier = answer.json()["id"]
            state = failed(web, identifier)
            assert failed(own.web(version="v1"), identifier)["results"] == state["results"]
        results = dict(state["results"])
        first, *others = results.pop("errors")
        assert results == {"studyProcessed": 2, "studyUpdated": 1, "studyFailed": 1, "instanceUpdated": 1}
        assert first == f"Failed to update instances for study {lost[0].study}"
        assert 0 < len(others) <= MOST_INSTANCE_ERRORS, others
        for made, name in ((lost[0], "Conformance^Test"), (sound, "After^Update")):
            assert metadata(web, made)["00100010"]["Value"] == [{"Alphabetic": name}]
        assert sorted(web.retrieve(lost[0].study)) == sorted(one.part10 for one in lost), "it is as it was"
