"""The tables of operations."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS operation (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    percent INTEGER,
    input TEXT NOT NULL,
    progress TEXT,
    results TEXT
);
CREATE INDEX IF NOT EXISTS operation_unfinished ON operation (kind, number)
    WHERE status IN ('notStarted', 'running');
"""
