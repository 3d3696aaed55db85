"""ROUTER-028: storage commitment says held only when every mandatory destination holds the instance."""

import queue
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from fixtures.waiting import eventually
from tests.router.conftest import MakeRouter, RouterProcess
from tests.router.fakes import CT, make_dataset, send
from tests.router_ops.sides import SearchableCloud, SearchablePacs

MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def cloud() -> Iterator[SearchableCloud]:
    fake = SearchableCloud()
    yield fake
    fake.stop()


@pytest.fixture
def pacs() -> Iterator[SearchablePacs]:
    fake = SearchablePacs()
    yield fake
    fake.stop()


class Requester:
    """A modality that asks for commitment; reports arrive on its own listener or on the association of the request."""

    def __init__(self, ae_title: str = "MODALITY") -> None:
        self.reports: queue.Queue[tuple[str, int, Dataset]] = queue.Queue()
        self.status = 0
        self._ae = AE(ae_title)
        self._ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        self._ae.add_requested_context(StorageCommitmentPushModel)
        self._server = self._ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._take, ["own"])]
        )
        self.port = self._server.socket.getsockname()[1]

    def _take(self, event: Any, where: str) -> tuple[int, None]:
        if self.status == 0:
            self.reports.put((where, event.event_type, event.event_information))
        return self.status, None

    def ask(
        self,
        port: int,
        references: list[tuple[str, str]],
        *,
        stay: bool = False,
        called: str = "QIEROUTER",
        action: int = 1,
        instance: str = StorageCommitmentPushModelInstance,
        transaction: str = "",
    ) -> tuple[int, Any]:
        information = Dataset()
        information.TransactionUID = transaction or generate_uid()
        information.ReferencedSOPSequence = [_item(*reference) for reference in references]
        association = self._ae.associate(
            "127.0.0.1", port, ae_title=called, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._take, ["same"])]
        )
        assert association.is_established
        answer, _ = association.send_n_action(information, action, StorageCommitmentPushModel, instance)
        if not stay:
            association.release()
        return int(answer.Status), association

    def stop(self) -> None:
        self._server.shutdown()


def _item(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class
    item.ReferencedSOPInstanceUID = uid
    return item


@pytest.fixture
def modality() -> Iterator[Requester]:
    requester = Requester()
    yield requester
    requester.stop()


def _table(requester: Requester, name: str = "MODALITY") -> str:
    return f'[[peers]]\nae_title = "{name}"\nhost = "127.0.0.1"\nport = {requester.port}\n'


def _uids(sequence: Any) -> list[str]:
    return [str(item.ReferencedSOPInstanceUID) for item in sequence or []]


def test_all_held_is_told_on_an_association_of_its_own(make_router: MakeRouter, modality: Requester) -> None:
    router = make_router(**{"+peers": _table(modality)})
    datasets = [make_dataset() for _ in range(2)]
    assert send(router.intake, datasets) == [0, 0]
    transaction = generate_uid()
    status, _ = modality.ask(
        router.intake, [(CT, d.SOPInstanceUID) for d in datasets], transaction=transaction
    )
    assert status == 0
    where, event, report = modality.reports.get(timeout=20)
    assert (where, event, report.TransactionUID) == ("own", 1, transaction)
    assert sorted(_uids(report.ReferencedSOPSequence)) == sorted(str(d.SOPInstanceUID) for d in datasets)
    assert "FailedSOPSequence" not in report
    eventually(lambda: router.status()["commitments_pending"] == 0, within=10, because="the taken report")
    assert '"commitment reported"' in router.ask("GET", "/audit").text


def test_open_association_gets_the_report_itself(router: RouterProcess, modality: Requester) -> None:
    ds = make_dataset()
    assert send(router.bridge, [ds], called="QIETOAZURE") == [0]
    status, association = modality.ask(
        router.bridge, [(CT, ds.SOPInstanceUID)], stay=True, called="QIETOAZURE"
    )
    assert status == 0
    assert modality.reports.get(timeout=20)[:2] == ("same", 1)
    association.release()


def test_failures_are_listed_with_their_reasons(
    make_router: MakeRouter, modality: Requester, cloud: SearchableCloud
) -> None:
    router = make_router(**{"+peers": _table(modality)})
    good, vanished = make_dataset(), make_dataset()
    assert send(router.intake, [good, vanished]) == [0, 0]
    eventually(lambda: router.destination("cloud")["delivered"] == 2, within=10, because="deliveries")
    del cloud.stored[vanished.SOPInstanceUID]
    never, other = generate_uid(), generate_uid()
    references = [
        (CT, good.SOPInstanceUID),
        (CT, vanished.SOPInstanceUID),
        (CT, never),
        ("1.2.3.4", other),
        (MR, good.SOPInstanceUID),
    ]
    assert modality.ask(router.intake, references)[0] == 0
    _, event, report = modality.reports.get(timeout=20)
    assert event == 2
    assert _uids(report.ReferencedSOPSequence) == [good.SOPInstanceUID]
    reasons = [(str(item.ReferencedSOPInstanceUID), item.FailureReason) for item in report.FailedSOPSequence]
    expected = [(str(vanished.SOPInstanceUID), 0x0112), (never, 0x0112), (other, 0x0122)]
    assert reasons == [*expected, (str(good.SOPInstanceUID), 0x0119)]


def test_what_is_on_its_way_is_neither_held_nor_failed(
    make_router: MakeRouter, modality: Requester, cloud: SearchableCloud
) -> None:
    router = make_router(**{"+peers": _table(modality)})
    router.ask("POST", "/queues/ORTHANC/pause")
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    eventually(lambda: len(cloud.stored) == 1, within=10, because="the copy in the cloud")
    assert modality.ask(router.intake, [(CT, ds.SOPInstanceUID)])[0] == 0
    assert router.status()["commitments_pending"] == 1
    with pytest.raises(queue.Empty):
        modality.reports.get(timeout=1)

    router.kill()
    router.start()
    # A pause is an operator's wish of that run; the delivery goes on, and so does the commitment.
    assert modality.reports.get(timeout=30)[:2] == ("own", 1)


def test_report_that_was_not_taken_is_repeated(make_router: MakeRouter, modality: Requester) -> None:
    router = make_router(**{"+peers": _table(modality)})
    modality.status = 0x0110
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    assert modality.ask(router.intake, [(CT, ds.SOPInstanceUID)])[0] == 0
    with pytest.raises(queue.Empty):
        modality.reports.get(timeout=1)
    modality.status = 0
    assert modality.reports.get(timeout=20)[1] == 1


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({"action": 2}, 0x0123), ({"instance": "1.2.3"}, 0x0112)],
)
def test_other_actions_are_refused(
    router: RouterProcess, modality: Requester, wrong: dict[str, Any], status: int
) -> None:
    assert modality.ask(router.intake, [(CT, "1.2.3")], **wrong)[0] == status
    assert router.status()["commitments_pending"] == 0


def test_empty_requests_are_refused_and_pending_ones_are_bounded(
    make_router: MakeRouter, modality: Requester
) -> None:
    router = make_router(commitment="max_pending = 1")
    router.ask("POST", "/queues/ORTHANC/pause")
    ds = make_dataset()
    assert send(router.intake, [ds]) == [0]
    transaction = generate_uid()
    assert modality.ask(router.intake, [])[0] == 0x0115
    assert modality.ask(router.intake, [(CT, ds.SOPInstanceUID)], transaction=transaction)[0] == 0
    assert modality.ask(router.intake, [(CT, ds.SOPInstanceUID)])[0] == 0x0213
    assert modality.ask(router.intake, [(CT, ds.SOPInstanceUID)], transaction=transaction)[0] == 0


def test_switched_off_it_is_not_negotiated(make_router: MakeRouter) -> None:
    router = make_router(commitment="enabled = false")
    ae = AE("MODALITY")
    ae.add_requested_context(StorageCommitmentPushModel)
    association = ae.associate("127.0.0.1", router.intake, ae_title="QIEROUTER")
    assert not association.is_established or not association.accepted_contexts
