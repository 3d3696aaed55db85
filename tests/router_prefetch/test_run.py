"""One run against a cloud in memory and a PACS that is told what to say."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from pydicom import Dataset

from systems.router.bridge.cloud import CloudUnreachable
from systems.router.bridge.retrieved import InstanceReference
from systems.router.bridge.search import SearchLimits
from systems.router.config.prefetch import PriorRules
from systems.router.prefetch.cloud_side import CloudSide
from systems.router.prefetch.fetching import Fetched
from systems.router.prefetch.ledger import StudyOutcome
from systems.router.prefetch.pacs_side import PacsLookupError, PacsStudy
from systems.router.prefetch.run import IncompleteError, Run, Sides, StoppedError
from systems.router.prefetch.trigger import Patient, Trigger
from tests.router_bridge.fake_cloud import FakeCloud, study
from tests.router_prefetch.test_priors import rules

TODAY = date(2022, 11, 22)


class ToldPacs:
    """Holds instances as (study, series, SOP) and patient IDs by study; fails when told to."""

    def __init__(self, *instances: Dataset, patients: dict[str, str] | None = None) -> None:
        self.instances_held = {(i.StudyInstanceUID, i.SeriesInstanceUID, i.SOPInstanceUID) for i in instances}
        self.patients = {str(i.StudyInstanceUID): str(i.PatientID) for i in instances} | (patients or {})
        self.counts = True
        self.broken_at = ""

    def _check(self, level: str) -> None:
        if self.broken_at == level:
            message = "the PACS ended the query with A700"
            raise PacsLookupError(message)

    async def study(self, uid: str) -> PacsStudy | None:
        self._check("study")
        return PacsStudy(frozenset({self.patients[uid]})) if uid in self.patients else None

    async def series(self, study: str) -> dict[str, int | None]:
        self._check("series")
        found = [series for of, series, _ in self.instances_held if of == study]
        return {one: found.count(one) if self.counts else None for one in found}

    async def instances(self, study: str, series: str) -> set[str]:
        self._check("instances")
        return {sop for of, inside, sop in self.instances_held if (of, inside) == (study, series)}


class Notes:
    """The books and the way to the PACS of one run."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.moved: list[list[str]] = []
        self.outcomes: dict[str, tuple[str, str]] = {}
        self.disagreements: list[str] = []
        self.events: list[str] = []
        self.failing = set(failing)
        self.ended_by: CloudUnreachable | None = None

    async def __call__(self, references: Sequence[InstanceReference]) -> Fetched:
        uids = [one.sop_instance_uid for one in references]
        self.moved.append(uids)
        failed = tuple(uid for uid in uids if uid in self.failing)
        return Fetched(tuple(uid for uid in uids if uid not in failed), failed, self.ended_by)

    async def studies(self, outcomes: Sequence[StudyOutcome]) -> None:
        self.outcomes.update({one.study_instance_uid: (one.outcome, one.reason) for one in outcomes})

    async def disagreement(self, studies: Sequence[str]) -> None:
        self.disagreements += studies

    async def audit(self, event: str, **_: Any) -> None:
        self.events.append(event)


def more(of: Dataset, series: str, sop: str) -> Dataset:
    made = study(of.StudyInstanceUID, str(of.PatientName), of.PatientID)
    made.SeriesInstanceUID, made.SOPInstanceUID = series, sop
    return made


def go(
    cloud: FakeCloud,
    pacs: ToldPacs,
    notes: Notes,
    *,
    of: PriorRules | None = None,
    strict: bool = False,
    on_their_way: frozenset[str] = frozenset(),
    **values: Any,
) -> None:
    async def ways(studies: Sequence[str]) -> frozenset[str]:
        assert len(studies) == len(set(studies))
        return on_their_way

    patient = values.pop("patient", Patient("42", names=(("Doe", "Jane"),)))
    trigger = Trigger(
        **{"source": "hl7", "reference": "M", "message_type": "ORM^O01", "patient": patient, **values}
    )
    sides = Sides(CloudSide(cloud, SearchLimits(answer=2)), pacs, ways)
    asyncio.run(Run(sides, notes, notes, of or rules(), strict=strict)(trigger, TODAY))


PRIOR = study("1.1", "Doe^Jane", "42")


def test_everything_the_pacs_lacks_is_fetched_and_of_no_other_patient() -> None:
    """ROUTER-138, ROUTER-139: the cloud ignores case, the router does not."""
    others = [study("2.1", "Doe^Jane", "42a"), study("2.2", "Doe^Jane", "0042")]
    letters = [study("3.1", "Doe^Jane", "abc"), study("3.2", "Doe^Jane", "ABC")]
    notes = Notes()
    go(FakeCloud(PRIOR, *others, *letters), ToldPacs(), notes)
    assert notes.moved == [["1.1.1.1"]]
    assert notes.outcomes == {"1.1": ("fetched", "")}
    notes = Notes()
    go(FakeCloud(*letters), ToldPacs(), notes, patient=Patient("abc"))
    assert notes.moved == [["3.1.1.1"]]


@pytest.mark.parametrize("identifier", ["4*", "4?", "<4", '4"', "*"])
def test_identifiers_with_special_characters_are_literal(identifier: str) -> None:
    """ROUTER-138, ROUTER-063: neither a wildcard nor a fuzzy search decides who is meant."""
    cloud = FakeCloud(PRIOR, study("9.1", "Odd^Id", identifier))
    notes = Notes()
    go(cloud, ToldPacs(), notes, patient=Patient(identifier))
    assert notes.moved == [["9.1.1.1"]]
    assert not any("fuzzymatching" in params for _, params in cloud.searches)


def test_issuer_of_the_instances_separates_patients() -> None:
    """ROUTER-138: the issuer is read from an instance, because the index of the service has none for studies."""
    cloud = FakeCloud(
        PRIOR,
        study("1.2", "Doe^Jane", "42", IssuerOfPatientID="HOSP"),
        study("1.3", "Doe^Jane", "42", IssuerOfPatientID="LAB"),
    )
    notes = Notes()
    go(cloud, ToldPacs(), notes, patient=Patient("42", ("HOSP",)))
    assert {uid for uids in notes.moved for uid in uids} == {"1.1.1.1", "1.2.1.1"}


def test_missing_series_alone_is_fetched() -> None:
    """ROUTER-140: at SERIES level, and nothing where both sides are equal."""
    second = [more(PRIOR, "1.1.2", f"1.1.2.{n}") for n in range(3)]
    notes = Notes()
    go(FakeCloud(PRIOR, *second), ToldPacs(PRIOR), notes)
    assert notes.moved == [["1.1.2.0", "1.1.2.1", "1.1.2.2"]]
    assert notes.outcomes == {"1.1": ("completed", "")}
    notes = Notes()
    go(FakeCloud(PRIOR, *second), ToldPacs(PRIOR, *second), notes)
    assert (notes.moved, notes.outcomes) == ([], {"1.1": ("present", "")})


@pytest.mark.parametrize("counts", [True, False])
def test_missing_instances_alone_are_fetched(counts: bool) -> None:
    """ROUTER-141: by number where the PACS counts, by list where it does not."""
    whole = [more(PRIOR, "1.1.1", f"1.1.1.{n}") for n in range(2, 6)]
    pacs = ToldPacs(PRIOR, *whole[:2])
    pacs.counts = counts
    notes = Notes()
    go(FakeCloud(PRIOR, *whole), pacs, notes)
    assert notes.moved == [["1.1.1.4", "1.1.1.5"]]


@pytest.mark.parametrize("level", ["study", "series", "instances"])
def test_failed_pacs_lookup_fetches_nothing(level: str) -> None:
    """ROUTER-142: not even what was found missing before the lookup failed."""
    cloud = FakeCloud(PRIOR, more(PRIOR, "1.1.1", "1.1.1.2"), study("0.9", "Doe^Jane", "42"))
    pacs = ToldPacs(PRIOR)
    pacs.broken_at = level
    notes = Notes()
    with pytest.raises(PacsLookupError, match="A700"):
        go(cloud, pacs, notes)
    assert notes.moved == []


@pytest.mark.parametrize("call", [1, 2, 3])
def test_failed_cloud_lookup_fetches_nothing_of_it(call: int) -> None:
    """ROUTER-142: an error is not an empty list."""
    cloud = FakeCloud(PRIOR, more(PRIOR, "1.1.1", "1.1.1.2"))
    cloud.failure = lambda number: CloudUnreachable("gone") if number >= call else None
    notes = Notes()
    with pytest.raises(CloudUnreachable):
        go(cloud, ToldPacs(PRIOR), notes)
    assert notes.moved == []


def test_name_that_disagrees_is_reported_and_in_strict_mode_stops() -> None:
    """ROUTER-138: the name is a check of plausibility."""
    cloud = FakeCloud(study("1.1", "Roe^Jane", "42"))
    notes = Notes()
    go(cloud, ToldPacs(), notes)
    assert (notes.disagreements, notes.moved) == (["1.1"], [["1.1.1.1"]])
    notes = Notes()
    with pytest.raises(StoppedError, match="strict_name"):
        go(cloud, ToldPacs(), notes, strict=True)
    assert (notes.disagreements, notes.moved) == (["1.1"], [])


def test_study_that_the_pacs_holds_under_another_patient_is_reported_and_left_alone() -> None:
    """ROUTER-138: a correction in the PACS is not undone by the cloud's older identity."""
    notes = Notes()
    second = more(PRIOR, "1.1.2", "1.1.2.1")
    go(FakeCloud(PRIOR, second), ToldPacs(PRIOR, patients={"1.1": "43"}), notes)
    assert notes.moved == []
    assert notes.outcomes["1.1"][0] == "other patient"
    assert notes.events == ["prefetch other patient"]


def test_what_this_router_delivers_itself_is_not_fetched() -> None:
    """ROUTER-144: the copy in the cloud was there first, the one for the PACS still waits."""
    notes = Notes()
    go(FakeCloud(PRIOR), ToldPacs(), notes, on_their_way=frozenset({"1.1.1.1"}))
    assert notes.moved == []
    assert notes.outcomes["1.1"][0] == "present"


def test_arriving_study_itself_is_left_out() -> None:
    """ROUTER-137: only its priors are fetched."""
    notes = Notes()
    cloud = FakeCloud(PRIOR, study("5.5", "Doe^Jane", "42"))
    go(cloud, ToldPacs(), notes, source="arrival", study_instance_uid="5.5")
    assert notes.moved == [["1.1.1.1"]]


def test_body_parts_come_from_the_series() -> None:
    """ROUTER-139: with the limit on, the series of each study are looked at."""
    cloud = FakeCloud(
        study("1.1", "Doe^Jane", "42", BodyPartExamined="CHEST"),
        study("1.2", "Doe^Jane", "42", BodyPartExamined="HEAD"),
    )
    notes = Notes()
    go(cloud, ToldPacs(), notes, of=rules(body_parts=("CHEST",)))
    assert notes.moved == [["1.1.1.1"]]
    assert notes.outcomes["1.2"] == ("left out", "body part not in body_parts")


def test_failed_instances_are_reported_and_other_studies_go_on() -> None:
    """ROUTER-142: one bad study does not cost the others; a side that is lost ends the run."""
    cloud = FakeCloud(PRIOR, study("1.2", "Doe^Jane", "42"))
    notes = Notes(failing=["1.2.1.1"])
    with pytest.raises(IncompleteError, match=r"1 instances of study 1\.2") as caught:
        go(cloud, ToldPacs(), notes)
    assert not caught.value.because_of_a_side
    assert (notes.outcomes["1.2"][0], notes.outcomes["1.1"][0]) == ("failed", "fetched")
    notes = Notes(failing=["1.2.1.1"])
    notes.ended_by = CloudUnreachable("gone")
    with pytest.raises(IncompleteError) as caught:
        go(cloud, ToldPacs(), notes)
    assert caught.value.because_of_a_side
    assert len(notes.moved) == 1


def test_what_could_not_be_judged_is_still_said_after_the_fetch() -> None:
    """ROUTER-139: a study kept although its body part is unknown keeps the note."""
    notes = Notes()
    go(FakeCloud(PRIOR), ToldPacs(), notes, of=rules(body_parts=("CHEST",)))
    outcome, reason = notes.outcomes["1.1"]
    assert outcome == "fetched"
    assert "body part" in reason
