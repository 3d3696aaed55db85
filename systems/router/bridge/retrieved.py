"""A file fetched by WADO-RS: held in bounded memory and checked before it is sent on (ROUTER-082)."""

import mmap
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from systems.router.bridge.cloud import CloudReader
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import read_file_meta, scan_part10

_IN_MEMORY: Final = 16 << 20
_PIECE: Final = 1 << 20
_BEYOND_ANY_ELEMENT: Final = 0xFFFFFFFF
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_CLASS: Final = 0x00080016
_INSTANCE: Final = 0x00080018


class NotAsRequested(Exception):  # noqa: N818 - named for what it is
    """The file is not a complete Part 10 file of the instance that was asked for."""


@dataclass(frozen=True, slots=True)
class InstanceReference:
    """What QIDO-RS says about an instance to be retrieved."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str = ""
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class RetrievedInstance:
    """A checked file, and what C-STORE needs to know of it."""

    reference: InstanceReference
    sop_class_uid: str
    transfer_syntax_uid: str
    part10: bytes | mmap.mmap
    data_set_offset: int

    @property
    def data(self) -> memoryview | AsyncIterator[memoryview]:
        """The data set without group 0002; piece by piece where it rests on the disk."""
        if isinstance(self.part10, bytes):
            return memoryview(self.part10)[self.data_set_offset :]
        return _pieces(self.part10, self.data_set_offset)


async def fetch(cloud: CloudReader, reference: InstanceReference) -> RetrievedInstance:
    """Fetch and check an instance; larger ones rest in an unnamed temporary file while they are sent.

    Raises:
        CloudError: when it cannot be fetched.
        NotAsRequested: when it is not what was asked for.
        OSError: when the temporary file cannot be written.

    """
    chunks = cloud.retrieve_instance(
        reference.study_instance_uid, reference.series_instance_uid, reference.sop_instance_uid
    )
    return check(await _held(chunks), reference)


async def _pieces(file: mmap.mmap, offset: int) -> AsyncIterator[memoryview]:
    """What is mapped counts as the router's memory: what was sent is given back.

    The sender holds one piece back and the connection the end of the one before. Were more needed, it would be read again.
    """
    view = memoryview(file)
    for start in range(0, len(file), _PIECE):
        yield view[max(start, offset) : start + _PIECE]
        if start >= 2 * _PIECE:
            file.madvise(mmap.MADV_DONTNEED, start - 2 * _PIECE, _PIECE)


async def _held(chunks: AsyncIterator[bytes]) -> bytes | mmap.mmap:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > _IN_MEMORY:
            return await _on_disk(parts, chunks)
    return b"".join(parts)


async def _on_disk(parts: list[bytes], chunks: AsyncIterator[bytes]) -> mmap.mmap:
    with tempfile.TemporaryFile() as file:
        file.writelines(parts)
        parts.clear()
        async for chunk in chunks:
            file.write(chunk)
        file.flush()
        # The mapping keeps the unlinked file alive and reads like bytes; pages come and go as needed.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def check(part10: bytes | mmap.mmap, reference: InstanceReference) -> RetrievedInstance:
    """Parse the whole file and compare its UIDs with those asked for.

    Raises:
        NotAsRequested: when it is torn, not DICOM, or another instance.

    """
    try:
        meta = read_file_meta(bytes(part10[:65536]))
        wanted = frozenset({_STUDY, _SERIES, _CLASS, _INSTANCE, _BEYOND_ANY_ELEMENT})
        found: dict[int, Any] = {
            tag: value.rstrip(b"\0 ").decode("latin-1")
            for tag, value in scan_part10(cast("bytes", part10), meta, wanted).items()
        }
    except HeaderError as error:
        message = f"the retrieved file is damaged: {error}"
        raise NotAsRequested(message) from error
    expected = {
        _STUDY: reference.study_instance_uid,
        _SERIES: reference.series_instance_uid,
        _INSTANCE: reference.sop_instance_uid,
    }
    if (
        any(found.get(tag) != uid for tag, uid in expected.items())
        or meta.sop_instance_uid != found[_INSTANCE]
    ):
        message = f"the retrieved file is not instance {reference.sop_instance_uid}"
        raise NotAsRequested(message)
    sop_class = found.get(_CLASS) or meta.sop_class_uid
    if isinstance(part10, mmap.mmap):
        part10.madvise(mmap.MADV_DONTNEED)
    return RetrievedInstance(reference, sop_class, meta.transfer_syntax_uid, part10, meta.data_set_offset)
