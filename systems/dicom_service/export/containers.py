"""Blob containers as folders: what stands in for an Azure storage account (the `devstoreaccount1` of its emulators)."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

ACCOUNT = "devstoreaccount1"

# Azure's rule for names of containers; names of blobs are only those that an export makes.
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*")
_BLOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class Containers:
    """The containers below one folder, shared by all workers."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "containers"

    def exists(self, container: str) -> bool:
        """Return whether there is a container of that name."""
        return self._path(container) is not None

    def create(self, container: str) -> bool:
        """Make a container; False when it is there already or the name is none a container can have."""
        if not _CONTAINER.fullmatch(container) or self.exists(container):
            return False
        (self._folder / container).mkdir(parents=True, exist_ok=True)
        return True

    def delete(self, container: str) -> bool:
        """Delete a container with everything in it; False when there is none."""
        path = self._path(container)
        if path is None:
            return False
        shutil.rmtree(path)
        return True

    def blobs(self, container: str) -> Iterator[str]:
        """Yield the names of the blobs in a container."""
        path = self._path(container)
        if path is not None:
            yield from sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())

    def blob(self, container: str, name: str) -> Path | None:
        """Return the file of a blob, None when there is none."""
        path = self._path(container)
        if path is None or not _BLOB.fullmatch(name):
            return None
        return path / name if (path / name).is_file() else None

    def write(self, container: str, name: str, pieces: Iterable[bytes]) -> None:
        """Write a blob, replacing one of that name; raises OSError, `FileNotFoundError` without the container."""
        path = self._path(container)
        if path is None:
            raise FileNotFoundError(f"the container {container} is gone")
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        unfinished = path / f"{name}.unfinished"
        with unfinished.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        unfinished.replace(path / name)

    def append(self, container: str, name: str, text: bytes) -> None:
        """Append to a blob, which is made when missing; raises as `write` does."""
        path = self._path(container)
        if path is None:
            raise FileNotFoundError(f"the container {container} is gone")
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        with (path / name).open("ab") as file:
            file.write(text)
            file.flush()
            os.fdatasync(file.fileno())

    def _path(self, container: str) -> Path | None:
        if not _CONTAINER.fullmatch(container):
            return None
        path = self._folder / container
        return path if path.is_dir() else None
