"""A-ASSOCIATE bodies, with pynetdicom as the other writer and reader."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import build_context, build_role
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
    SOPClassExtendedNegotiation,
)

from systems.router.dimse import associate
from systems.router.dimse.associate import AssociateItems, ContextItem
from systems.router.dimse.errors import ProtocolError
from systems.router.dimse.uids import EXPLICIT_VR_LE, IMPLICIT_VR_LE, STUDY_ROOT_FIND
from tests.router_dimse.support import CT, MR


def by_pynetdicom() -> bytes:
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = "GDCM", "QIETOAZURE"
    contexts = [
        build_context(CT, [EXPLICIT_VR_LE, IMPLICIT_VR_LE]),
        build_context(STUDY_ROOT_FIND, IMPLICIT_VR_LE),
    ]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    request.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16382
    implementation.implementation_class_uid = "1.2.3.4"
    window, extended = AsynchronousOperationsWindowNegotiation(), SOPClassExtendedNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 4
    extended.sop_class_uid = STUDY_ROOT_FIND
    extended.service_class_application_information = b"\1\0"
    request.user_information = [length, implementation, window, build_role(CT, True, True), extended]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    encoded: bytes = pdu.encode()
    return encoded[6:]


def test_a_request_of_pynetdicom_is_read_completely() -> None:
    seen = associate.decode(by_pynetdicom())

    assert (seen.calling_ae, seen.called_ae, seen.max_pdu) == ("GDCM", "QIETOAZURE", 16382)
    assert seen.contexts == [
        ContextItem(1, CT, (EXPLICIT_VR_LE, IMPLICIT_VR_LE)),
        ContextItem(3, STUDY_ROOT_FIND, (IMPLICIT_VR_LE,)),
    ]
    assert (seen.window, seen.roles, seen.extended) == (
        (5, 4),
        {CT: (True, True)},
        {STUDY_ROOT_FIND: b"\1\0"},
    )
    assert seen.implementation_class_uid == "1.2.3.4"


def test_an_acceptance_of_ours_is_read_by_pynetdicom() -> None:
    contexts = [ContextItem(1, CT, (EXPLICIT_VR_LE,), 0), ContextItem(3, MR, (IMPLICIT_VR_LE,), 3)]
    items = AssociateItems(
        "QIETOAZURE", "GDCM", contexts, max_pdu=131072, roles={CT: (True, True)}, window=(1, 1)
    )
    body = associate.encode(items, accept=True)

    pdu = A_ASSOCIATE_AC()
    pdu.decode(b"\2\0" + len(body).to_bytes(4, "big") + body)
    seen = pdu.to_primitive()

    assert [
        (c.context_id, c.result, c.transfer_syntax) for c in seen.presentation_context_definition_results_list
    ] == [
        (1, 0, [EXPLICIT_VR_LE]),
        (3, 3, [IMPLICIT_VR_LE]),
    ]
    assert seen.maximum_length_received == 131072
    again = associate.decode(body)
    assert (again.window, again.roles, again.contexts[1].result) == ((1, 1), {CT: (True, True)}, 3)


def test_unknown_items_are_passed_over() -> None:
    body = by_pynetdicom() + b"\x77\0\0\3abc"

    assert associate.decode(body).contexts == associate.decode(by_pynetdicom()).contexts


@settings(max_examples=300)
@given(st.binary(max_size=400), st.booleans())
def test_random_bytes_raise_nothing_but_protocol_errors(tail: bytes, whole: bool) -> None:
    body = by_pynetdicom()[:68] + tail if whole else tail
    with suppress(ProtocolError):
        associate.decode(body)


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_request_is_read_or_refused(position: int, value: int) -> None:
    body = bytearray(by_pynetdicom())
    body[position % len(body)] = value
    with suppress(ProtocolError):
        associate.decode(bytes(body))
