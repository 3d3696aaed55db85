import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fixtures.actors.modality import Modality
from fixtures.clients.dicomweb import DicomWeb
from fixtures.clients.http import HttpClient
from fixtures.clients.orthanc import basic_credentials
from fixtures.data import Run, Study, make_series
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.ports import free_ports
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.ledger import Ledger, SideReport, judge
from fixtures.evidence.truth import CloudTruth, PacsTruth
from fixtures.faults.impostor import ImpostorRouter, Misconduct
from fixtures.waiting import eventually
from tests.actors.orthanc_peer import OrthancPeer, running_orthanc

LOCAL = DimseAddress("QIEROUTER", "127.0.0.1", 0)


@pytest.fixture(scope="module")
def cloud_peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancPeer]:
    with running_orthanc(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@dataclasses.dataclass
class Scene:
    pacs: OrthancPeer
    cloud: OrthancPeer
    recorder: Recorder
    spool: Path
    ledger: Ledger

    @contextmanager
    def router(self, misconduct: Misconduct, cloud: DicomWeb | None = None) -> Iterator[ImpostorRouter]:
        through = cloud or self.cloud.dicomweb(self.recorder)
        with ImpostorRouter(
            LOCAL, self.pacs.dicom, through, spool=self.spool, misconduct=misconduct
        ) as router:
            yield router

    def send(self, series: Study, router: ImpostorRouter) -> None:
        modality = Modality(recorder=self.recorder, ledger=self.ledger)
        result = modality.send(series.instances, router.address, via="router")
        assert set(result.acknowledged) == series.sop_instance_uids

    def judged(self, series: Study) -> tuple[SideReport, SideReport]:
        study = [series.study_instance_uid]
        pacs = PacsTruth(self.pacs.orthanc(self.recorder)).fingerprints(study)
        cloud = CloudTruth(self.cloud.dicomweb(self.recorder)).fingerprints(study)
        return judge(self.ledger, "pacs", pacs), judge(self.ledger, "cloud", cloud)

    def dead_cloud(self) -> DicomWeb:
        return DicomWeb(
            HttpClient(f"http://127.0.0.1:{free_ports(1)[0]}", recorder=self.recorder), version=""
        )


@pytest.fixture
def scene(peer: OrthancPeer, cloud_peer: OrthancPeer, recorder: Recorder, tmp_path: Path) -> Scene:
    return Scene(peer, cloud_peer, recorder, tmp_path / "spool", Ledger())


def settle(router: ImpostorRouter) -> None:
    eventually(router.settled, within=15, because="the impostor to deliver")


def test_an_honest_router_delivers_to_both(scene: Scene, run: Run) -> None:
    series = make_series(run, 1, 3)
    with scene.router(Misconduct()) as router:
        scene.send(series, router)
        settle(router)

    pacs, cloud = scene.judged(series)
    assert (pacs.valid, cloud.valid) == (True, True)
    assert list(scene.spool.iterdir()) == []


@pytest.mark.parametrize(
    ("misconduct", "wrong_at_pacs", "wrong_at_cloud"),
    [
        (
            Misconduct(drop_every=2),
            lambda report: len(report.lost) == 1,
            lambda report: len(report.lost) == 1,
        ),
        (Misconduct(only="pacs"), lambda report: report.valid, lambda report: len(report.lost) == 3),
        (Misconduct(only="cloud"), lambda report: len(report.lost) == 3, lambda report: report.valid),
        (
            Misconduct(alter=("AccessionNumber", "X")),
            lambda report: len(report.altered) == 3,
            lambda report: len(report.altered) == 3,
        ),
    ],
    ids=["drop", "only-pacs", "only-cloud", "alter"],
)
def test_each_misconduct_shows_where_it_should(
    scene: Scene,
    run: Run,
    misconduct: Misconduct,
    wrong_at_pacs: Callable[[SideReport], bool],
    wrong_at_cloud: Callable[[SideReport], bool],
) -> None:
    series = make_series(run, 1, 3)
    with scene.router(misconduct) as router:
        scene.send(series, router)
        settle(router)

    pacs, cloud = scene.judged(series)
    assert wrong_at_pacs(pacs), pacs.describe()
    assert wrong_at_cloud(cloud), cloud.describe()


@pytest.mark.parametrize("early", [False, True])
def test_a_kill_loses_what_was_acknowledged_too_early_and_nothing_else(
    scene: Scene, run: Run, early: bool
) -> None:
    series = make_series(run, 1, 2)
    misconduct = Misconduct(acknowledge_before_storing=early)
    with scene.router(misconduct, cloud=scene.dead_cloud()) as router:
        scene.send(series, router)
        eventually(lambda: router.waiting == 2, within=15, because="the PACS to have its copies")
        router.kill()
    with scene.router(misconduct) as router:
        settle(router)

    pacs, cloud = scene.judged(series)
    assert pacs.valid is True
    assert len(cloud.lost) == (2 if early else 0)


def test_swallowed_cloud_errors_are_lost_instances(scene: Scene, run: Run) -> None:
    series = make_series(run, 1, 2)
    unauthorised = DicomWeb(
        HttpClient(
            f"{scene.cloud.http_url}/dicom-web",
            recorder=scene.recorder,
            headers=[basic_credentials("student", "wrong")],
        ),
        version="",
    )
    with scene.router(Misconduct(swallow_cloud_errors=True), cloud=unauthorised) as router:
        scene.send(series, router)
        settle(router)
    with scene.router(Misconduct(), cloud=unauthorised) as honest:
        scene.send(series, honest)
        eventually(lambda: honest.waiting == 2, within=15, because="only the cloud's copies to be owed")

    pacs, cloud = scene.judged(series)
    assert pacs.valid is True
    assert len(cloud.lost) == 2


def test_unknown_destination_is_an_error_of_the_test() -> None:
    with pytest.raises(ValueError, match="only is 'tape'"):
        Misconduct(only="tape")
