"""A modality worklist server for the length of a test, and a modality that asks for its worklist (CLAIM-ROUTER-12)."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom import Dataset, Sequence
from pynetdicom import evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import ModalityWorklistInformationFind

from fixtures.actors.association import VERIFICATION, Opened, Timeouts, application_entity, no_delay, opened
from fixtures.deployment.endpoints import DimseAddress

WORKLIST = str(ModalityWorklistInformationFind)
CANCELLED, PENDING = 0xFE00, 0xFF00
_MESSAGE = 7


@dataclass(frozen=True)
class Step:
    """A scheduled procedure step."""

    patient: str
    date: str
    station: str
    modality: str

    def entry(self) -> Dataset:
        """As a worklist holds it (PS3.4 table K.6-1)."""
        step, entry = Dataset(), Dataset()
        step.ScheduledStationAETitle, step.Modality = self.station, self.modality
        step.ScheduledProcedureStepStartDate = self.date
        entry.SpecificCharacterSet, entry.PatientName = "ISO_IR 192", self.patient
        entry.ScheduledProcedureStepSequence = Sequence([step])
        return entry


STEPS = tuple(
    Step(f"Müller{number}^Worklist", date, station, modality)
    for number, (date, station, modality) in enumerate(
        [
            ("20221122", "CT1", "CT"),
            ("20221122", "CT2", "CT"),
            ("20221123", "CT1", "CT"),
            ("20221122", "MR1", "MR"),
            ("20221123", "MR1", "MR"),
        ]
    )
)


def query(*, date: str = "", station: str = "", modality: str = "") -> Dataset:
    """A worklist query by the keys every modality asks with."""
    return Step("", date, station, modality).entry()


@dataclass
class WorklistServer:
    """What was asked of a worklist server. With `endless` it goes on until it is cancelled."""

    asked: list[Dataset] = field(default_factory=list)
    endless: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)

    def answer(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Every step that matches, in the order of the list."""
        asked = event.identifier
        self.asked.append(asked)
        wanted = asked.ScheduledProcedureStepSequence[0]
        matching = [step for step in STEPS if _matches(step, wanted)]
        while True:
            for step in matching:
                if event.is_cancelled:
                    self.cancelled.set()
                    yield CANCELLED, None
                    return
                yield PENDING, step.entry()
            if not self.endless:
                return


def _matches(step: Step, wanted: Dataset) -> bool:
    pairs = (
        (step.date, wanted.ScheduledProcedureStepStartDate),
        (step.station, wanted.ScheduledStationAETitle),
        (step.modality, wanted.Modality),
    )
    return all(not key or str(key) == value for value, key in pairs)


@contextmanager
def worklist_server(at: DimseAddress) -> Iterator[WorklistServer]:
    """A worklist server that listens at `at`."""
    server = WorklistServer()
    entity = application_entity(at.ae_title, Timeouts())
    entity.add_supported_context(WORKLIST)
    handlers = [(evt.EVT_C_FIND, server.answer), (evt.EVT_CONN_OPEN, no_delay)]
    listening = entity.start_server((at.host, at.port), block=False, evt_handlers=handlers)
    try:
        yield server
    finally:
        listening.shutdown()


@dataclass(frozen=True)
class Worklist:
    """An answered query: the matches as JSON in their order, and the final status."""

    matches: tuple[str, ...]
    status: int | None


def ask(to: DimseAddress, keys: Dataset, *, cancel_after: int | None = None) -> Worklist:
    """C-FIND for a worklist, cancelled after so many matches."""
    with opened("GDCM", to, [build_context(WORKLIST)], Timeouts()) as state:
        assert state.association is not None, f"no worklist association with {to.ae_title}: {state.comment}"
        state.park()
        matches: list[str] = []
        status: int | None = None
        for answer, match in state.association.send_c_find(keys, WORKLIST, msg_id=_MESSAGE):
            status = answer.get("Status")
            if status == PENDING and match is not None:
                matches.append(match.to_json())
            if len(matches) == cancel_after:
                state.association.send_c_cancel(_MESSAGE, query_model=WORKLIST)
        return Worklist(tuple(matches), status)


def refusals(to: DimseAddress, sop_classes: tuple[str, ...]) -> dict[str, int]:
    """How the peer answered each proposed SOP class that it refused (PS3.8 table 9-18), beside Verification."""
    contexts = [build_context(each) for each in (VERIFICATION, *sop_classes)]
    with opened("GDCM", to, contexts, Timeouts()) as state:
        return _results(state)


def _results(state: Opened) -> dict[str, int]:
    assert state.association is not None, state.comment
    return {str(c.abstract_syntax): int(c.result or 0) for c in state.association.rejected_contexts}
