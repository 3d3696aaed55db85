"""The index: SQLite in WAL mode, one file shared by all worker processes."""

import sqlite3
from pathlib import Path

from systems.dicom_service.operations import schema as operations
from systems.dicom_service.storage import partitions
from systems.dicom_service.tags import schema as tags
from systems.dicom_service.update import schema as update
from systems.dicom_service.workitems import tables as workitems

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT
);
CREATE TABLE study (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    partition INTEGER NOT NULL DEFAULT 1,
    study_uid TEXT NOT NULL,
    patient_id TEXT, patient_id_key TEXT,
    patient_name TEXT, patient_name_key TEXT,
    patient_birth_date TEXT,
    accession_number TEXT, accession_number_key TEXT,
    referring_physician_name TEXT, referring_physician_name_key TEXT,
    study_date TEXT,
    study_description TEXT, study_description_key TEXT,
    UNIQUE (study_uid, partition)
);
CREATE INDEX study_patient_id ON study (patient_id_key);
CREATE INDEX study_patient_name ON study (patient_name_key);
CREATE INDEX study_birth_date ON study (patient_birth_date);
CREATE INDEX study_accession ON study (accession_number_key);
CREATE INDEX study_physician ON study (referring_physician_name_key);
CREATE INDEX study_date ON study (study_date);
CREATE INDEX study_description ON study (study_description_key);
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    study INTEGER NOT NULL REFERENCES study (id),
    series_uid TEXT NOT NULL,
    modality TEXT, modality_key TEXT,
    performed_start_date TEXT,
    model_name TEXT, model_name_key TEXT,
    UNIQUE (study, series_uid)
);
CREATE INDEX series_uid ON series (series_uid);
CREATE INDEX series_modality ON series (modality_key);
CREATE INDEX series_study_modality ON series (study, modality_key);
CREATE INDEX series_performed ON series (performed_start_date);
CREATE INDEX series_model ON series (model_name_key);
CREATE TABLE instance (
    watermark INTEGER PRIMARY KEY AUTOINCREMENT,
    study INTEGER NOT NULL REFERENCES study (id),
    series INTEGER NOT NULL REFERENCES series (id),
    sop_uid TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    segment INTEGER REFERENCES segment (id),
    object TEXT,
    offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    head_stop INTEGER NOT NULL,
    tail_start INTEGER NOT NULL,
    dropped TEXT,
    UNIQUE (series, sop_uid)
);
CREATE INDEX instance_study ON instance (study, watermark);
CREATE INDEX instance_series ON instance (series, watermark);
CREATE INDEX instance_uid ON instance (sop_uid);
CREATE UNIQUE INDEX instance_object ON instance (object) WHERE object IS NOT NULL;
CREATE TABLE change (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp INTEGER NOT NULL,
    action TEXT NOT NULL,
    partition INTEGER NOT NULL DEFAULT 1,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    sop_uid TEXT NOT NULL,
    watermark INTEGER NOT NULL,
    current INTEGER
);
CREATE INDEX change_time ON change (timestamp, sequence);
CREATE INDEX change_instance ON change (sop_uid, series_uid, study_uid, partition);
"""

# How many rows an index entry names in a store of a hospital: SQLite plans with this instead of guessing that all
# columns distinguish alike, and plans do not change while the store grows.
_STATISTICS = """
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('series', 'sqlite_autoindex_series_1', '400000 4 1'),
    ('series', 'series_uid', '400000 1'),
    ('series', 'series_modality', '400000 50000'),
    ('series', 'series_study_modality', '400000 4 3'),
    ('series', 'series_performed', '400000 400'),
    ('series', 'series_model', '400000 20000');
"""


# With the size, so that start-up and compaction count what lies in each segment from the index alone.
_PLACES = """
DROP INDEX IF EXISTS instance_segment;
CREATE INDEX IF NOT EXISTS instance_place ON instance (segment, offset, size) WHERE segment IS NOT NULL;
"""


class IndexUnusable(Exception):  # noqa: N818 - names the state of the index
    """The index file cannot be opened or was made by a newer program."""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits are on disk when they return."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = OFF")
    # Small: the mapped file serves reads, and each connection's own cache would fill up beside it as the store grows.
    connection.execute("PRAGMA cache_size = -8000")
    connection.execute("PRAGMA mmap_size = 268435456")
    return connection


def create(path: Path) -> None:
    """Make the index when there is none; raises `IndexUnusable`."""
    try:
        connection = connect(path)
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if version == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} {_STATISTICS} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                )
            elif version != SCHEMA_VERSION:
                raise IndexUnusable(
                    f"the index has format {version}, this program reads format {SCHEMA_VERSION}"
                )
            connection.executescript(partitions.SCHEMA + _PLACES)
            # Added to every index that lacks them.
            connection.executescript(operations.SCHEMA + tags.SCHEMA + update.SCHEMA + workitems.SCHEMA)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise IndexUnusable(f"the index cannot be opened: {error}") from error
