"""Taking a data set off the wire: however it is cut and whatever its size, it is kept and known as it was sent."""

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import blake3
import pytest

from systems.router.config.limit_values import SpoolLimits
from systems.router.dimse.service import Peer, StoreRequest
from systems.router.objects import Received
from systems.router.reception import RefusedError, receive
from systems.router.store.spool import Spool
from tests.router.fakes import CT

EXPLICIT = "1.2.840.10008.1.2.1"
LIMITS = SpoolLimits(0, 100, 100, 0, 1e9, 1 << 20)
UID, STUDY, SERIES = "1.2.3.4", "1.2.3", "1.2.3.5"
DESCRIPTION = 0x0008103E


class Wire:
    """A data set that arrives in pieces of one size."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content = content
        self._size = size

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for start in range(0, len(self._content), self._size):
            await asyncio.sleep(0)
            yield memoryview(self._content[start : start + self._size])


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    long = vr in (b"OB", b"OW", b"UN")
    return head + (struct.pack("<xxL", len(value)) if long else struct.pack("<H", len(value))) + value


def data_set(pixels: int, study_at: int = 0, uid: str = UID) -> bytes:
    """A data set with so many bytes of pixel data, the study's UID at the offset `study_at` or as soon as it can be."""
    begin = element(0x00080016, b"UI", CT.encode()) + element(0x00080018, b"UI", uid.encode())
    begin += element(0x00080060, b"CS", b"CT")
    if study_at:
        begin += element(0x00091001, b"OB", bytes(study_at - len(begin) - 12))
        assert len(begin) == study_at
    begin += element(0x0020000D, b"UI", STUDY.encode()) + element(0x0020000E, b"UI", SERIES.encode())
    return begin + element(0x7FE00010, b"OW", random.Random(pixels).randbytes(pixels))  # noqa: S311


def take(
    folder: Path, content: bytes, size: int, memory: int = 1 << 20, tags: frozenset[int] = frozenset()
) -> Received:
    async def inside() -> Received:
        request = StoreRequest(
            Peer(1, "GDCM", "QIEROUTER", "127.0.0.1", 1), 1, CT, UID, EXPLICIT, Wire(content, size)
        )
        return await receive(
            request,
            "modality-intake",
            Spool(folder, LIMITS),
            replace(LIMITS, memory_object_bytes=memory),
            tags,
        )

    return asyncio.run(inside())


def kept(received: Received) -> bytes:
    if received.file is None:
        return received.header + b"".join(received.body)
    return received.file.read_bytes()


@pytest.mark.parametrize("size", [7, 4095, 4096, 131_066, 1 << 22])
@pytest.mark.parametrize("pixels", [10, 70_000, 600_000])
@pytest.mark.parametrize("memory", [1000, 100_000, 1 << 20])
def test_content_and_digest_are_those_of_what_was_sent(
    tmp_path: Path, size: int, pixels: int, memory: int
) -> None:
    content = data_set(pixels)
    received = take(tmp_path, content, max(size, len(content) // 2000), memory)

    assert received.digest == "blake3:" + blake3.blake3(content).hexdigest()
    assert kept(received) == received.header + content
    assert received.size == len(received.header) + len(content)
    assert (received.file is not None) == (received.size > memory)
    assert received.identity.study_instance_uid == STUDY


@pytest.mark.parametrize("less", [1, 100, 300, 349])
def test_object_of_almost_the_size_kept_in_memory_is_known_too(tmp_path: Path, less: int) -> None:
    content = data_set(20_000)
    received = take(tmp_path, content, 4096, len(content) + less)

    assert kept(received) == received.header + content
    assert received.identity.series_instance_uid == SERIES


@pytest.mark.parametrize("study_at", [16 * 1024 - 2, 16 * 1024, 40_000, 256 * 1024, 300_000])
@pytest.mark.parametrize("memory", [1 << 18, 1 << 20])
def test_uids_are_found_wherever_a_head_is_cut(tmp_path: Path, study_at: int, memory: int) -> None:
    received = take(tmp_path, data_set(400_000, study_at), 131_066, max(memory, study_at + 200))

    assert received.identity.study_instance_uid == STUDY
    assert received.identity.series_instance_uid == SERIES


def test_absent_attribute_of_a_rule_is_no_reason_to_refuse(tmp_path: Path) -> None:
    received = take(tmp_path, data_set(600_000), 131_066, tags=frozenset({DESCRIPTION, 0x00321032}))

    assert received.tags == {}
    assert received.identity.modality == "CT"


@pytest.mark.parametrize("memory", [1000, 1 << 20])
@pytest.mark.parametrize("cut", [20, 74, 80])
def test_what_cannot_be_read_or_is_another_leaves_nothing_behind(
    tmp_path: Path, memory: int, cut: int
) -> None:
    for content in (data_set(50_000, uid="1.2.3.9"), data_set(50_000)[:cut], b"\xff" * 50_000):
        with pytest.raises(RefusedError):
            take(tmp_path, content, 4096, memory)
    assert not list((tmp_path / "incoming").iterdir())
