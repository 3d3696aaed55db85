"""Any history of stores and deletions, against a model in plain Python: retrieval, search and change feed agree with it."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pydicom.uid import generate_uid

from tests.dicom_service.conftest import Answer, Service, dataset, failures, part10

_ORIGINAL = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON = "application/dicom+json"
_DUPLICATE = 45070
_STUDIES, _SERIES, _INSTANCES = 2, 2, 3

Place = tuple[int, int, int]
_PLACES = st.tuples(st.integers(0, _STUDIES - 1), st.integers(0, _SERIES - 1), st.integers(0, _INSTANCES - 1))


@dataclass
class _Model:
    """What the store should hold: the files by place, the newest Patient ID of each study, and the changes so far."""

    root: str
    files: dict[Place, bytes] = field(default_factory=dict)
    patients: dict[int, str] = field(default_factory=dict)
    changes: list[tuple[str, str]] = field(default_factory=list)

    def uids(self, place: Place) -> tuple[str, str, str]:
        study, series, instance = place
        return (
            f"{self.root}.{study}",
            f"{self.root}.{study}.{series}",
            f"{self.root}.{study}.{series}.{instance}",
        )

    def path(self, place: Place, level: int) -> str:
        names = ("studies", "series", "instances")
        parts = zip(names[:level], self.uids(place)[:level], strict=True)
        return "/v2/" + "/".join(f"{name}/{uid}" for name, uid in parts)

    def below(self, place: Place, level: int) -> list[Place]:
        """Return what is stored under the study (1), series (2) or instance (3) of a place, in the order of storing."""
        return [other for other in self.files if other[:level] == place[:level]]

    def keep(self, place: Place, file: bytes, patient: str) -> bool:
        if place in self.files:
            return False
        self.files[place] = file
        self.patients[place[0]] = patient
        self.changes.append(("create", self.uids(place)[2]))
        return True

    def drop(self, place: Place, level: int) -> bool:
        gone = self.below(place, level)
        for other in gone:
            del self.files[other]
            self.changes.append(("delete", self.uids(other)[2]))
        if not self.below(place, 1):
            self.patients.pop(place[0], None)
        return bool(gone)


class _Machine(RuleBasedStateMachine):
    service: Service

    @initialize()
    def begin(self) -> None:
        self.model = _Model(generate_uid()[:50] + "1")
        latest = self.service.get("/v1/changefeed/latest?includeMetadata=false")
        self.since = latest.json()["sequence"] if latest.status == 200 else 0

    def _file(self, place: Place, patient: str, large: bool) -> bytes:
        study, series, instance = self.model.uids(place)
        pixels: dict[str, Any] = (
            {"Rows": 800, "Columns": 800, "PixelData": bytes(2 * 800 * 800)} if large else {}
        )
        return part10(
            dataset(
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                SOPInstanceUID=instance,
                PatientID=patient,
                **pixels,
            )
        )

    @rule(
        wanted=st.lists(st.tuples(_PLACES, st.booleans()), min_size=1, max_size=4),
        patient=st.sampled_from("AB"),
        version=st.sampled_from(["v1", "v2"]),
    )
    def store(self, wanted: list[tuple[Place, bool]], patient: str, version: str) -> None:
        name = f"{patient}-{self.model.root}"[:64]
        files = [self._file(place, name, large) for place, large in wanted]
        answer = self.service.store(*files, version=version)
        kept = [self.model.keep(place, file, name) for (place, _), file in zip(wanted, files, strict=True)]
        assert answer.status == (200 if all(kept) else 202 if any(kept) else 409)
        assert failures(answer) == [_DUPLICATE] * kept.count(False)

    @rule(place=_PLACES, level=st.integers(1, 3))
    def delete(self, place: Place, level: int) -> None:
        answer = self.service.request("DELETE", self.model.path(place, level))
        assert answer.status == (204 if self.model.drop(place, level) else 404)

    @rule(place=_PLACES, level=st.integers(1, 3))
    def retrieve(self, place: Place, level: int) -> None:
        answer = self.service.get(self.model.path(place, level), _ORIGINAL)
        expected = [self.model.files[other] for other in self.model.below(place, level)]
        assert answer.status == (200 if expected else 404)
        if expected:
            assert [content for _, content in answer.parts()] == expected

    @rule(place=_PLACES, level=st.integers(1, 3))
    def describe(self, place: Place, level: int) -> None:
        answer = self.service.get(self.model.path(place, level) + "/metadata", _JSON)
        expected = [self.model.uids(other)[2] for other in self.model.below(place, level)]
        assert _values(answer, "00080018") == expected

    @rule(study=st.integers(0, _STUDIES - 1), limit=st.integers(1, 8), offset=st.integers(0, 4))
    def page(self, study: int, limit: int, offset: int) -> None:
        place = (study, 0, 0)
        answer = self.service.get(
            f"{self.model.path(place, 1)}/instances?limit={limit}&offset={offset}", _JSON
        )
        newest_first = [self.model.uids(other)[2] for other in reversed(self.model.below(place, 1))]
        assert _values(answer, "00080018") == newest_first[offset : offset + limit]

    @rule(patient=st.sampled_from("AB"))
    def find_patient(self, patient: str) -> None:
        name = f"{patient}-{self.model.root}"[:64]
        query = f"/v2/studies?PatientID={name}&includefield=NumberOfStudyRelatedInstances"
        found = self.service.get(query, _JSON)
        rows = found.json() if found.status == 200 else []
        counts = {row["0020000D"]["Value"][0]: row["00201208"]["Value"][0] for row in rows}
        assert counts == {
            f"{self.model.root}.{study}": len(self.model.below((study, 0, 0), 1))
            for study, own in self.model.patients.items()
            if own == name
        }

    @invariant()
    def feed(self) -> None:
        if not hasattr(self, "model"):
            return
        entries: list[dict[str, Any]] = []
        offset = self.since
        while page := self.service.get(
            f"/v1/changefeed?offset={offset}&limit=100&includeMetadata=false"
        ).json():
            entries += page
            offset = page[-1]["sequence"]
        seen = [(entry["action"].lower(), entry["sopInstanceUid"]) for entry in entries]
        assert len(seen) == len(self.model.changes)
        # One deletion of many has an order of its own among those of the study.
        assert sorted(seen) == sorted(self.model.changes)
        here = {self.model.uids(place)[2] for place in self.model.files}
        states = {entry["sopInstanceUid"]: entry["state"].lower() for entry in entries}
        assert {uid for uid, state in states.items() if state == "current"} == here


def _values(answer: Answer, tag: str) -> list[str]:
    assert answer.status in (200, 204, 404), answer.body
    return [row[tag]["Value"][0] for row in json.loads(answer.body)] if answer.status == 200 else []


@pytest.mark.parametrize("steps", [25])
def test_any_history(service: Service, steps: int) -> None:
    """STOW-066, DEL-001 to DEL-006, FEED-001, QIDO-098: one truth behind all resources."""

    class Machine(_Machine):
        pass

    Machine.service = service
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
