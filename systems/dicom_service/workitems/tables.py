"""The tables of work items; they are made beside those of studies, also in a store that is older than they are."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS workitem (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    partition INTEGER NOT NULL DEFAULT 1,
    uid TEXT NOT NULL,
    state TEXT NOT NULL,
    transaction_uid TEXT,
    document BLOB NOT NULL,
    UNIQUE (uid, partition)
);
CREATE TABLE IF NOT EXISTS workitem_value (
    workitem INTEGER NOT NULL REFERENCES workitem (id),
    path TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS workitem_value_find ON workitem_value (path, value);
CREATE INDEX IF NOT EXISTS workitem_value_owner ON workitem_value (workitem, path);
"""
"""`document` is the DICOM JSON object without Transaction UID; `transaction_uid` is the lock of a claimed work item."""
