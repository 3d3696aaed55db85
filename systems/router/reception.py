"""Takes a data set off the wire: hashes it, checks who it is, keeps small ones in memory and large ones on disk."""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVarTuple

from systems.router import digests
from systems.router.config.limit_values import SpoolLimits
from systems.router.digests import Digest
from systems.router.dimse.service import StoreRequest
from systems.router.dimse.status import CANNOT_UNDERSTAND, DATA_SET_MISMATCH, Status
from systems.router.errors import RouterError
from systems.router.objects import Identity, Piece, Received, part10_header
from systems.router.sealing import ObjectKey
from systems.router.store.spool import Spool, private
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
_HEADS: Final = (16 * 1024, _HEAD_BYTES, 64 << 20)
_WORTH_A_VIEW: Final = 4096
_PIECES_A_CALL: Final = min(1024, os.sysconf("SC_IOV_MAX"))
# Below this, handing it to a thread takes longer than hashing it.
_HASHED_IN_THREAD: Final = 64 * 1024
# Not the loop's own, in which deliveries read and check what they send: an arriving object would have to queue behind them.
_THREADS: Final = ThreadPoolExecutor(8, thread_name_prefix="router-intake")
# At these a text falls back to its first character set (PS3.5 section 6.1.2.5.3).
_DELIMITERS: Final = frozenset(b"\\^=")


Values = TypeVarTuple("Values")


class RefusedError(RouterError):
    """The object cannot be taken; `status` is the answer (ROUTER-047)."""

    def __init__(self, status: Status) -> None:
        super().__init__(str(status))
        self.status = status


async def receive(
    request: StoreRequest, path: str, spool: Spool, settings: SpoolLimits, tags: frozenset[int] = frozenset()
) -> Received:
    """Read the whole data set of `request`; `tags` are top-level text attributes wanted besides the UIDs.

    Raises:
        RefusedError: the data set is not what the command says.
        SpoolFullError, OSError: there is no room for it.
        AssociationAborted: the peer left in mid-object; nothing of it remains.

    """
    memory_bytes = settings.memory_object_bytes
    spool.check_room()
    try:
        header = part10_header(request.sop_class_uid, request.sop_instance_uid, request.transfer_syntax_uid)
    except UnicodeEncodeError as error:
        raise RefusedError(Status(CANNOT_UNDERSTAND, "a UID of the command is not ASCII")) from error
    hasher = digests.new(settings.digest)
    size = len(header)
    parts: list[Piece] = []
    gathered = 0
    large: _LargeFile | None = None
    try:
        async for fragment in request.data:
            size += len(fragment)
            gathered += len(fragment)
            # A view keeps what was read from the network alive with it, which is not worth it for a few bytes.
            parts.append(fragment if len(fragment) >= _WORTH_A_VIEW else bytes(fragment))
            if large is None and size > memory_bytes:
                large = _LargeFile(spool.new_incoming(), header, hasher, spool.keys.fresh())
            if large is not None and gathered >= memory_bytes:
                spool.check_room(size)
                await large.write(parts)
                parts, gathered = [], 0
        found = _scan(large.head(parts) if large else parts, request.transfer_syntax_uid, tags)
        identity = _identify(request, found)
        if large is not None:
            await large.finish(parts)
            parts = []
        else:
            await _hash(hasher, parts, gathered)
    except BaseException:
        if large is not None:
            large.discard()
        raise
    return Received(
        identity,
        hasher.text(),
        size,
        path,
        request.peer.calling_ae,
        request.peer.called_ae,
        parts,
        large.path if large else None,
        {tag: text_of(found[tag], found.get(_CHARACTER_SET, b"")) for tag in tags & found.keys()},
        large.key if large else None,
    )


async def _in_thread(work: Callable[[*Values], None], *values: *Values) -> None:
    await asyncio.get_running_loop().run_in_executor(_THREADS, work, *values)


async def _hash(hasher: Digest, parts: Sequence[Piece], size: int) -> None:
    """Hash a small object here and a larger one beside what else arrives: its time is the hash's, not the loop's."""
    if size < _HASHED_IN_THREAD:
        _update(hasher, parts)
    else:
        await _in_thread(_update, hasher, parts)


def _update(hasher: Digest, parts: Sequence[Piece]) -> None:
    for part in parts:
        hasher.update(part)


def _write_all(handle: int, parts: Sequence[Piece]) -> None:
    """Few calls with many pieces: around each of them the threads ask each other for Python's lock."""
    for start in range(0, len(parts), _PIECES_A_CALL):
        some = parts[start : start + _PIECES_A_CALL]
        written, wanted = os.writev(handle, some), sum(map(len, some))
        if written < wanted:
            view = memoryview(b"".join(some))[written:]
            while view:
                view = view[os.write(handle, view) :]


class _LargeFile:
    """A file of the spool's incoming folder; it is hashed, encrypted where there is a key, and written in threads."""

    def __init__(self, path: Path, header: bytes, hasher: Digest, key: ObjectKey | None) -> None:
        self.path = path
        self.key = key
        self._transform = key.from_start() if key else None
        self._hasher = hasher
        self._head = b""
        self._written = 0
        self._file = open(path, "xb", buffering=0, opener=private)  # noqa: SIM115 - kept open; Path.open knows no opener
        self._header = header

    def head(self, rest: Sequence[Piece]) -> list[Piece]:
        """The beginning of the data set, of which `rest` is still to be written."""
        return [self._head, *rest] if len(self._head) == self._written else [self._head]

    async def write(self, parts: Sequence[Piece]) -> None:
        if len(self._head) < _HEAD_BYTES and len(self._head) == self._written:
            self._head += b"".join(parts)
        self._written += sum(map(len, parts))
        await _in_thread(self._write, parts)

    def _write(self, parts: Sequence[Piece]) -> None:
        _update(self._hasher, parts)
        header, self._header = self._header, b""
        pieces = [header, *parts]
        if self._transform is not None:
            pieces = list(map(self._transform, pieces))
        _write_all(self._file.fileno(), pieces)

    async def finish(self, parts: Sequence[Piece]) -> None:
        await self.write(parts)
        await _in_thread(os.fdatasync, self._file.fileno())
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


def _scan(parts: Sequence[Piece], transfer_syntax_uid: str, tags: frozenset[int]) -> dict[int, bytes]:
    """The wanted values, from as little of the data set as has them: the rest is not even put together."""
    wanted = _WANTED | tags | {_CHARACTER_SET} if tags else _WANTED
    last, size = max(wanted), sum(map(len, parts))
    for limit in _HEADS:
        is_all = size <= limit or limit == _HEADS[-1]
        try:
            found = scan(_beginning(parts, limit), transfer_syntax_uid, wanted)
        except HeaderError as error:
            if is_all:
                raise RefusedError(Status(CANNOT_UNDERSTAND, "the data set cannot be read")) from error
            continue
        # Elements ascend. Without the last one, a head cut between two elements looks complete too.
        if is_all or last in found:
            break
    return found


def _beginning(parts: Sequence[Piece], limit: int) -> bytes:
    taken: list[Piece] = []
    for part in parts:
        if limit <= 0:
            break
        taken.append(part[:limit])
        limit -= len(part)
    return b"".join(taken)


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
