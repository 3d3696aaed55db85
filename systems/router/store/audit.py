"""The audit trail: append-only, hash-chained JSON lines without patient data (ROUTER-158).

Lines are made inside the transaction they describe and wait in an outbox table until the file that holds them is
synced; so after a crash at any point the file is completed from the outbox, with no line lost or doubled.
"""

import hashlib
import io
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from systems.router.errors import ResourceError

log = logging.getLogger(__name__)
GENESIS: Final = "0" * 64
_ROTATE_BYTES: Final = 64 << 20
# Far more than a line: the start of the router does not depend on how long the file has grown.
_TAIL_BYTES: Final = 1 << 20


class Audit:
    """Writes lines `{"seq", "time", "event", ..., "previous", "hash"}`; `hash` covers the line before it."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._connection = connection
        self._pending: list[bytes] = []
        self._unwritten = b""
        self._file: io.FileIO
        self._seq, self._hash = self._recover()
        self._made = (self._seq, self._hash)
        self._unsynced = 0

    def add(self, event: str, now: float, **facts: Any) -> None:
        """Add a line to the running transaction. `facts` name UIDs, AE titles, digests and statuses only."""
        line, self._made = chained(self._made, event, now, facts)
        self._pending.append(line)

    def keep(self) -> None:
        """Put the lines of the running transaction into the outbox, all by one statement."""
        if self._pending:
            lines = orjson.dumps([line.decode() for line in self._pending]).decode()
            self._connection.execute(
                "INSERT INTO audit_outbox SELECT ? + key, value FROM json_each(?)", (self._seq + 1, lines)
            )

    def rolled_back(self) -> None:
        """Forget the lines of a transaction that did not happen."""
        self._pending.clear()
        self._made = (self._seq, self._hash)

    def committed(self) -> None:
        """Append the lines of the committed transaction to the file.

        They are durable in the outbox already, so a file that cannot be written now is no failure of the transaction:
        what is left of them is written first the next time.
        """
        if not self._pending:
            return
        try:
            if self._file.tell() > _ROTATE_BYTES:
                self._rotate(self._seq + 1)
        except (OSError, sqlite3.Error):
            log.exception("the audit file cannot be followed by another")
        self._seq, self._hash = self._made
        self._unsynced += len(self._pending)
        self._unwritten += b"".join(self._pending)
        self._pending.clear()
        try:
            self._write()
        except OSError:
            log.exception("the audit file cannot be written; its lines wait in the index")

    def _rotate(self, first: int) -> None:
        self.sync()
        following = _open(self._folder / _name(first))
        self._file.close()
        self._file = following

    def _write(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[self._file.write(self._unwritten) or 0 :]

    @property
    def unsynced(self) -> int:
        """Lines written but not yet synced; the outbox still holds them."""
        return self._unsynced

    def sync(self) -> None:
        """Sync the file and empty the outbox.

        Raises:
            OSError, sqlite3.Error: not possible now; the outbox still holds the lines.

        """
        if self._unsynced:
            self._write()
            os.fdatasync(self._file.fileno())
            self._connection.execute("DELETE FROM audit_outbox WHERE seq <= ?", (self._seq,))
            self._unsynced = 0

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        except (OSError, sqlite3.Error):
            log.exception("the audit file is completed at the next start")
        self._file.close()

    def _recover(self) -> tuple[int, str]:
        files = sorted(self._folder.glob("audit-*.jsonl"))
        path = files[-1] if files else self._folder / _name(1)
        last_line = _cut_after_last_line(path) if path.exists() else b""
        if last_line:
            seq, digest = _position(last_line, path)
        else:
            seq, digest = max(0, int(path.stem.removeprefix("audit-")) - 1), GENESIS
        self._file = _open(path)
        rows = self._connection.execute("SELECT line FROM audit_outbox WHERE seq > ? ORDER BY seq", (seq,))
        for (line,) in rows.fetchall():
            self._unwritten += line.encode()
            seq, digest = _position(line.encode(), path)
        self._write()
        os.fdatasync(self._file.fileno())
        self._connection.execute("DELETE FROM audit_outbox")
        return seq, digest


def _open(path: Path) -> io.FileIO:
    """Unbuffered, so that what a full disk took is known."""
    return path.open("ab", buffering=0)


def _position(line: bytes, path: Path) -> tuple[int, str]:
    try:
        last = orjson.loads(line)
        return int(last["seq"]), str(last["hash"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ResourceError(
            f"the last line of {path} is no audit line; move the damaged file away, a new one is then begun"
        ) from error


def _cut_after_last_line(path: Path) -> bytes:
    """Cut off a line that a crash left unfinished; return the last whole one, empty without one."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        tail = file.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    if len(whole) < len(tail):
        os.truncate(path, start + len(whole))
    return whole.rstrip(b"\n").rpartition(b"\n")[2]


def chained(
    before: tuple[int, str], event: str, now: float, facts: dict[str, Any]
) -> tuple[bytes, tuple[int, str]]:
    """The next line after `before` (sequence number and hash), and its own sequence number and hash."""
    seq = before[0] + 1
    record = {"seq": seq, "time": round(now, 6), "event": event, **facts, "previous": before[1]}
    digest = line_hash(record)
    return orjson.dumps({**record, "hash": digest}, option=orjson.OPT_APPEND_NEWLINE), (seq, digest)


def line_hash(record: dict[str, Any]) -> str:
    """SHA-256 of the line without its `hash`, keys in sorted order."""
    covered = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


def read_since(folder: Path, since: int) -> Iterator[bytes]:
    """Lines with a sequence number above `since`, oldest first."""
    files = sorted(folder.glob("audit-*.jsonl"))
    firsts = [int(file.stem.removeprefix("audit-")) for file in files]
    for index, file in enumerate(files):
        if index + 1 < len(files) and firsts[index + 1] <= since + 1:
            continue
        with file.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n") and orjson.loads(line)["seq"] > since:
                    yield line


def broken_link(folder: Path) -> int | None:
    """The first sequence number at which the chain does not hold, or None when all of it does."""
    previous, expected = GENESIS, 1
    for line in read_since(folder, 0):
        record = orjson.loads(line)
        if record["seq"] != expected or record["previous"] != previous or line_hash(record) != record["hash"]:
            return int(record["seq"])
        previous, expected = record["hash"], expected + 1
    return None


def _name(first: int) -> str:
    return f"audit-{first:012d}.jsonl"
