"""ROUTER-027: worklist queries are relayed to their server, and to nobody else."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import ModalityWorklistInformationFind

from tests.router.conftest import MakeRouter, config_text
from tests.router.fakes import FakeCloud, FakePacs


class Ris:
    """A worklist server."""

    def __init__(self) -> None:
        self.asked: list[Dataset] = []
        self.final = 0x0000
        self.names = [f"Müller^{number}" for number in range(12)]
        self.cancelled = threading.Event()
        self.endless = False
        self.stopped = False
        ae = AE("RIS")
        ae.add_supported_context(ModalityWorklistInformationFind)
        self._server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, self._find)]
        )
        self.port = self._server.socket.getsockname()[1]

    def _find(self, event: Any) -> Any:
        self.asked.append(event.identifier)
        while True:
            for name in self.names:
                if event.is_cancelled:
                    self.cancelled.set()
                    yield 0xFE00, None
                    return
                match = Dataset()
                match.SpecificCharacterSet = "ISO_IR 100"
                match.PatientName = name
                yield 0xFF00, match
            if not self.endless:
                break
        if self.final:
            yield self.final, None

    def stop(self) -> None:
        if not self.stopped:
            self._server.shutdown()
        self.stopped = True


@pytest.fixture
def ris() -> Iterator[Ris]:
    server = Ris()
    yield server
    server.stop()


def _table(port: int) -> dict[str, str]:
    return {
        "worklist": 'peer = "RIS"',
        "+ris": f'[[peers]]\nae_title = "RIS"\nhost = "127.0.0.1"\nport = {port}\n',
    }


def _association(port: int) -> Any:
    ae = AE("MODALITY")
    ae.add_requested_context(ModalityWorklistInformationFind)
    return ae.associate("127.0.0.1", port, ae_title="QIEROUTER")


def _query() -> Dataset:
    keys = Dataset()
    keys.PatientName = ""
    keys.ScheduledProcedureStepSequence = [Dataset()]
    keys.ScheduledProcedureStepSequence[0].Modality = "CT"
    return keys


def _ask(port: int) -> list[tuple[int, str]]:
    association = _association(port)
    assert association.accepted_contexts
    answers = association.send_c_find(_query(), ModalityWorklistInformationFind)
    found = [(int(status.Status), str(match.PatientName) if match else "") for status, match in answers]
    association.release()
    return found


def test_every_response_comes_back_in_order_and_nothing_reaches_the_cloud(
    make_router: MakeRouter, ris: Ris, cloud: FakeCloud
) -> None:
    router = make_router(**_table(ris.port))
    assert _ask(router.intake) == [*((0xFF00, name) for name in ris.names), (0, "")]
    assert ris.asked[0].ScheduledProcedureStepSequence[0].Modality == "CT"
    assert not cloud.posts
    assert not cloud.reads
    assert router.path("modality-intake")["received"] == 0
    ris.final = 0xA700
    assert _ask(router.intake)[-1] == (0xA700, "")


def test_server_that_is_away_is_never_an_empty_worklist(make_router: MakeRouter, ris: Ris) -> None:
    router = make_router(**_table(ris.port))
    ris.stop()
    assert [status for status, _ in _ask(router.intake)] == [0xC101]


def test_cancel_is_passed_on(make_router: MakeRouter, ris: Ris) -> None:
    ris.endless = True
    router = make_router(**_table(ris.port))
    association = _association(router.intake)
    statuses: list[int] = []
    for status, _ in association.send_c_find(_query(), ModalityWorklistInformationFind, msg_id=7):
        statuses.append(int(status.Status))
        if len(statuses) == 3:
            association.send_c_cancel(7, query_model=ModalityWorklistInformationFind)
    association.release()
    assert statuses[-1] == 0xFE00
    assert ris.cancelled.wait(5)


def test_without_a_server_the_class_is_not_accepted(make_router: MakeRouter) -> None:
    router = make_router()
    assert not _association(router.intake).accepted_contexts


def test_server_comes_and_goes_with_the_configuration(
    make_router: MakeRouter, ris: Ris, cloud: FakeCloud, pacs: FakePacs
) -> None:
    router = make_router()
    for extra, names in ((_table(ris.port), ris.names), ({}, None)):
        router.config.write_text(config_text(router.folder, cloud.url, pacs.port, **extra))
        answer = router.ask("POST", "/config/load")
        assert answer.status_code == 200, answer.text
        assert "worklist" in answer.json()["applied"]
        assert not answer.json()["needs_restart"]
        if names is None:
            assert not _association(router.intake).accepted_contexts
        else:
            assert [name for status, name in _ask(router.intake) if status == 0xFF00] == names


def test_server_taken_out_during_an_association_is_a_failure(
    make_router: MakeRouter, ris: Ris, cloud: FakeCloud, pacs: FakePacs
) -> None:
    router = make_router(**_table(ris.port))
    association = _association(router.intake)
    router.config.write_text(config_text(router.folder, cloud.url, pacs.port))
    assert router.ask("POST", "/config/load").status_code == 200
    answers = list(association.send_c_find(_query(), ModalityWorklistInformationFind))
    association.release()
    assert [int(status.Status) for status, _ in answers] == [0xC101]
    assert not ris.asked
