-- The outbox on one file. Times: *_s are seconds, *_ns nanoseconds; wall time unless a comment says otherwise.

CREATE TABLE items (
    sequence         INTEGER PRIMARY KEY,      -- order of acceptance
    id               TEXT NOT NULL UNIQUE,     -- the name of its file in the spool
    state            TEXT NOT NULL CHECK (state IN ('waiting', 'in_flight', 'dead')),  -- delivered: a line of the ledger
    server_key       TEXT NOT NULL,
    source_path      BLOB NOT NULL,            -- paths are bytes: not every file name is UTF-8
    remote_path      BLOB NOT NULL,
    folder_type      TEXT NOT NULL,
    project_settings TEXT NOT NULL,            -- JSON
    take             TEXT NOT NULL CHECK (take IN ('copy', 'move')),
    device           INTEGER,                  -- fingerprint of the source when it was accepted; NULL: it was missing
    inode            INTEGER,
    size_bytes       INTEGER,
    mtime_ns         INTEGER,
    sha256           TEXT,
    accepted_s       REAL NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    due_boot_id      TEXT,                     -- NULL: never failed, goes in order of acceptance
    due_boot_s       REAL,                     -- since that boot
    token            TEXT,                     -- of the latest attempt's temp name; stored before that file is opened
    earlier_token    TEXT,
    effect           TEXT NOT NULL DEFAULT 'none' CHECK (effect IN ('none', 'unknown', 'unseen')),
    last_error       TEXT,                     -- JSON: error, message, hint
    CHECK (state = 'dead' OR sha256 IS NOT NULL)  -- what waits has its bytes
) STRICT;

-- peek, fresh: the first of a server in order of acceptance
CREATE INDEX items_fresh ON items (server_key, sequence) WHERE state = 'waiting' AND due_boot_s IS NULL;
-- peek, retries; next_due
CREATE INDEX items_due ON items (server_key, due_boot_s) WHERE state = 'waiting' AND due_boot_s IS NOT NULL;
-- unfinished, oldest_accepted: however many dead ones lie before them
CREATE INDEX items_owed ON items (sequence) WHERE state IN ('waiting', 'in_flight');
-- dead
CREATE INDEX items_dead ON items (sequence) WHERE state = 'dead';

CREATE TABLE ledger (
    sequence INTEGER PRIMARY KEY,  -- order of delivery
    id       TEXT NOT NULL UNIQUE,
    line     TEXT NOT NULL,        -- JSON, see outbox/ledger.py
    hash     TEXT NOT NULL         -- over the previous line's hash and this line
) STRICT;

-- How many items are in each state. Kept by triggers, so that no statement can change a state without it.
CREATE TABLE tally (
    state TEXT PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count >= 0)
) STRICT;
INSERT INTO tally VALUES ('waiting', 0), ('in_flight', 0), ('dead', 0), ('delivered', 0);

CREATE TRIGGER tally_insert AFTER INSERT ON items BEGIN
    UPDATE tally SET count = count + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER tally_update AFTER UPDATE OF state ON items WHEN OLD.state IS NOT NEW.state BEGIN
    UPDATE tally SET count = count - 1 WHERE state = OLD.state;
    UPDATE tally SET count = count + 1 WHERE state = NEW.state;
END;
CREATE TRIGGER tally_delete AFTER DELETE ON items BEGIN
    UPDATE tally SET count = count - 1 WHERE state = OLD.state;
END;
CREATE TRIGGER tally_deliver AFTER INSERT ON ledger BEGIN
    UPDATE tally SET count = count + 1 WHERE state = 'delivered';
END;

-- The highest sequence ever given: a delivered item's must not be given again.
CREATE TABLE counter (last_sequence INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);
CREATE TRIGGER counter_insert AFTER INSERT ON items BEGIN
    UPDATE counter SET last_sequence = NEW.sequence WHERE last_sequence < NEW.sequence;
END;

PRAGMA user_version = 1;
