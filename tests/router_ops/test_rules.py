"""ROUTER-191: rules by any tag value; ROUTER-003: who may call from where."""

import pytest
from pydicom.uid import generate_uid

from fixtures.waiting import eventually
from systems.router.config.model import Rule
from systems.router.dimse.associate import AssociateItems
from systems.router.dimse.negotiation import CALLING_AE_NOT_RECOGNISED, check
from systems.router.dimse.settings import DimseSettings
from systems.router.objects import Identity, Received
from systems.router.reception import text_of
from systems.router.routing import matches
from tests.router.conftest import MakeRouter
from tests.router.fakes import FakeCloud, FakePacs, make_dataset, send

_INSTITUTION = 0x00080080


def _received(text: str | None) -> Received:
    tags = {} if text is None else {_INSTITUTION: text}
    return Received(Identity("1", "2", "3", "4", "5"), "", 0, "", "", "", tags=tags)


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("Nord", "Nord", True),
        ("Nord", "nord", False),
        ("N*", "Nord", True),
        ("N?rd", "Nord", True),
        ("N?rd", "Nord Sued", False),
        ("[a]*", "[a]b", True),
        ("[a]*", "ab", False),
        ("Sued", "Nord\\Sued", True),
        ("*", "", True),
        ("*", None, False),
    ],
)
def test_value_meets_its_pattern(pattern: str, value: str | None, expected: bool) -> None:
    rule = Rule("r", ("cloud",), (), (), (), (), ((_INSTITUTION, (pattern,)),))
    assert matches(rule, _received(value)) is expected


@pytest.mark.parametrize(
    ("raw", "character_set", "text"),
    [
        (b"Plain ", b"", "Plain"),
        ("Müller".encode("latin-1"), b"ISO_IR 100", "Müller"),
        ("Müller".encode(), b"ISO_IR 192", "Müller"),
    ],
)
def test_value_is_read_in_its_character_set(raw: bytes, character_set: bytes, text: str) -> None:
    assert text_of(raw, character_set) == text


def test_objects_go_where_their_tags_say_and_the_rest_is_held(
    make_router: MakeRouter, cloud: FakeCloud, pacs: FakePacs
) -> None:
    rules = '[[rules]]\nname = "north"\ndestinations = ["cloud"]\ntags = {"0008,0080" = ["N*"], "00080068" = ["FOR ?*"]}\n'
    router = make_router(**{"+rules": rules})
    north = make_dataset(
        InstitutionName="Nörd", SpecificCharacterSet="ISO_IR 100", PresentationIntentType="FOR PRESENTATION"
    )
    other = make_dataset(InstitutionName="Nord")
    assert send(router.intake, [north, other]) == [0, 0]
    eventually(
        lambda: list(cloud.stored) == [north.SOPInstanceUID], within=10, because="the object from the north"
    )
    status = router.status()
    assert status["held"] == 1
    assert not pacs.stored
    assert "Nord" not in router.ask("GET", "/audit").text


@pytest.mark.parametrize("key", ["0008,00800", "InstitutionName", "0002,0010"])
def test_tag_that_is_none_is_named(make_router: MakeRouter, key: str) -> None:
    rules = f'[[rules]]\nname = "r"\ndestinations = ["cloud"]\ntags = {{"{key}" = ["N*"]}}\n'
    with pytest.raises(pytest.fail.Exception, match=r"rules\[0\].tags"):
        make_router(**{"+rules": rules})


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("10.1.2.3", True), ("10.2.0.1", False), ("::ffff:10.1.2.3", True), ("fe80::1%eth0", True), ("", False)],
)
def test_caller_from_another_network_is_not_recognised(host: str, allowed: bool) -> None:
    from ipaddress import ip_network

    settings = DimseSettings("X", allowed_networks=(ip_network("10.1.0.0/16"), ip_network("fe80::/10")))
    request = AssociateItems("X", "GDCM")
    assert check(settings, request, host) == (None if allowed else CALLING_AE_NOT_RECOGNISED)


def test_association_from_outside_the_allowed_networks_is_rejected(make_router: MakeRouter) -> None:
    from pynetdicom import AE

    outside = 'host = "127.0.0.1"\nport = 0\nallowed_networks = ["10.9.0.0/16"]'
    router = make_router(**{"paths_modality-intake": outside})
    ae = AE("GDCM")
    ae.add_requested_context("1.2.840.10008.1.1")
    association = ae.associate("127.0.0.1", router.intake, ae_title="QIEROUTER")
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert answer is not None
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 3)
    assert send(router.intake, [make_dataset(generate_uid())]) == [None]
