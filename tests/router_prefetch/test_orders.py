"""HL7 messages and their acknowledgements, without a network."""

from typing import Any

import pytest

from fixtures.actors.ris import acknowledgement
from systems.router.config.prefetch import Hl7Listener, Prefetch, prefetch
from systems.router.config.reader import Section
from systems.router.errors import ConfigError
from systems.router.prefetch.acknowledge import acknowledge
from systems.router.prefetch.hl7_text import RefusedMessageError, read_header
from systems.router.prefetch.order import read_order
from systems.router.prefetch.trigger import Trigger
from tests.router_prefetch.peers import order


def settings(**values: object) -> Prefetch:
    made = prefetch(Section({"prefetch": values}))
    assert made is not None
    return made


def hl7(**values: object) -> Hl7Listener:
    return settings(hl7=values).hl7


def read(message: bytes, *, authority: str = "", **values: Any) -> Trigger:
    return read_order(message, read_header(message), hl7(**values), authority)


def refusal(message: bytes, **values: Any) -> RefusedMessageError:
    with pytest.raises(RefusedMessageError) as caught:
        read(message, **values)
    return caught.value


@pytest.mark.parametrize("kind", ["ORM^O01", "OMG^O19", "SIU^S12", "ADT^A01", "ADT^A04", "ORM^O01^ORM_O01"])
def test_default_types_trigger_with_id_and_name(kind: str) -> None:
    """ROUTER-135: PID-3.1, PID-5.1 and PID-5.2 of the five default messages."""
    trigger = read(order("0042^^^HOSP", name="Schmeler639^Jule420^M", kind=kind))
    assert trigger.patient.patient_id == "0042"
    assert trigger.patient.issuers == ("HOSP",)
    assert trigger.patient.names == (("Schmeler639", "Jule420"),)
    assert trigger.message_type == "^".join(kind.split("^")[:2])


def test_other_types_can_be_configured() -> None:
    """ROUTER-135: the list is a setting."""
    assert read(order(kind="OMI^O23"), message_types=["OMI^O23"]).message_type == "OMI^O23"
    assert refusal(order(), message_types=["OMI^O23"]).code == "AR"
    with pytest.raises(ConfigError, match=r"prefetch\.hl7\.message_types"):
        hl7(message_types=["ORM"])


@pytest.mark.parametrize(
    ("message", "code", "number", "place"),
    [
        (order(kind="ORU^R01"), "AR", 200, "MSH^1^9"),
        (order(kind="ADT^A08"), "AR", 201, "MSH^1^9"),
        (order(version="9.9"), "AR", 203, "MSH^1^12"),
        (order(processing="T"), "AR", 202, "MSH^1^11"),
        (order(processing=""), "AE", 101, "MSH^1^11"),
        (order(""), "AE", 101, "PID^1^3"),
        (order('""'), "AE", 101, "PID^1^3"),
        (order("  ^^^HOSP"), "AE", 101, "PID^1^3"),
        (order().partition(b"PID")[0], "AE", 101, "PID^1"),
        (order(more="O!R|1"), "AE", 100, ""),
        (order(header="||||||MARTIAN"), "AE", 103, "MSH^1^18"),
        (order(name="M\u00fc^X", header="||||||ASCII"), "AE", 102, "PID^1"),
        (b"no HL7 at all", "AE", 101, "MSH^1"),
        (b"", "AE", 101, "MSH^1"),
        (b"MSH|^~", "AE", 101, "MSH^1"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_code_and_place(
    message: bytes, code: str, number: int, place: str
) -> None:
    """ROUTER-136: AR for what is not supported, AE for what cannot be used."""
    error = refusal(message)
    assert (error.code, error.error[0], error.place) == (code, number, place)
    answer = acknowledge(read_header(message), error).decode()
    assert acknowledgement(answer.encode()).code == code
    assert f"{number}" in next(line for line in answer.split("\r") if line.startswith("ERR|"))


def test_acknowledgement_echoes_the_control_id_and_swaps_the_sides() -> None:
    """ROUTER-136: MSA-2 is MSH-10; sender and receiver change places; the error form follows the version."""
    message = order(control="ID-7")
    answer = acknowledge(read_header(message)).decode()
    fields = answer.split("\r")[0].split("|")
    assert fields[2:6] == ["ROUTER", "IT", "RIS", "HOSPITAL"]
    assert (fields[8], fields[11]) == ("ACK^O01^ACK", "2.5")
    seen = acknowledgement(answer.encode())
    assert (seen.code, seen.control_id) == ("AA", "ID-7")
    old = order("", version="2.3", control="ID-8")
    error = next(
        line for line in acknowledge(read_header(old), refusal(old)).decode().split("\r") if line[:3] == "ERR"
    )
    assert error == "ERR|PID^1^3^101&Required field missing&HL70357"


def test_identifier_of_the_configured_authority_is_taken_else_the_first() -> None:
    """ROUTER-138: several PID-3 repetitions."""
    message = order("LAB1^^^LAB~42^^^HOSP&1.2.3&ISO~77^^^OTHER")
    assert read(message).patient.patient_id == "LAB1"
    assert read(message, authority="HOSP").patient.patient_id == "42"
    assert read(message, authority="1.2.3").patient.issuers == ("HOSP", "1.2.3")
    assert read(message, authority="NOBODY").patient.patient_id == "LAB1"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1*", "1*"),
        ("a\\F\\b\\S\\c\\T\\d\\E\\e", "a|b^c&d\\e"),
        (" 007 ", "007"),
        ("1\\R\\2", "1~2"),
        ("<1", "<1"),
    ],
)
def test_identifiers_are_literal(text: str, wanted: str) -> None:
    """ROUTER-138: wildcards and escape sequences are what they stand for."""
    assert read(order(text)).patient.patient_id == wanted


@pytest.mark.parametrize(
    ("charset", "codec", "name"),
    [
        ("", "utf-8", "M\u00fcller"),
        ("", "latin-1", "M\u00fcller"),
        ("8859/1", "latin-1", "M\u00fcller"),
        ("UNICODE UTF-8", "utf-8", "\u5c71\u7530"),
        ("GB 18030-2000", "gb18030", "\u738b"),
        ("~ISO IR87", "iso2022_jp", "\u5c71\u7530"),
    ],
)
def test_names_come_in_the_character_set_of_the_message(charset: str, codec: str, name: str) -> None:
    """ROUTER-138: MSH-18 says how the name is written."""
    message = order(name="@^X", header=f"||||||{charset}").decode().replace("@", name).encode(codec)
    assert read(message).patient.names == ((name, "X"),)


def test_ordered_study_is_read_from_the_order() -> None:
    """ROUTER-139: what the filters compare with."""
    more = "OBR|1|||X|||||||||||^^^chest|||ACC-1||||||NMR\rZDS|1.2.3^RIS^Application^DICOM\r"
    trigger = read(order(more=more))
    assert trigger.study_instance_uid == "1.2.3"
    assert (trigger.accession_number, trigger.modality, trigger.body_part) == ("ACC-1", "MR", "CHEST")
    imaging = read(order(kind="OMI^O23", more="IPC|A1|P1|1.2.4|S1|CT\r"), message_types=["OMI^O23"])
    assert (imaging.study_instance_uid, imaging.accession_number, imaging.modality) == ("1.2.4", "A1", "CT")


def test_line_ends_of_other_kinds_are_understood() -> None:
    """ROUTER-135: senders that write line feeds."""
    assert read(order().replace(b"\r", b"\r\n")).patient.patient_id == "SECRET-ID-7"
    assert read(order().replace(b"\r", b"\n")).patient.patient_id == "SECRET-ID-7"


def test_refusals_and_triggers_show_no_patient() -> None:
    """ROUTER-159: neither the text of a refusal nor the trigger as a text names the patient."""
    assert "SECRET" not in repr(read(order()))
    message = order(name="Secret\u00fc^X", header="||||||ASCII")
    assert "Secret" not in acknowledge(read_header(message), refusal(message)).decode()


def test_bounds_and_defaults_of_the_table() -> None:
    """ROUTER-002, ROUTER-139: the demo's port; every limit is off; misspelt keys are named."""
    made = settings()
    assert (made.hl7.port, made.on_arrival, made.strict_name) == (4010, False, False)
    rules = made.priors
    assert not any(
        (rules.max_count, rules.max_age_days, rules.modalities, rules.same_modality, rules.body_parts)
    )
    assert not any((rules.same_body_part, rules.descriptions, rules.exclude_ordered))
    with pytest.raises(ConfigError, match=r"prefetch.priors.max_cuont.*did you mean max_count"):
        settings(priors={"max_cuont": 3})
    with pytest.raises(ConfigError, match=r"prefetch.width_per_patient"):
        settings(width=1)
    with pytest.raises(ConfigError, match=r"prefetch.hl7.allowed_networks"):
        hl7(allowed_networks=["everywhere"])
