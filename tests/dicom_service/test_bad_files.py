"""DICOM files that nobody should send: always answered, with no fault in the log and no memory kept."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from tests.dicom_service.bad_input import FILE, answered, no_faults, resident
from tests.dicom_service.conftest import Service, dataset, part10


def _explicit(group: int, element: int, vr: bytes, length: int, value: bytes = b"") -> bytes:
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    head = struct.pack("<HH2s", group, element, vr)
    return head + (struct.pack("<HL", 0, length) if long else struct.pack("<H", length)) + value


def _file(body: bytes, syntax: str = ExplicitVRLittleEndian) -> bytes:
    meta = part10(dataset(), ExplicitVRLittleEndian)
    head = _explicit(2, 16, b"UI", len(syntax) + len(syntax) % 2, syntax.encode() + b"\0" * (len(syntax) % 2))
    return meta[:132] + _explicit(2, 0, b"UL", 4, struct.pack("<L", len(head))) + head + body


_START = FILE[FILE.index(b"\x08\x00\x05\x00CS") :]
_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
_MONSTERS = {
    "a giant length": _START[:200] + _explicit(0x0009, 0x1001, b"UN", 0xFFFFFFF0, b"abc"),
    "a giant sequence": _explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFF0) + _START,
    "a deep sequence": (_explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFFF) + _ITEM) * 50_000,
    "many empty items": _explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFFF)
    + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 50_000,
    "nothing but a header": b"",
    "zeros": b"\0" * 500_000,
    "a sequence without an end": _explicit(0x0008, 0x1140, b"SQ", 0xFFFFFFFF),
    "an odd length": _explicit(0x0008, 0x0005, b"CS", 7, b"ISO_IR ") + _START,
    "no vr": struct.pack("<HH2sH", 8, 5, b"\0\0", 10) + _START,
}


@pytest.mark.parametrize("monster", _MONSTERS)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_monsters(service: Service, version: str, monster: str) -> None:
    """A file that is wrong inside is refused or stored, soon, and can be asked for and deleted."""
    headers: dict[str, str | None] = {"Content-Type": "application/dicom"}
    status = answered(service, "POST", f"/{version}/studies", _file(_MONSTERS[monster]), headers)
    assert status in (200, 202, 409), status
    no_faults(service)


def _bomb() -> bytes:
    """Return a file of some hundred kilobytes whose data set inflates to a gigabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = _START.partition(b"\xe0\x7f\x10\x00")[0] + _explicit(0x7FE0, 0x0010, b"OW", 1 << 30)
    begin = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same block can follow itself.
    block = packer.compress(b"\0" * (1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    return _file(begin + block * 64 + packer.flush(), DeflatedExplicitVRLittleEndian)


def test_deflate_bomb(service: Service) -> None:
    """A bomb is answered soon, others are served meanwhile, and no memory stays behind."""
    bomb = _bomb()
    assert len(bomb) < 2 << 20
    before = resident(service)
    headers: dict[str, str | None] = {"Content-Type": "application/dicom"}
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            sent = pool.submit(answered, service, "POST", "/v2/studies", bomb, headers)
            served = 0
            while not wait([sent], timeout=0.02).done:
                served += service.get("/health/check").status == 200
            assert sent.result() in (200, 202, 409)
            assert served > 5, "others waited for the bomb"
    assert resident(service) - before < 64 << 20, "a bomb must not stay in memory"
    no_faults(service)
