"""What lies in the watched folder, and what of it has rested long enough to be taken."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from systems.router.config.limit_values import Backoff
from systems.router.delivery.gate import delay
from systems.router.drop.reading import Mark

# What programs call a file that they are still writing; so are hidden ones.
_UNFINISHED: Final = (".part", ".partial", ".tmp")


@dataclass(slots=True)
class _Seen:
    mark: Mark
    since: float
    not_before: float = 0.0
    failures: int = 0
    refused: str = ""


class Watched:
    """Remembers since when each file has been as it is, and what is to be tried again later."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[bytes, _Seen] = {}

    def scan(self) -> dict[bytes, Mark]:
        """Every regular file by its name below the folder; for a thread.

        Raises:
            OSError: the folder cannot be read.

        """
        found = dict(self._below(os.fsencode(self.root)))
        self._seen = {name: seen for name, seen in self._seen.items() if name in found}
        return found

    def _below(self, folder: bytes) -> Iterator[tuple[bytes, Mark]]:
        prefix = len(os.fsencode(self.root)) + 1
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(b"."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    yield from self._within(entry.path)
                elif not os.fsdecode(entry.name).endswith(_UNFINISHED):
                    mark = _mark(entry)
                    if mark is not None:
                        yield entry.path[prefix:], mark

    def _within(self, folder: bytes) -> Iterator[tuple[bytes, Mark]]:
        try:
            yield from self._below(folder)
        except FileNotFoundError:
            # It was taken away while it was looked at.
            return

    def rested(self, name: bytes, mark: Mark, settle_seconds: float) -> bool:
        """Whether the file has been as it is for that long, by this router's own clock, and need not wait for another try."""
        now = time.monotonic()
        seen = self._seen.get(name)
        if seen is None or seen.mark != mark:
            self._seen[name] = _Seen(mark, now)
            return False
        return now - seen.since >= settle_seconds and now >= seen.not_before

    def later(self, name: bytes, backoff: Backoff) -> None:
        """Try this file again after a pause that grows."""
        seen = self._seen.get(name)
        if seen is not None:
            seen.not_before = time.monotonic() + delay(backoff, seen.failures)
            seen.failures += 1

    def refuse(self, name: bytes, reason: str) -> None:
        """Remember that the file was refused, should it not be movable at once: it is not looked at a second time."""
        seen = self._seen.get(name)
        if seen is not None:
            seen.refused = reason

    def refused(self, name: bytes) -> str:
        """Why the file, as it is, was refused before; empty when it was not."""
        seen = self._seen.get(name)
        return seen.refused if seen is not None else ""

    @property
    def put_off(self) -> int:
        """How many files are to be tried again."""
        return sum(1 for seen in self._seen.values() if seen.failures)

    def path(self, name: bytes) -> Path:
        """Where the file lies."""
        return self.root / os.fsdecode(name)


def _mark(entry: "os.DirEntry[bytes]") -> Mark | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Mark.of(found) if stat.S_ISREG(found.st_mode) else None
