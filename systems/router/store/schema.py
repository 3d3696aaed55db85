"""The SQLite schema of the index and its versions (ROUTER-201).

Version 1: digests are SHA-256, without a prefix. Version 2: digests say how they were taken (`digests`), which a router of
version 1 would take for damage; objects may be encrypted, `key_id` and `salt` say how (`sealing`). A version 1 index becomes
one of version 2 in one transaction when it is opened; what it holds stays as it is.
"""

import sqlite3
from pathlib import Path

from systems.router.errors import ResourceError

VERSION = 2

_SCHEMA = """
CREATE TABLE object(
  id INTEGER PRIMARY KEY,
  sop_instance_uid TEXT NOT NULL, sop_class_uid TEXT NOT NULL,
  series_instance_uid TEXT NOT NULL, study_instance_uid TEXT NOT NULL, transfer_syntax_uid TEXT NOT NULL,
  digest TEXT NOT NULL, size INTEGER NOT NULL,
  pack TEXT, pack_offset INTEGER NOT NULL DEFAULT 0, length INTEGER NOT NULL DEFAULT 0,
  path TEXT NOT NULL, calling_ae TEXT NOT NULL, called_ae TEXT NOT NULL, received_at REAL NOT NULL,
  kind TEXT NOT NULL, settled_at REAL, key_id TEXT NOT NULL DEFAULT '', salt BLOB);
CREATE INDEX object_uid ON object(sop_instance_uid);
CREATE INDEX object_pack ON object(pack) WHERE pack IS NOT NULL;
CREATE INDEX object_settled ON object(settled_at) WHERE settled_at IS NOT NULL;
CREATE TABLE task(
  id INTEGER PRIMARY KEY, object_id INTEGER NOT NULL REFERENCES object(id), destination TEXT NOT NULL,
  state INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
  uncertain INTEGER NOT NULL DEFAULT 0, solo INTEGER NOT NULL DEFAULT 0, outage INTEGER NOT NULL DEFAULT 0,
  not_before REAL NOT NULL DEFAULT 0, first_attempt REAL, last_attempt REAL, settled_at REAL,
  status TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '');
CREATE UNIQUE INDEX task_object ON task(object_id, destination);
CREATE INDEX task_open ON task(destination, state, id) WHERE state < 3;
CREATE TABLE tally(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE audit_outbox(seq INTEGER PRIMARY KEY, line TEXT NOT NULL);
"""
# What makes an index of the version after which it is named one of the next.
_UPGRADES = {
    1: """
ALTER TABLE object ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
ALTER TABLE object ADD COLUMN salt BLOB;
"""
}


def open_index(path: Path) -> sqlite3.Connection:
    """Open or create the index: WAL, every commit synced to disk.

    Raises:
        ResourceError: the file cannot be used, or a newer router wrote it (it is then left untouched).

    """
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            connection.close()
            raise ResourceError(
                f"index {path} was written by a newer router (version {version}, this one knows {VERSION}); "
                "start that newer router, the file was not touched"
            )
        _prepare(connection, version)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise ResourceError(
            f"index {path} cannot be opened: {error}; check the folder and its rights"
        ) from error
    return connection


def _prepare(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    steps = [_UPGRADES[number] for number in range(version, VERSION)] if version else [_SCHEMA]
    if version < VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {''.join(steps)} PRAGMA user_version={VERSION}; COMMIT;")
    # Indexes change nothing for an older router, so they are no version of their own.
    connection.execute("CREATE INDEX IF NOT EXISTS task_waiting ON task(destination, id) WHERE state = 0")
    connection.execute("CREATE INDEX IF NOT EXISTS object_study ON object(study_instance_uid, received_at)")
    connection.execute(
        "CREATE INDEX IF NOT EXISTS object_key ON object(key_id) WHERE pack IS NOT NULL AND key_id != ''"
    )
