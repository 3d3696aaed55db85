"""Storing under v1 while extended query tags exist: their values are checked by the rule of their VR."""

import json
import struct
from collections.abc import Iterator

import pytest

from fixtures.clients.answers import Response
from fixtures.clients.dicomweb import DicomWeb
from fixtures.traceability import needs, requirement
from fixtures.waiting import eventually
from suites.azure.data import Maker, Raw
from suites.azure.service import Service
from suites.azure.stow import kept, outcome, reasons, stored

pytestmark = needs("extended-query-tags")

CREATOR = "CONFORMANCE SUITE"
PRIVATE, BLOCK = 0x00331010, 0x00330010

# Rarely used attributes, one of each VR, so that nobody else's stores are touched.
TAGS = {
    "AE": 0x00400001,
    "AS": 0x00101010,
    "CS": 0x00280A02,
    "DA": 0x00181012,
    "DT": 0x00181078,
    "FD": 0x00189306,
    "FL": 0x00189461,
    "IS": 0x00181150,
    "LO": 0x00181018,
    "PN": 0x00081060,
    "SH": 0x00540400,
    "SL": 0x00186020,
    "SS": 0x00189219,
    "TM": 0x00181014,
    "UI": 0x00281214,
    "UL": 0x00186030,
    "US": 0x00186012,
}

# A value that breaks the rule of its VR, the cause (STOW-089) where the record has it, and a value just within.
RULES: dict[str, tuple[bytes, str | None, bytes]] = {
    "AE": (b"A" * 17, "Value length exceeds maximum length of 16.", b"A" * 16),
    "AS": (b"foo ", "Value length is not 4.", b"food"),
    "CS": (b"C" * 17, "Value length exceeds maximum length of 16.", b"lower-case "),
    "DA": (b"20230231", "Value cannot be parsed as a valid date.", b"20230228"),
    "DT": (b"yesterday ", "Value cannot be parsed as a valid DateTime.", b"20230405101112.5 "),
    "FD": (b"\0\0\0\0", None, struct.pack("<d", 1.5)),
    "FL": (b"\0\0", None, struct.pack("<f", 1.5)),
    "IS": (b"1.5 ", "Value cannot be parsed as a valid integer string.", b" 17 "),
    "LO": (b"a\tb ", "Value contains invalid character.", b"x" * 64),
    "PN": (b"n" * 65, "Value length exceeds maximum length of 64.", b"Reader^One"),
    "SH": (b"s" * 17, "Value length exceeds maximum length of 16.", b"s" * 16),
    "SL": (b"\0\0", None, struct.pack("<i", -7)),
    "SS": (b"", None, struct.pack("<h", -7)),
    "TM": (b"2561", "Value cannot be parsed as a valid Time.", b"101112.5"),
    "UI": (b"1.2.x\0", None, b"1.02.3"),
    "UL": (b"\0\0", None, struct.pack("<I", 7)),
    "US": (b"", None, struct.pack("<H", 7)),
}
_LENGTH_NEEDED = ("AS", "FL", "FD", "SL", "SS", "UL", "US")


@pytest.fixture(scope="module", autouse=True)
def _tags(service: Service) -> Iterator[None]:
    """The extended query tags of this module, indexed and enabled; deleted afterwards."""
    web = service.web(version="v2")
    wanted = [{"Path": f"{tag:08X}", "VR": vr, "Level": "Instance"} for vr, tag in TAGS.items()]
    wanted.append({"Path": f"{PRIVATE:08X}", "VR": "SH", "PrivateCreator": CREATOR, "Level": "Instance"})
    headers = [("Content-Type", "application/json"), ("Accept", "application/json")]

    def add() -> Response | None:
        answer = web.request("POST", "/extendedquerytags", headers=headers, body=json.dumps(wanted).encode())
        # TAG-028: somebody else's re-index may still run.
        return None if answer.status == 409 and "re-index" in answer.body.decode().lower() else answer

    added: Response | None = eventually(add, within=service.settle, because="an earlier re-index to end")
    assert added is not None
    assert added.status == 202, added.describe()
    try:
        eventually(lambda: _ready(web), within=service.settle, because="the tags to be ready")
        yield
    finally:
        for tag in (*TAGS.values(), PRIVATE):
            web.request("DELETE", f"/extendedquerytags/{tag:08X}")


def _ready(web: DicomWeb) -> bool:
    found = (
        web.get(f"/extendedquerytags/{tag:08X}", accept="application/json")
        for tag in (*TAGS.values(), PRIVATE)
    )
    return all(answer.status == 200 and answer.json()["status"].lower() == "ready" for answer in found)


def _raw(vr: str, value: bytes) -> Raw:
    return {TAGS[vr]: (vr, value + b" " * (len(value) % 2))}


@requirement("STOW-090", "STOW-136", "STOW-080", "STOW-084")
@pytest.mark.parametrize("vr", RULES)
def test_bad_value_fails_v1(v1: DicomWeb, make: Maker, vr: str) -> None:
    """A value that breaks its VR fails the instance, one just within is stored (STOW-090, STOW-136, 080, 084)."""
    bad, cause, good = RULES[vr]
    made = make(raw=_raw(vr, bad))
    answer = stored(v1, made)
    assert outcome(answer) == (409, [43264], []), answer.describe()
    tag = TAGS[vr]
    (reason,) = reasons(answer)
    assert reason.startswith(f"DICOM100: ({tag >> 16:04x},{tag & 0xFFFF:04x}) - ")
    assert cause is None or reason.endswith(f" failed validation for VR '{vr}': {cause}"), reason
    assert kept(v1, made) is None
    twin = stored(v1, make(raw=_raw(vr, good)))
    assert outcome(twin) == (200, [], []), reasons(twin)


@requirement("STOW-090")
def test_private_tag_fails_v1(v1: DicomWeb, make: Maker) -> None:
    """A bad value of a private tag fails the instance; without the attribute it is stored (STOW-090)."""
    creator = CREATOR + " " * (len(CREATOR) % 2)
    bad = make(raw={BLOCK: ("LO", creator), PRIVATE: ("SH", "s" * 17)})
    answer = stored(v1, bad)
    assert outcome(answer) == (409, [43264], []), answer.describe()
    assert kept(v1, bad) is None
    assert outcome(stored(v1, make(raw={BLOCK: ("LO", creator)}))) == (200, [], [])


@requirement("STOW-090")
def test_bad_values_are_warnings_under_v2(v2: DicomWeb, make: Maker) -> None:
    """What fails v1 is under v2 a warning as before (STOW-090's twin, STOW-091)."""
    made = make(raw=_raw("SH", RULES["SH"][0]))
    assert outcome(stored(v2, made)) == (202, [], [1])
    assert kept(v2, made) == made.part10


@requirement("STOW-082")
@pytest.mark.parametrize("vr", TAGS)
def test_empty_values_v1(v1: DicomWeb, make: Maker, vr: str) -> None:
    """An empty value fails where the VR has a fixed length, and is accepted elsewhere (STOW-082)."""
    made = make(raw=_raw(vr, b""))
    answer = stored(v1, made)
    fails = vr in _LENGTH_NEEDED
    assert (answer.status, list(answer.failed.values())) == ((409, [43264]) if fails else (200, [])), reasons(
        answer
    )
    assert (kept(v1, made) is None) is fails


@requirement("STOW-136", "STOW-088")
@pytest.mark.parametrize(("vr", "value"), [("SH", b"good\\" + b"s" * 20), ("US", bytes(4))])
def test_first_value_only_v1(v1: DicomWeb, make: Maker, vr: str, value: bytes) -> None:
    """Only the first value is checked, and several give the Warning header (STOW-136, STOW-088)."""
    answer = stored(v1, make(raw=_raw(vr, value)))
    assert outcome(answer) == (200, [], []), reasons(answer)
    assert answer.response.header("Warning").startswith("299 ")


@requirement("STOW-087")
def test_other_vr_fails_v1(v1: DicomWeb, make: Maker) -> None:
    """A value in another VR than the tag's fails the instance (STOW-087, for extended query tags)."""
    answer = stored(v1, make(raw={TAGS["SH"]: ("LO", "text")}))
    assert outcome(answer) == (409, [43264], []), answer.describe()
    assert outcome(stored(v1, make(raw={TAGS["SH"]: ("SH", "text")}))) == (200, [], [])
