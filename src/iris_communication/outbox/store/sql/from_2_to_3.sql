-- Version 2 -> 3: the content of small files, and the sources that are yet to be treated. Items accepted before keep their
-- files in the spool.

ALTER TABLE items ADD COLUMN in_store INTEGER NOT NULL DEFAULT 0 CHECK (in_store IN (0, 1));

CREATE TABLE contents (
    sequence INTEGER PRIMARY KEY,  -- of the item
    content  BLOB NOT NULL
) STRICT;
CREATE TRIGGER content_delete AFTER DELETE ON items WHEN OLD.in_store BEGIN
    DELETE FROM contents WHERE sequence = OLD.sequence;
END;

CREATE TABLE source_actions (id TEXT PRIMARY KEY) STRICT;

PRAGMA user_version = 3;
