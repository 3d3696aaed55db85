"""Priors are found and fetched at every level, in both information models (CLAIM-PRIORS-07)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.presentation import build_context

from fixtures.actors.association import Timeouts, opened
from fixtures.actors.queries import MODELS, identifier_of, query_context, status_of
from fixtures.data import Study
from fixtures.traceability import requirement
from fixtures.world import World
from fixtures.world.core import REGISTERED_AE
from fixtures.world.orders import only

pytestmark = pytest.mark.demo

_UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_RELATIONAL_AE = "ORTHANC"
"""The PACS's entry in the router's table allows relational queries; the modality has none."""
_STRICT_AE = "GDCM"
_BAD_IDENTIFIER = 0xA900
_STUDY_ATTRIBUTES = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription", "StudyID"),
)
_PATIENT_STUDY_ONLY_FIND = "1.2.840.10008.5.1.4.1.2.3.1"


@dataclass(frozen=True)
class Ask:
    """A request at one level: its keys, and the SOP Instance UIDs of what it means."""

    name: str
    level: str
    keys: Mapping[str, str]
    meant: frozenset[str]
    root: str = "study"


@dataclass(frozen=True)
class Held:
    """Two studies of one patient: one of two series with two instances each, one of a single instance."""

    world: World
    large: Study
    small: Study

    @property
    def studies(self) -> list[Study]:
        """Both."""
        return [self.large, self.small]

    def uids(self, level: str, instances: frozenset[str]) -> set[str]:
        """The unique keys of a level that these instances belong to."""
        return {
            {
                "PATIENT": study.patient.patient_id,
                "STUDY": study.study_instance_uid,
                "SERIES": one.fingerprint.series_instance_uid,
                "IMAGE": one.sop_instance_uid,
            }[level]
            for study in self.studies
            for one in study.instances
            if one.sop_instance_uid in instances
        }

    def asks(self) -> list[Ask]:
        """Every level with its parents, with single UIDs and with lists, in both models."""
        study, other = self.large.study_instance_uid, self.small.study_instance_uid
        first, second = self.large.series_instance_uids
        every = frozenset(self.world.sop_uids(self.studies))
        large = frozenset(self.world.sop_uids([self.large]))
        of_first = [
            i.sop_instance_uid for i in self.large.instances if i.fingerprint.series_instance_uid == first
        ]
        patient = self.large.patient.patient_id
        in_study, in_series = (
            {"StudyInstanceUID": study},
            {"StudyInstanceUID": study, "SeriesInstanceUID": first},
        )
        both_series, listed = f"{first}\\{second}", "\\".join(of_first)
        asks = [
            Ask("a study", "STUDY", in_study, large),
            Ask("a list of studies", "STUDY", {"StudyInstanceUID": f"{study}\\{other}"}, every),
            Ask("a series", "SERIES", in_series, frozenset(of_first)),
            Ask("a list of series", "SERIES", {**in_study, "SeriesInstanceUID": both_series}, large),
            Ask("an image", "IMAGE", {**in_series, "SOPInstanceUID": of_first[0]}, frozenset(of_first[:1])),
            Ask("a list of images", "IMAGE", {**in_series, "SOPInstanceUID": listed}, frozenset(of_first)),
            Ask("a patient", "PATIENT", {"PatientID": patient}, every, "patient"),
        ]
        below = {"PatientID": patient}
        return [
            *asks,
            Ask("a study below its patient", "STUDY", {**below, **in_study}, large, "patient"),
            Ask(
                "a series below its patient", "SERIES", {**below, **in_series}, frozenset(of_first), "patient"
            ),
        ]


def _of_two_series(world: World) -> Study:
    """A study of the cast, or of a patient of the data set whose own studies have one series each."""
    knee = world.cast.study(3, "new")
    if len(knee.series_instance_uids) == 2:
        return knee
    first, second = (
        world.series(instances=2, matrix=16, patient=knee.patient, modality="MR") for _ in range(2)
    )
    values = first.instances[0].dataset()
    same = world.with_attributes(second, **{name: str(values.get(name, "")) for name in _STUDY_ATTRIBUTES})
    return replace(first, make=lambda: [*first.instances, *same.instances])


def _held(world: World) -> Held:
    knee = _of_two_series(world)
    chosen = {
        one.sop_instance_uid
        for series in knee.series_instance_uids
        for one in [i for i in knee.instances if i.fingerprint.series_instance_uid == series][:2]
    }
    large = only(knee, lambda one: one.sop_instance_uid in chosen)
    small = world.series(instances=1, matrix=16, patient=knee.patient, modality="MR")
    world.store_in_cloud([large, small])
    return Held(world, large, small)


@requirement("CLAIM-PRIORS-07")
def test_queries_work_at_every_level(world: World) -> None:
    """C-FIND by patient, study, series and image, by UID, list and parent, finds exactly what is there.

    CLAIM-PRIORS-07.
    """
    held, wrong = _held(world), []
    for ask in held.asks():
        unique = _UNIQUE[ask.level]
        found = world.workstation_as(_STRICT_AE).find(
            world.bridge, ask.level, {unique: "", **ask.keys}, ask.root
        )
        wanted = held.uids(ask.level, ask.meant)
        if found.status != 0x0000 or sorted(found.values(unique)) != sorted(wanted):
            wrong.append(
                f"{ask.name}: {found.values(unique)} instead of {sorted(wanted)}; {found.describe()}"
            )
    assert not wrong, "CLAIM-PRIORS-07: " + "\n".join(wrong)
    world.evidence.note(
        f"{len(held.asks())} queries at patient, study, series and image level found exactly what is there."
    )


@requirement("CLAIM-PRIORS-07")
@pytest.mark.lasting(5)
def test_retrievals_work_at_every_level(world: World) -> None:
    """C-MOVE of the same brings each instance of it once, with final counts, and nothing else.

    CLAIM-PRIORS-07: of a list all UIDs are moved, not only the first.
    """
    held, wrong = _held(world), []
    title = world.deployment.workstation.ae_title
    with world.workstation.receiving(world.deployment.workstation_bind) as shelf:
        for ask in held.asks():
            before = len(shelf.requests)
            moved = world.workstation.move(world.bridge, ask.level, ask.keys, title, ask.root)
            came = [request.sop_instance_uid for request in shelf.requests[before:]]
            counts = (moved.completed, moved.failed, moved.warning)
            if (
                moved.status != 0x0000
                or sorted(came) != sorted(ask.meant)
                or counts != (len(ask.meant), 0, 0)
            ):
                wrong.append(f"{ask.name}: {len(came)} instances of {len(ask.meant)}; {moved.describe()}")
    assert not wrong, "CLAIM-PRIORS-07: " + "\n".join(wrong)
    world.evidence.note(f"{len(held.asks())} retrievals at all levels brought each instance asked for once.")


@requirement("CLAIM-PRIORS-07")
def test_queries_without_parents_are_answered_or_refused(world: World) -> None:
    """Without its parents a level is answered to the PACS, which may ask so, and to who negotiated it; to others A900.

    CLAIM-PRIORS-07: one answer in each case; an image query must not go unanswered.
    """
    held = _held(world)
    every = world.sop_uids(held.studies)
    for level, keys in (
        ("SERIES", {"SeriesInstanceUID": "", "PatientID": held.large.patient.patient_id}),
        ("IMAGE", {"SOPInstanceUID": "", "PatientID": held.large.patient.patient_id}),
        ("IMAGE", {"SOPInstanceUID": "", "StudyInstanceUID": held.large.study_instance_uid}),
    ):
        unique = _UNIQUE[level]
        meant = frozenset(world.sop_uids([held.large]) if "StudyInstanceUID" in keys else every)
        allowed = world.workstation_as(_RELATIONAL_AE).find(world.bridge, level, keys)
        assert allowed.status == 0x0000, f"CLAIM-PRIORS-07 {level} {sorted(keys)}: {allowed.describe()}"
        assert sorted(allowed.values(unique)) == sorted(held.uids(level, meant)), f"{level} {sorted(keys)}"
        assert sorted(_negotiated(world, level, keys)) == sorted(held.uids(level, meant)), (
            f"negotiated, {level}"
        )
        refused = world.workstation_as(_STRICT_AE).find(world.bridge, level, keys)
        assert (refused.status, list(refused.matches)) == (_BAD_IDENTIFIER, []), (
            f"CLAIM-PRIORS-07 {level} {sorted(keys)} without relational queries: {refused.describe()}"
        )


def _negotiated(world: World, level: str, keys: Mapping[str, str]) -> list[str]:
    """What a caller finds that has negotiated relational queries (PS3.4 section C.5.1.1); it must end in success."""
    relational = SOPClassExtendedNegotiation()
    relational.sop_class_uid = MODELS["C-FIND", "study"]
    relational.service_class_application_information = b"\x01"
    contexts = [query_context("C-FIND", "study")]
    with opened(_STRICT_AE, world.bridge, contexts, Timeouts(), roles=[relational]) as state:
        assert state.association is not None, f"CLAIM-PRIORS-07: {state.outcome} {state.comment}"
        state.park()
        answers = list(state.association.send_c_find(identifier_of(level, keys), MODELS["C-FIND", "study"]))
    assert status_of(answers[-1][0]) == 0x0000, (
        f"CLAIM-PRIORS-07, negotiated: {level} ended otherwise than well"
    )
    return [str(match[_UNIQUE[level]].value) for _, match in answers if match is not None]


@requirement("CLAIM-PRIORS-07")
def test_unsupported_combinations_are_refused_once(world: World) -> None:
    """Patient level in the Study Root model is A900 for find and move; a retired model is not negotiated.

    CLAIM-PRIORS-07. The supported twin of each is in the other tests.
    """
    patient = {"PatientID": world.cast.patient(1).patient_id}
    found = world.workstation.find(world.bridge, "PATIENT", patient)
    assert (found.status, list(found.matches)) == (_BAD_IDENTIFIER, []), found.describe()
    title = world.deployment.workstation.ae_title
    moved = world.workstation.move(world.bridge, "PATIENT", patient, title)
    assert moved.status == _BAD_IDENTIFIER, moved.describe()
    retired = [build_context(_PATIENT_STUDY_ONLY_FIND)]
    with opened(REGISTERED_AE, world.bridge, retired, Timeouts()) as state:
        accepted = [] if state.association is None else state.association.accepted_contexts
    assert not accepted, "CLAIM-PRIORS-07: a model that nobody answers was accepted in negotiation"
