"""Takes a data set off the wire: hashes it, checks who it is, keeps small ones in memory and large ones on disk."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Final

from systems.router.dimse.service import StoreRequest
from systems.router.dimse.status import CANNOT_UNDERSTAND, DATA_SET_MISMATCH, Status
from systems.router.dimse.uids import DEFLATED_EXPLICIT_VR_LE
from systems.router.errors import RouterError
from systems.router.objects import Identity, Received, part10_header
from systems.router.store.spool import Spool
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import scan

_CHARACTER_SET: Final = 0x00080005
_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_MODALITY: Final = 0x00080060
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_WANTED: Final = frozenset({_SOP_CLASS, _SOP_INSTANCE, _MODALITY, _STUDY, _SERIES})
_HEAD_BYTES: Final = 256 * 1024
_LARGEST_HEAD: Final = 64 << 20
# At these a text falls back to its first character set (PS3.5 section 6.1.2.5.3).
_DELIMITERS: Final = frozenset(b"\\^=")


class RefusedError(RouterError):
    """The object cannot be taken; `status` is the answer (ROUTER-047)."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


async def receive(
    request: StoreRequest, path: str, spool: Spool, memory_bytes: int, tags: frozenset[int] = frozenset()
) -> Received:
    """Read the whole data set of `request`; `tags` are top-level text attributes wanted besides the UIDs.

    Raises:
        RefusedError: the data set is not what the command says.
        SpoolFullError, OSError: there is no room for it.
        AssociationAborted: the peer left in mid-object; nothing of it remains.

    """
    spool.check_room()
    try:
        header = part10_header(request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax_uid)
    except UnicodeEncodeError as error:
        raise RefusedError(Status(CANNOT_UNDERSTAND, "a UID of the command is not ASCII")) from error
    hasher = hashlib.sha256()
    size = len(header)
    parts: list[bytes] = []
    large: _LargeFile | None = None
    try:
        async for fragment in request.data:
            hasher.update(fragment)
            size += len(fragment)
            parts.append(bytes(fragment))
            if large is None and size > memory_bytes:
                large = _LargeFile(spool.new_incoming(), header)
            if large is not None and sum(map(len, parts)) >= memory_bytes:
                spool.check_room(size)
                await large.write(parts)
                parts = []
        found = _scan(large.head if large else b"".join(parts), request.transfer_syntax_uid, tags)
        identity = _identify(request, found)
        if large is not None:
            await large.finish(parts)
            parts = []
    except BaseException:
        if large is not None:
            large.discard()
        raise
    return Received(
        identity,
        hasher.hexdigest(),
        size,
        path,
        request.peer.calling_ae,
        request.peer.called_ae,
        parts,
        large.path if large else None,
        {tag: text_of(found[tag], found.get(_CHARACTER_SET, b"")) for tag in tags & found.keys()},
    )


class _LargeFile:
    """A file of the spool's incoming folder; its writes happen in threads."""

    def __init__(self, path: Path, header: bytes) -> None:
        self.path = path
        self.head = b""
        self._header = header
        self._file = path.open("xb", buffering=0)

    async def write(self, parts: list[bytes]) -> None:
        content = b"".join(parts)
        if len(self.head) < _HEAD_BYTES:
            self.head += content
        if self._header:
            content, self._header = self._header + content, b""
        await asyncio.to_thread(self._write, content)

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) or 0 :]

    async def finish(self, parts: list[bytes]) -> None:
        await self.write(parts)
        await asyncio.to_thread(os.fdatasync, self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


def discard(received: Received) -> None:
    """Remove the file of a large object that did not become part of the spool."""
    if received.file is not None:
        received.file.unlink(missing_ok=True)


def _identify(request: StoreRequest, found: dict[int, bytes]) -> Identity:
    """The UIDs of the data set, which must be there and agree with the command (ROUTER-047)."""
    values = {tag: found.get(tag, b"").decode("ascii", "replace").strip(" \0") for tag in _WANTED}
    for tag, name in ((_SOP_INSTANCE, "SOP"), (_STUDY, "Study"), (_SERIES, "Series")):
        if not values[tag]:
            raise RefusedError(Status(DATA_SET_MISMATCH, f"the data set has no {name} Instance UID", (tag,)))
        if not _is_uid(values[tag]):
            raise RefusedError(Status(CANNOT_UNDERSTAND, f"the {name} Instance UID is no valid UID", (tag,)))
    if values[_SOP_INSTANCE] != request.sop_instance_uid:
        status = Status(
            DATA_SET_MISMATCH, "SOP Instance UID of command and data set differ", (_SOP_INSTANCE,)
        )
        raise RefusedError(status)
    if values[_SOP_CLASS] and values[_SOP_CLASS] != request.sop_class_uid:
        raise RefusedError(
            Status(DATA_SET_MISMATCH, "SOP Class UID of command and data set differ", (_SOP_CLASS,))
        )
    return Identity(
        request.sop_instance_uid,
        request.sop_class_uid,
        values[_SERIES],
        values[_STUDY],
        request.transfer_syntax_uid,
        values[_MODALITY],
    )


def _scan(head: bytes, transfer_syntax_uid: str, tags: frozenset[int]) -> dict[int, bytes]:
    wanted = _WANTED | tags | {_CHARACTER_SET} if tags else _WANTED
    if len(head) > _LARGEST_HEAD:
        head = head[:_LARGEST_HEAD]
    first = head if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LE else head[:_HEAD_BYTES]
    try:
        return scan(first, transfer_syntax_uid, wanted)
    except HeaderError as error:
        if len(first) == len(head):
            raise RefusedError(Status(CANNOT_UNDERSTAND, "the data set cannot be read")) from error
    try:
        return scan(head, transfer_syntax_uid, wanted)
    except HeaderError as error:
        raise RefusedError(Status(CANNOT_UNDERSTAND, "the data set cannot be read")) from error


def text_of(value: bytes, character_set: bytes) -> str:
    """A text value without padding, decoded by the object's Specific Character Set."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").strip(" \0")
    from pydicom.charset import convert_encodings, decode_bytes  # noqa: PLC0415 - see dimse.identifier

    names = character_set.decode("ascii", "replace").strip(" \0").split("\\")
    return decode_bytes(value, convert_encodings([name.strip() for name in names]), set(_DELIMITERS)).strip(
        " \0"
    )


def _is_uid(value: str) -> bool:
    """Lenient about length, which the destination judges; strict about characters, which go into URLs."""
    return len(value) <= 128 and value.isascii() and all(part.isdigit() for part in value.split("."))
