"""Digests of data sets, which say themselves how they were taken.

`blake3:` and 64 hexadecimal digits, or 64 digits alone, which is SHA-256: what this router wrote at first, what a
migration's record keeps, and what `[spool] digest = "sha256"` asks for. BLAKE3 is the default as it is some ten times
faster on processors without SHA instructions, and every byte is digested on receipt and before each delivery.
"""

import hashlib
from typing import Final, Literal, Protocol

import blake3

Algorithm = Literal["blake3", "sha256"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("blake3", "sha256")
_PREFIX: Final = "blake3:"


class Digest(Protocol):
    """A digest that is being taken."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Take in the next bytes."""

    def text(self) -> str:
        """The digest of what was taken in so far."""


class _Sha256:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.update = self._hash.update
        self.text = self._hash.hexdigest


class _Blake3:
    def __init__(self) -> None:
        self._hash = blake3.blake3()
        self.update = self._hash.update

    def text(self) -> str:
        return _PREFIX + self._hash.hexdigest()


def new(algorithm: Algorithm) -> Digest:
    """Begin a digest."""
    return _Blake3() if algorithm == "blake3" else _Sha256()


def like(digest: str) -> Digest:
    """Begin a digest that can be compared with `digest`."""
    return new(algorithm_of(digest))


def algorithm_of(digest: str) -> Algorithm:
    """How `digest` was taken."""
    return "blake3" if digest.startswith(_PREFIX) else "sha256"
