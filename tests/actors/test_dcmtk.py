"""What dcmtk's programs print, read back; and the programs against a listener of ours."""

import socket

import pytest

from fixtures.actors import dcmtk_output as output
from fixtures.actors.dcmtk import Dcmtk, has_dcmtk
from fixtures.actors.scp import Incoming, StorageScp
from fixtures.data import Run, make_series
from fixtures.deployment.endpoints import DimseAddress
from fixtures.evidence.exchange import Recorder
from fixtures.evidence.ledger import Ledger

_MOVE = """\
I: Association Accepted (Max Send PDV: 131060)
D: ===================== OUTGOING DIMSE MESSAGE ====================
D: Message Type                  : C-MOVE RQ
D: Move Destination              : WORKSTATION
D: ======================= END DIMSE MESSAGE =======================
D: ===================== INCOMING DIMSE MESSAGE ====================
D: Message Type                  : C-MOVE RSP
D: Remaining Suboperations       : 3
D: Completed Suboperations       : 1
D: Failed Suboperations          : 0
D: Warning Suboperations         : 0
D: DIMSE Status                  : 0xff00: Pending: Sub-operations are continuing
D: ======================= END DIMSE MESSAGE =======================
D: ===================== INCOMING DIMSE MESSAGE ====================
D: Message Type                  : C-MOVE RSP
D: Remaining Suboperations       : none
D: Completed Suboperations       : 2
D: Failed Suboperations          : 2
D: Warning Suboperations         : 0
D: Data Set                      : present
D: DIMSE Status                  : 0xb000: Warning: Sub-operations complete - One or more failures or warnings
D: ======================= END DIMSE MESSAGE =======================
D: Response Identifiers:
D: (0008,0058) UI [1.2.3\\1.2.4]                           #  12, 2 FailedSOPInstanceUIDList
D: Status Detail:
D: (0000,0902) LO [two could not be sent]                  #  22, 1 ErrorComment
I: Releasing Association
"""

needs_dcmtk = pytest.mark.skipif(not has_dcmtk(), reason="dcmtk is not installed")


def test_responses_with_counts_failures_and_comment() -> None:
    pending, final = output.responses(_MOVE, "C-MOVE RSP")
    assert (pending.status, pending.counts().remaining) == (0xFF00, 3)
    counts = final.counts()
    assert (counts.completed, counts.failed, counts.warning, counts.remaining) == (2, 2, 0, None)
    assert final.failed_uids == ("1.2.3", "1.2.4")
    assert (final.status, final.comment) == (0xB000, "two could not be sent")
    assert pending.failed_uids == ()


@pytest.mark.parametrize(
    ("text", "association"),
    [
        ("I: Association Accepted (Max Send PDV: 16372)", "accepted"),
        (
            "F: Association Rejected:\nF: Result: Rejected Permanent, Source: Service User\nF: Reason: X",
            "rejected",
        ),
        ("F: Association Request Failed: 0006:031c TCP Initialization Error: Connection refused", "refused"),
        ("F: Association Request Failed: 0006:0317 Peer aborted Association (or never connected)", "aborted"),
        ("E: No Acceptable Presentation Contexts", "accepted"),
    ],
)
def test_how_the_negotiation_ended(text: str, association: str) -> None:
    assert output.association_of(text)[0] == association


@pytest.mark.parametrize(
    ("said", "status"),
    [("Success", 0), ("Refused: SOPClassNotSupported", 0x0122), ("Unknown Status: 0x124", 0x124)],
)
def test_echo_status(said: str, status: int) -> None:
    assert output.echo_status(f"I: Received Echo Response ({said})") == status
    assert output.echo_status("I: Sending Echo Request (MsgID 1)") is None


@needs_dcmtk
def test_storescu_reports_each_instance_and_fills_the_ledger() -> None:
    study = make_series(Run("dcmtk-actor"), 1, 3, rows=16, columns=16)
    refused = study.instances[1].sop_instance_uid

    def answer(arrived: Incoming) -> int:
        return 0xA700 if arrived.request.sop_instance_uid == refused else 0x0000

    ledger = Ledger()
    with StorageScp(DimseAddress("SCP", "127.0.0.1", 0), answer) as scp:
        client = Dcmtk("GDCM", Recorder(), ledger)
        assert client.echo(scp.address).succeeded
        result = client.send(study.instances, scp.address, via="scp")
    assert result.association == "accepted"
    assert {outcome.sop_instance_uid: outcome.status for outcome in result.outcomes}[refused] == 0xA700
    assert refused not in ledger.acknowledged("scp")
    assert len(ledger.attempted) == 3


@needs_dcmtk
def test_nobody_there_is_a_result() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        answer = Dcmtk().echo(DimseAddress("SCP", "127.0.0.1", free.getsockname()[1]))
    assert (answer.association, answer.status) == ("refused", None)
