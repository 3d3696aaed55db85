"""The tables of extended query tags. Triggers let values and errors go with what they belong to."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS extended_tag (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL UNIQUE,
    vr TEXT NOT NULL,
    level INTEGER NOT NULL,
    creator TEXT,
    status TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    operation TEXT
);
CREATE TABLE IF NOT EXISTS extended_tag_generation (number INTEGER NOT NULL);
INSERT INTO extended_tag_generation SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM extended_tag_generation);
CREATE TABLE IF NOT EXISTS extended_tag_value (
    owner INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    watermark INTEGER NOT NULL,
    key NOT NULL,
    PRIMARY KEY (owner, tag)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS extended_tag_value_key ON extended_tag_value (tag, key, owner);
CREATE TABLE IF NOT EXISTS extended_tag_error (
    tag INTEGER NOT NULL,
    watermark INTEGER NOT NULL,
    created INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (tag, watermark)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS extended_tag_error_time ON extended_tag_error (tag, created);
CREATE INDEX IF NOT EXISTS extended_tag_error_instance ON extended_tag_error (watermark);

CREATE TRIGGER IF NOT EXISTS extended_tag_added AFTER INSERT ON extended_tag BEGIN
    UPDATE extended_tag_generation SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS extended_tag_changed AFTER UPDATE ON extended_tag BEGIN
    UPDATE extended_tag_generation SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS extended_tag_removed AFTER DELETE ON extended_tag BEGIN
    UPDATE extended_tag_generation SET number = number + 1;
END;
CREATE TRIGGER IF NOT EXISTS extended_tag_study_gone AFTER DELETE ON study BEGIN
    DELETE FROM extended_tag_value
    WHERE owner = old.id AND tag IN (SELECT id FROM extended_tag WHERE level = 0);
END;
CREATE TRIGGER IF NOT EXISTS extended_tag_series_gone AFTER DELETE ON series BEGIN
    DELETE FROM extended_tag_value
    WHERE owner = old.id AND tag IN (SELECT id FROM extended_tag WHERE level = 1);
END;
CREATE TRIGGER IF NOT EXISTS extended_tag_instance_gone AFTER DELETE ON instance BEGIN
    DELETE FROM extended_tag_value
    WHERE owner = old.watermark AND tag IN (SELECT id FROM extended_tag WHERE level = 2);
    DELETE FROM extended_tag_error WHERE watermark = old.watermark;
END;
CREATE TRIGGER IF NOT EXISTS extended_tag_instance_renewed AFTER UPDATE OF watermark ON instance BEGIN
    UPDATE extended_tag_value SET owner = new.watermark, watermark = new.watermark
    WHERE owner = old.watermark AND tag IN (SELECT id FROM extended_tag WHERE level = 2);
    UPDATE extended_tag_error SET watermark = new.watermark WHERE watermark = old.watermark;
END;
"""
