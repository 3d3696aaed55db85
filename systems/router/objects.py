"""What the router knows of an object it received, and the Part 10 header it writes for it (ROUTER-041)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from systems.router import digests
from systems.router.dimse.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from systems.router.sealing import ObjectKey, opened

_PREAMBLE: Final = bytes(128) + b"DICM"
_CHUNK: Final = 1 << 20

Piece = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an object is: UIDs of the data set, as checked against the command."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    modality: str = ""


@dataclass(slots=True)
class Received:
    """A complete object that is not yet durable: small ones in memory, large ones in a file of the spool.

    `digest` is that of the data set as received (`digests`); `size` counts the whole Part 10 file. `key` is that of the file
    where it is encrypted. `tags` are the text values that were asked for; they may be a patient's and go nowhere.
    """

    identity: Identity
    digest: str
    size: int
    path: str
    calling_ae: str
    called_ae: str
    body: list[Piece] = field(default_factory=list)
    file: Path | None = None
    tags: dict[int, str] = field(default_factory=dict)
    key: ObjectKey | None = None

    def opened(self) -> BinaryIO:
        """The whole Part 10 file for reading. Raises `OSError` where a large one cannot be read."""
        if self.file is None:
            return BytesIO(b"".join([self.header, *self.body]))
        return opened(self.file, self.key)

    def chunks(self) -> Iterator[bytes]:
        """The whole Part 10 file in pieces of 1 MiB."""
        with self.opened() as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def matches(self, digest: str) -> bool:
        """Whether `digest`, perhaps taken in another way, is that of this data set. May read all of it."""
        if digests.algorithm_of(digest) == digests.algorithm_of(self.digest):
            return digest == self.digest
        again = digests.like(digest)
        if self.file is None:
            for part in self.body:
                again.update(part)
        else:
            with self.opened() as file:
                file.seek(len(self.header))
                while chunk := file.read(_CHUNK):
                    again.update(chunk)
        return again.text() == digest

    @property
    def header(self) -> bytes:
        """Preamble and group 0002, which precede the data set."""
        identity = self.identity
        return part10_header(identity.sop_class_uid, identity.sop_instance_uid, identity.transfer_syntax_uid)


@lru_cache(maxsize=64)
def _beginning(sop_class_uid: str) -> bytes:
    """The elements before the SOP Instance UID: an association sends many objects of one class."""
    return struct.pack("<HH2sHL", 2, 1, b"OB", 0, 2) + b"\x00\x01" + _text(0x0002, b"UI", sop_class_uid)


@lru_cache(maxsize=64)
def _ending(transfer_syntax_uid: str) -> bytes:
    """The elements behind the SOP Instance UID."""
    return (
        _text(0x0010, b"UI", transfer_syntax_uid)
        + _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID)
        + _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME)
    )


def part10_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble of zeros, DICM and group 0002 with the DIMSE values (PS3.10 section 7.1)."""
    elements = (
        _beginning(sop_class_uid) + _text(0x0003, b"UI", sop_instance_uid) + _ending(transfer_syntax_uid)
    )
    return _PREAMBLE + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(elements)) + elements


def _text(element: int, vr: bytes, value: str) -> bytes:
    encoded = value.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(encoded)) + encoded
