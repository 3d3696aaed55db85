"""Start-up repair: after a crash the index and the blobs agree again, and the log says what was mended."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from systems.dicom_service.storage.blobs import segment_path
from systems.dicom_service.storage.schema import connect

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Repaired:
    """What a repair found: bytes and files that no index entry names, and entries whose blob is missing."""

    orphan_bytes: int = 0
    orphan_files: int = 0
    missing_blobs: int = 0


def repair(folder: Path) -> Repaired:
    """Mend the store in `folder`; nobody else may have it open."""
    connection = connect(folder / "index.sqlite")
    try:
        # Segments first: unacknowledged bytes at their ends go, so that no later start counts them again.
        repaired = Repaired()
        ends = dict(
            connection.execute(
                """SELECT segment, MAX(stop) FROM (
                    SELECT segment, offset + size AS stop FROM instance WHERE segment IS NOT NULL
                    UNION ALL SELECT segment, offset + size FROM original WHERE segment IS NOT NULL
                ) GROUP BY segment"""
            )
        )
        for number, path in _segments(folder / "segments"):
            repaired.orphan_bytes += _trim(path, ends.pop(number, 0))
        objects = {
            row[0]: row[1]
            for row in connection.execute(
                """SELECT object, size FROM instance WHERE object IS NOT NULL
                UNION ALL SELECT object, size FROM original WHERE object IS NOT NULL"""
            )
        }
        for path in (folder / "objects").iterdir():
            if objects.pop(path.name, None) is None:
                path.unlink()
                repaired.orphan_files += 1
        short = [
            number for number, end in ends.items() if _size(segment_path(folder / "segments", number)) < end
        ]
        repaired.missing_blobs = len(objects) + len(short)
    finally:
        connection.close()
    _report(repaired)
    return repaired


def _segments(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in sorted(folder.glob("*.segment")):
        yield int(path.stem), path


def _trim(path: Path, end: int) -> int:
    """Cut a segment after its last indexed blob, remove it when it holds none; return the bytes dropped."""
    size = _size(path)
    if end == 0:
        path.unlink()
    elif size > end:
        os.truncate(path, end)
    return max(0, size - end)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _report(repaired: Repaired) -> None:
    _log.info(
        "the store was checked",
        extra={
            "bytes": repaired.orphan_bytes,
            "files": repaired.orphan_files,
            "missing": repaired.missing_blobs,
        },
    )
    if repaired.orphan_bytes or repaired.orphan_files:
        _log.warning(
            "removed what was received but never acknowledged, or was deleted, before the last end of the service",
            extra={"bytes": repaired.orphan_bytes, "files": repaired.orphan_files},
        )
    if repaired.missing_blobs:
        _log.error(
            "the index names stored files that are not in the data folder; restore the folder from a backup",
            extra={"missing": repaired.missing_blobs},
        )
