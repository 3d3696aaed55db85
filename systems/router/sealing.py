"""Encryption of the objects in the spool (ROUTER-111): AES-256 in counter mode, each object under a key of its own.

The key of an object is derived (HKDF-SHA256, RFC 5869) from a key of the configuration and 32 random bytes, the salt, that
are drawn for this object. The index keeps the salt and the identifier of the configured key beside the object's place; a key
itself is written nowhere. Counter mode (NIST SP 800-38A) keeps lengths, needs no memory that grows with the object and can
begin at any byte, so that a place in a pack means the same with and without encryption.

Counter mode demands that no counter value is used twice with one key. Every object counts from 0 under its own key, so it is
enough that no two encryptions share a salt, and each is drawn anew from the system's random numbers: when a large object
begins to arrive, and whenever a small one is given its place. Nothing is taken from a counter, a clock, a file name or an
offset that a crash, a restored backup, a rolled back commit or a pack that is filled again could repeat. An object that was
half written and lost, and the same object sent again, have different salts. Whoever encrypts goes once from the first byte
to the last; nothing encrypted is ever changed in place, only overwritten with zeros. Two of 2**64 objects share a salt with a
probability of 2**-129. Within an object the counter has 128 bits and does not come round.

What this hides is the content from those who have the disk but not the key. That the content is what was received is proven
by the digest in the index, taken of the data set before it was encrypted.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

KEY_BYTES: Final = 32
_SALT_BYTES: Final = 32
_BLOCK_BYTES: Final = 16
_BUFFER_BYTES: Final = 1 << 18
_OBJECT: Final = b"dicom-router spool object"
_IDENTIFIER: Final = b"dicom-router spool key identifier"
_IDENTIFIER_DIGITS: Final = 16

Transform = Callable[[bytes | memoryview], bytes]
"""Encrypts or decrypts what follows on what it was given before."""


class MissingKeyError(Exception):
    """The key that encrypted an object is not configured; the text names its identifier."""


@dataclass(frozen=True, slots=True)
class Seal:
    """How an object in the spool is encrypted: by which key of the configuration, and with which salt."""

    key_id: str
    salt: bytes


class SpoolKey:
    """A key of the configuration; `identifier` tells it from others and cannot be turned back into it."""

    __slots__ = ("_key", "identifier")

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.identifier = hmac.digest(key, _IDENTIFIER, hashlib.sha256).hex()[:_IDENTIFIER_DIGITS]

    def __repr__(self) -> str:
        """Without the key: this text may end in a log."""
        return f"SpoolKey({self.identifier})"

    def object_key(self, salt: bytes) -> ObjectKey:
        """The key of the object with this salt."""
        # Slow to load, and needed with encryption only.
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        derived = HKDF(SHA256(), KEY_BYTES, salt=salt, info=_OBJECT).derive(self._key)
        return ObjectKey(Seal(self.identifier, salt), derived)


class ObjectKey:
    """The key of one object, and its seal."""

    __slots__ = ("_key", "seal")

    def __init__(self, seal: Seal, key: bytes) -> None:
        self.seal = seal
        self._key = key

    def __repr__(self) -> str:
        """Without the key."""
        return f"ObjectKey({self.seal.key_id})"

    def from_start(self) -> Transform:
        """Encrypts the object from its first byte on, or decrypts it: in counter mode that is the same."""
        return self.from_byte(0)

    def from_byte(self, offset: int) -> Transform:
        """Decrypts from byte `offset` of the object on."""
        from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.algorithms import AES256  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.modes import CTR  # noqa: PLC0415

        block, within = divmod(offset, _BLOCK_BYTES)
        context = Cipher(AES256(self._key), CTR(block.to_bytes(_BLOCK_BYTES, "big"))).encryptor()
        context.update(bytes(within))
        return context.update

    def encrypted(self, parts: Iterable[bytes | memoryview]) -> list[bytes]:
        """A whole object piece by piece."""
        transform = self.from_start()
        return [transform(part) for part in parts]


class Keyring:
    """The configured keys: what arrives is encrypted by `current`, what lies there may need any of them."""

    def __init__(self, current: SpoolKey | None = None, old: Iterable[SpoolKey] = ()) -> None:
        self._current = current
        known = [*old, *([current] if current else [])]
        self._known = {key.identifier: key for key in known}

    @property
    def current(self) -> str:
        """The identifier of the key that encrypts what arrives; empty where nothing is encrypted."""
        return self._current.identifier if self._current is not None else ""

    @property
    def identifiers(self) -> frozenset[str]:
        """Of all keys that are there."""
        return frozenset(self._known)

    def fresh(self) -> ObjectKey | None:
        """A key that was never used, for one object; None where objects are not encrypted."""
        return None if self._current is None else self._current.object_key(os.urandom(_SALT_BYTES))

    def of(self, seal: Seal) -> ObjectKey:
        """The key of an object that lies there.

        Raises:
            MissingKeyError: the key it was derived from is not configured.

        """
        key = self._known.get(seal.key_id)
        if key is None:
            raise MissingKeyError(f"it is encrypted with key {seal.key_id}, which is not configured")
        return key.object_key(seal.salt)


NO_KEYS: Final = Keyring()


class _Decrypted(io.RawIOBase):
    """An encrypted file in plain text, from any place of it."""

    def __init__(self, path: Path, key: ObjectKey) -> None:
        # pydicom asks for a name, and must not find the encrypted file by it.
        self.name = "<decrypted>"
        self._file = path.open("rb", buffering=0)
        self._key = key
        self._transform = key.from_start()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        before = self._file.tell()
        at = self._file.seek(offset, whence)
        if at != before:
            self._transform = self._key.from_byte(at)
        return at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        content = self._file.read(len(view))
        view[: len(content)] = self._transform(content)
        return len(content)

    def close(self) -> None:
        self._file.close()
        super().close()


def opened(path: Path, key: ObjectKey | None) -> BinaryIO:
    """A file that holds one object, for reading and seeking in plain text; without a key it is not encrypted.

    Raises:
        OSError: it cannot be opened.

    """
    return path.open("rb") if key is None else io.BufferedReader(_Decrypted(path, key), _BUFFER_BYTES)
