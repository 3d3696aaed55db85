"""Command sets, with pydicom as the independent reader."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filereader import read_dataset

from systems.router.dimse import command as commands
from systems.router.dimse import command_sets
from systems.router.dimse.errors import ProtocolError
from systems.router.dimse.service import SubOperations
from systems.router.dimse.status import Status
from systems.router.dimse.uids import STUDY_ROOT_MOVE, VERIFICATION
from tests.router_dimse.support import CT


def by_pydicom(raw: bytes) -> Dataset:
    return read_dataset(BytesIO(raw), is_implicit_VR=True, is_little_endian=True)


def test_store_request_reads_the_same_by_pydicom() -> None:
    raw = command_sets.store_request(7, CT, "1.2.3", ("REQUESTER", 11))

    seen = by_pydicom(raw)

    assert seen.AffectedSOPClassUID == CT
    assert seen.AffectedSOPInstanceUID == "1.2.3"
    assert (seen.CommandField, seen.MessageID, seen.CommandDataSetType != 0x0101) == (1, 7, True)
    assert (seen.MoveOriginatorApplicationEntityTitle, seen.MoveOriginatorMessageID) == ("REQUESTER", 11)
    assert seen.CommandGroupLength == len(raw) - 12
    assert [element.tag for element in seen] == sorted(element.tag for element in seen)


def test_requests_come_back_as_they_were_made() -> None:
    store = commands.decode(command_sets.store_request(7, CT, "1.2.3", ("REQUESTER", 11)))
    move = commands.decode(command_sets.query_request(commands.C_MOVE_RQ, 9, STUDY_ROOT_MOVE, "ORTHANC"))

    assert (store.field, store.message_id, store.sop_class_uid, store.sop_instance_uid) == (1, 7, CT, "1.2.3")
    assert (store.move_originator, store.move_originator_id, store.has_data_set) == ("REQUESTER", 11, True)
    assert (move.field, move.move_destination, move.is_response) == (0x21, "ORTHANC", False)


@given(
    st.integers(0, 0xFFFF),
    st.text(max_size=80),
    st.lists(st.integers(0, 0xFFFFFFFF), max_size=3),
    st.tuples(*[st.integers(0, 0xFFFF)] * 4),
)
def test_responses_carry_status_comment_and_counters(
    code: int, comment: str, tags: list[int], numbers: tuple[int, int, int, int]
) -> None:
    request = commands.decode(command_sets.query_request(commands.C_MOVE_RQ, 9, STUDY_ROOT_MOVE, "ORTHANC"))
    raw = command_sets.response(request, Status(code, comment, tuple(tags)), counters=SubOperations(*numbers))

    seen = commands.decode(raw)
    status = seen.status

    assert status is not None
    assert (status.code, list(status.offending_elements)) == (code, tags)
    assert len(status.comment) <= 64
    assert (seen.field, seen.responded_to, seen.has_data_set) == (0x8021, 9, False)
    keeps_remaining = status.is_pending or status.is_cancelled
    assert seen.sub_operations == SubOperations(numbers[0] if keeps_remaining else 0, *numbers[1:])
    assert ("NumberOfRemainingSuboperations" in by_pydicom(raw)) == keeps_remaining


def test_a_response_without_status_has_none() -> None:
    request = commands.decode(command_sets.echo_request(1, VERIFICATION))
    raw = command_sets.response(request, Status(0))
    without = raw.replace(b"\0\0\0\x09\2\0\0\0\0\0", b"")

    assert commands.decode(raw).status == Status(0)
    assert commands.decode(without).status is None


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_protocol_errors(raw: bytes) -> None:
    try:
        found = commands.decode(raw)
    except ProtocolError:
        return
    assert found.field >= 0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_command_set_is_refused(cut: int) -> None:
    with pytest.raises(ProtocolError):
        commands.decode(command_sets.echo_request(1, VERIFICATION)[:cut])
