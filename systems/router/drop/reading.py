"""A file of the watched folder as a C-STORE request: who it is, that it is whole, and its data set piece by piece."""

import asyncio
import mmap
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from systems.router.config.file_drop import FileDrop
from systems.router.dimse.errors import AssociationAborted
from systems.router.dimse.service import Peer, StoreRequest
from systems.router.dimse.storage_classes import STORAGE_CLASSES
from systems.router.errors import RouterError
from systems.shared.header_errors import HeaderError
from systems.shared.header_scan import FileMeta, read_file_meta, scan_part10

_CHUNK: Final = 1 << 18
_HEAD_BYTES: Final = 1 << 16
_IN_MEMORY: Final = 64 << 20
_BEYOND_ANY_ELEMENT: Final = 0xFFFFFFFF


class UnusableError(RouterError):
    """The file is none that a modality could have sent; the message is for the person who put it there."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells one state of a file from another."""

    size: int
    modified: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Mark":
        """The mark of what `stat` found."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file for reading; what is no regular file any more, such as a link put in its place, is not followed.

    Raises:
        OSError: it cannot be opened.

    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb", buffering=0) as file:
        yield cast("BinaryIO", file)


def examine(file: BinaryIO, settings: FileDrop, scratch: Path | None) -> FileMeta:
    """What the file says of itself, when it is a whole Part 10 file of a class that the path takes; for a thread.

    A peer that leaves in mid-object is seen on an association; a copy that was cut is only seen by reading to the end. A large
    file is looked at in a copy below `scratch`, None for the system's folder of temporary files: one that is cut short while it
    is mapped would end the process.

    Raises:
        UnusableError: it is not.
        OSError: it cannot be read.

    """
    if not os.fstat(file.fileno()).st_size:
        raise UnusableError("the file is empty")
    try:
        with ExitStack() as stack:
            content = _content(file, scratch, stack)
            meta = read_file_meta(content[:_HEAD_BYTES])
            scan_part10(content, meta, frozenset({_BEYOND_ANY_ELEMENT}))
    except HeaderError as error:
        raise UnusableError(f"it is not a whole DICOM file: {error}") from error
    if not meta.sop_instance_uid or not meta.sop_class_uid:
        raise UnusableError("its file meta information names no SOP class or instance")
    if meta.sop_class_uid not in STORAGE_CLASSES and meta.sop_class_uid not in settings.private_sop_classes:
        raise UnusableError(f"SOP class {meta.sop_class_uid} is no storage class this router takes")
    return meta


def _content(file: BinaryIO, scratch: Path | None, stack: ExitStack) -> bytes:
    if os.fstat(file.fileno()).st_size <= _IN_MEMORY:
        return file.read()
    copy = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - the caller's stack closes it
    stack.callback(copy.close)
    shutil.copyfileobj(file, copy, 1 << 20)
    copy.flush()
    # The mapping reads like bytes, and only what is looked at is loaded.
    return cast("bytes", stack.enter_context(mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)))


def request_of(file: BinaryIO, mark: Mark, meta: FileMeta, settings: FileDrop) -> StoreRequest:
    """The C-STORE request that stands for the file, as a caller `calling_ae_title` would have made it."""
    return StoreRequest(
        peer=Peer(0, settings.calling_ae_title, settings.ae_title, "", 0),
        message_id=0,
        sop_class_uid=meta.sop_class_uid,
        sop_instance_uid=meta.sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        data=_DataSet(file, mark, meta.data_set_offset),
    )


class _DataSet:
    """The bytes behind group 0002. A file that changes while it is read ends like a peer that leaves in mid-object."""

    def __init__(self, file: BinaryIO, mark: Mark, offset: int) -> None:
        self._file = file
        self._mark = mark
        self._offset = offset

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        at = self._offset
        while chunk := await asyncio.to_thread(os.pread, self._file.fileno(), _CHUNK, at):
            at += len(chunk)
            yield memoryview(chunk)
        if at != self._mark.size or Mark.of(os.fstat(self._file.fileno())) != self._mark:
            message = "the file changed while it was read"
            raise AssociationAborted(message)
