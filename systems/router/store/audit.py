"""The audit trail: append-only, hash-chained JSON lines without patient data (ROUTER-158).

Lines are made inside the transaction they describe and wait in an outbox table until the file that holds them is
synced; so after a crash at any point the file is completed from the outbox, with no line lost or doubled.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

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
        self._file: BinaryIO
        self._seq, self._hash = self._recover()
        self._made = (self._seq, self._hash)
        self._unsynced = 0

    def add(self, event: str, now: float, **facts: Any) -> None:
        """Add a line to the running transaction. `facts` name UIDs, AE titles, digests and statuses only."""
        line, self._made = chained(self._made, event, now, facts)
        self._connection.execute("INSERT INTO audit_outbox VALUES(?, ?)", (self._made[0], line.decode()))
        self._pending.append(line)

    def rolled_back(self) -> None:
        """Forget the lines of a transaction that did not happen."""
        self._pending.clear()
        self._made = (self._seq, self._hash)

    def committed(self) -> None:
        """Append the lines of the committed transaction to the file."""
        if not self._pending:
            return
        first = self._seq + 1
        self._seq, self._hash = self._made
        if self._file.tell() > _ROTATE_BYTES:
            self.sync()
            self._file.close()
            self._file = (self._folder / _name(first)).open("ab")
        self._file.write(b"".join(self._pending))
        self._file.flush()
        self._unsynced += len(self._pending)
        self._pending.clear()

    @property
    def unsynced(self) -> int:
        """Lines written but not yet synced; the outbox still holds them."""
        return self._unsynced

    def sync(self) -> None:
        """Sync the file and empty the outbox."""
        if self._unsynced:
            os.fdatasync(self._file.fileno())
            self._connection.execute("DELETE FROM audit_outbox WHERE seq <= ?", (self._seq,))
            self._unsynced = 0

    def close(self) -> None:
        """Sync and close."""
        self.sync()
        self._file.close()

    def _recover(self) -> tuple[int, str]:
        files = sorted(self._folder.glob("audit-*.jsonl"))
        path = files[-1] if files else self._folder / _name(1)
        last_line = _cut_after_last_line(path) if path.exists() else b""
        if last_line:
            last = orjson.loads(last_line)
            seq, digest = int(last["seq"]), str(last["hash"])
        else:
            seq, digest = max(0, int(path.stem.removeprefix("audit-")) - 1), GENESIS
        self._file = path.open("ab")
        rows = self._connection.execute("SELECT line FROM audit_outbox WHERE seq > ? ORDER BY seq", (seq,))
        for (line,) in rows.fetchall():
            self._file.write(line.encode())
            last = orjson.loads(line)
            seq, digest = int(last["seq"]), str(last["hash"])
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self._connection.execute("DELETE FROM audit_outbox")
        return seq, digest


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
