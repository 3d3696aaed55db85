"""ROUTER-157: metrics that agree with what happened."""

import re

from fixtures.waiting import eventually
from tests.router.conftest import RouterProcess
from tests.router.fakes import FakeCloud, FakePacs, make_dataset, send

_LINE = re.compile(
    r"^(# TYPE \w+ (counter|gauge|histogram)|\w+(\{\w+=\"[^\"]*\"(,\w+=\"[^\"]*\")*\})? -?[\d.e+-]+)$"
)


def _value(text: str, name: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).rpartition(" ")[2])


def test_metrics_count_answers_bytes_and_times(
    router: RouterProcess, cloud: FakeCloud, pacs: FakePacs
) -> None:
    good, bad = make_dataset(), make_dataset()
    bad.StudyInstanceUID = ""
    statuses = send(router.intake, [good, bad, good])
    assert statuses[0] == statuses[2] == 0
    assert statuses[1]
    assert send(router.intake, [good], called="WRONG") == [None]
    eventually(lambda: len(cloud.stored) == len(pacs.stored) == 1, within=10, because="both copies")
    eventually(lambda: router.destination("cloud")["delivered"] == 1, within=10, because="its record")
    text = router.ask("GET", "/metrics").text
    assert [line for line in text.splitlines() if not _LINE.match(line)] == []
    answers = 'router_dimse_answers_total{path="modality-intake",operation="C-STORE",status='
    assert _value(text, f'{answers}"0000"}}') == 2
    assert _value(text, f'{answers}"{statuses[1]:04X}"}}') == 1
    requests = 'router_association_requests_total{path="modality-intake",outcome='
    assert _value(text, f'{requests}"accepted"}}') == 1
    assert _value(text, f'{requests}"rejected"}}') == 1
    assert _value(text, 'router_delivery_seconds_count{destination="cloud"}') == 1
    assert (
        _value(text, 'router_dimse_seconds_bucket{path="modality-intake",operation="C-STORE",le="+Inf"}') == 3
    )
    assert _value(text, "router_cloud_seconds_count") >= 1
    size = len(cloud.stored[good.SOPInstanceUID])
    assert _value(text, 'router_received_bytes_total{path="modality-intake"}') == 2 * size
    router.kill()
    router.start()
    again = router.ask("GET", "/metrics").text
    assert _value(again, 'router_received_bytes_total{path="modality-intake"}') == 2 * size
