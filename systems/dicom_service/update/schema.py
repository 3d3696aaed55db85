"""The table of originals: the version first stored of every instance that was updated (UPD-019)."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS original (
    watermark INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    transfer_syntax TEXT NOT NULL,
    segment INTEGER REFERENCES segment (id),
    object TEXT,
    offset INTEGER NOT NULL,
    size INTEGER NOT NULL,
    head_stop INTEGER NOT NULL,
    tail_start INTEGER NOT NULL,
    dropped TEXT
);
CREATE INDEX IF NOT EXISTS original_segment ON original (segment, offset) WHERE segment IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS original_gone AFTER DELETE ON instance BEGIN
    DELETE FROM original WHERE watermark = old.watermark;
END;
CREATE TRIGGER IF NOT EXISTS original_renewed AFTER UPDATE OF watermark ON instance BEGIN
    UPDATE original SET watermark = new.watermark WHERE watermark = old.watermark;
END;
"""
