"""A request body that is kept until a rule has looked into it: in memory when small, else in a temporary file."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

_IN_MEMORY = 8 * 1024 * 1024
_PIECE = 65_536


class Spool:
    """Content that can be searched and read again."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, content: bytes) -> None:
        """Append content."""
        self._file.write(content)

    def pieces(self) -> Iterator[bytes]:
        """Yield all content from its beginning."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    def contains(self, needle: bytes) -> bool:
        """Whether `needle` occurs in the content."""
        tail = b""
        for piece in self.pieces():
            window = tail + piece
            if needle in window:
                return True
            tail = window[-(len(needle) - 1) :] if len(needle) > 1 else b""
        return False
