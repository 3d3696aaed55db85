from collections.abc import Sequence

import pytest

from fixtures.actors.modality import Modality
from fixtures.actors.receiver import Receiver
from fixtures.actors.results import SendResult
from fixtures.data import Run, Study, make_series
from fixtures.deployment.endpoints import DimseAddress
from fixtures.deployment.ports import free_ports
from fixtures.evidence.differences import differences
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.ledger import Ledger, SideReport, judge
from fixtures.faults.defects import Alter, AnswerWith, Corrupt, Defect, Delay, Drop, Duplicate
from fixtures.faults.interposer import Interposer

LOCAL = DimseAddress("PEER", "127.0.0.1", 0)


def sent_through(
    defects: Sequence[Defect], series: Study, recorder: Recorder
) -> tuple[SideReport, Receiver, SendResult, dict[str, int]]:
    ledger = Ledger()
    with Receiver(LOCAL) as receiver, Interposer(LOCAL, receiver.address, defects) as between:
        result = Modality(recorder=recorder, ledger=ledger).send(
            series.instances, between.address, via="interposer"
        )
        counts = between.counts
    return judge(ledger, "peer", receiver.received), receiver, result, counts


def test_without_defects_everything_passes_unchanged(recorder: Recorder, run: Run) -> None:
    report, receiver, result, counts = sent_through([], make_series(run, 1, 4), recorder)

    assert report.valid is True
    assert len(result.acknowledged) == 4
    assert counts == {"received": 4, "passed on": 4}
    assert {each.calling_ae_title for each in receiver.requests} == {"GDCM"}


def test_dropped_instances_are_acknowledged_and_lost(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 4)
    report, _, result, counts = sent_through([Drop(every=2)], series, recorder)

    assert len(result.acknowledged) == 4
    assert report.lost == tuple(
        sorted([series.instances[1].sop_instance_uid, series.instances[3].sop_instance_uid])
    )
    assert counts["drop"] == 2


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"])
def test_corrupted_pixels_are_altered_and_nothing_else(recorder: Recorder, run: Run, syntax: str) -> None:
    series = make_series(run, 1, 2, transfer_syntax=syntax)
    report, receiver, _, _ = sent_through([Corrupt(every=2)], series, recorder)

    altered = series.instances[1]
    assert report.altered == (altered.sop_instance_uid,)
    found = differences(altered.part10, receiver.part10(altered.sop_instance_uid))
    assert {each.keyword for each in found} == {"PixelData"}


def test_duplicates_are_seen_twice(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 2)
    report, _, _, _ = sent_through([Duplicate(every=2)], series, recorder)

    assert report.duplicated == (series.instances[1].sop_instance_uid,)


def test_altered_attribute_is_named(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 1)
    report, receiver, _, _ = sent_through([Alter("AccessionNumber", "CHANGED")], series, recorder)

    uid = series.instances[0].sop_instance_uid
    assert report.altered == (uid,)
    assert [each.keyword for each in differences(series.instances[0].part10, receiver.part10(uid))] == [
        "AccessionNumber"
    ]


def test_answers_are_overruled_with_and_without_passing_on(recorder: Recorder, run: Run) -> None:
    series = make_series(run, 1, 2)
    kept, receiver, refused, _ = sent_through([AnswerWith(0xA700)], series, recorder)
    assert {each.status for each in refused.outcomes} == {0xA700}
    assert len(receiver.received) == 2
    assert len(kept.recovered) == 2

    _, empty, _, _ = sent_through([AnswerWith(0xA700, pass_on=False)], make_series(run, 2, 1), recorder)
    assert empty.requests == []


def test_delay_holds_back(recorder: Recorder, run: Run) -> None:
    report, _, result, counts = sent_through([Delay(0.01)], make_series(run, 1, 1), recorder)

    assert report.valid is True
    assert counts["delay"] == 1
    assert len(result.acknowledged) == 1


def test_real_peer_that_is_gone_is_a_processing_failure(recorder: Recorder, run: Run) -> None:
    nobody = DimseAddress("PEER", "127.0.0.1", free_ports(1)[0])
    with Interposer(LOCAL, nobody) as between:
        result = Modality(recorder=recorder).send(make_series(run, 1, 1).instances, between.address, via="x")

    assert [each.status for each in result.outcomes] == [0x0110]


def test_every_zero_is_an_error_of_the_test() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        Drop(every=0)
