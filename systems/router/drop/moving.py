"""Moves files out of the watched folder so that, whenever the machine stops, each is whole in one of the places."""

import os
import shutil
from contextlib import suppress
from errno import EXDEV
from pathlib import Path
from typing import Final

_REASON: Final = ".reason.txt"


def move(file: Path, root: Path, into: Path, reason: str = "") -> None:
    """Move `file` to its place below `into`, as it lay below `root`; with `reason` a text file of it lies beside it.

    What has that name already is never overwritten: the newcomer gets a number. Empty folders left behind are removed.

    Raises:
        OSError: it could not be moved; it is still where it was.

    """
    target = _free(into / file.relative_to(root))
    target.parent.mkdir(parents=True, exist_ok=True)
    if reason:
        # First, so that no rejected file is ever without it.
        _write(target.with_name(target.name + _REASON), f"{reason}\n".encode())
    try:
        file.rename(target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        _copy(file, target)
        file.unlink()
    sync_folder(target.parent)
    sync_folder(file.parent)
    _remove_empty(file.parent, root)


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free(wanted: Path) -> Path:
    target, number = wanted, 1
    while os.path.lexists(target):
        target = wanted.with_name(f"{wanted.name}.{number}")
        number += 1
    return target


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _copy(file: Path, target: Path) -> None:
    """To another file system: under a name that does not count until all of it is on disk."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    with file.open("rb") as source, unfinished.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    shutil.copystat(file, unfinished)
    unfinished.rename(target)
    sync_folder(target.parent)


def _remove_empty(folder: Path, root: Path) -> None:
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent
