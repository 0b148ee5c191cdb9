-- Version 1 -> 2: priorities, batches, times to live, items that ended undelivered, history, facts of servers.

ALTER TABLE items ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE items ADD COLUMN batch TEXT NOT NULL DEFAULT '';
ALTER TABLE items ADD COLUMN batch_id TEXT;
ALTER TABLE items ADD COLUMN ttl_s REAL;
ALTER TABLE items ADD COLUMN expires_boot_id TEXT;
ALTER TABLE items ADD COLUMN expires_boot_s REAL;
ALTER TABLE items ADD COLUMN after_delivery TEXT NOT NULL DEFAULT 'keep'
    CHECK (after_delivery IN ('keep', 'delete', 'move'));
ALTER TABLE items ADD COLUMN move_to BLOB NOT NULL DEFAULT x'';
ALTER TABLE items ADD COLUMN durable_s REAL;

DROP INDEX items_fresh;
DROP INDEX items_due;
CREATE INDEX items_fresh ON items (server_key, priority DESC, batch, sequence)
    WHERE state = 'waiting' AND due_boot_s IS NULL;
CREATE INDEX items_due ON items (server_key, priority DESC, batch, due_boot_s)
    WHERE state = 'waiting' AND due_boot_s IS NOT NULL;
CREATE INDEX items_next_due ON items (server_key, due_boot_s) WHERE state = 'waiting' AND due_boot_s IS NOT NULL;
CREATE INDEX items_lowest ON items (priority, sequence) WHERE state = 'waiting';
CREATE INDEX items_expiring ON items (expires_boot_s) WHERE state = 'waiting' AND expires_boot_s IS NOT NULL;
CREATE INDEX items_batched ON items (batch_id) WHERE batch_id IS NOT NULL;

CREATE TABLE ended (
    sequence    INTEGER PRIMARY KEY,  -- of acceptance
    id          TEXT NOT NULL UNIQUE,
    state       TEXT NOT NULL CHECK (state IN ('dropped', 'expired', 'cancelled')),
    server_key  TEXT NOT NULL,
    source_path BLOB NOT NULL,
    remote_path BLOB NOT NULL,
    folder_type TEXT NOT NULL,
    priority    INTEGER NOT NULL,
    size_bytes  INTEGER,
    accepted_s  REAL NOT NULL,
    attempts    INTEGER NOT NULL,
    effect      TEXT NOT NULL,        -- 'unknown': it may have arrived nevertheless
    ended_s     REAL NOT NULL,
    reason      TEXT NOT NULL
) STRICT;

INSERT INTO tally VALUES ('dropped', 0), ('expired', 0), ('cancelled', 0);
CREATE TRIGGER tally_end AFTER INSERT ON ended BEGIN
    UPDATE tally SET count = count + 1 WHERE state = NEW.state;
END;

CREATE TABLE history (
    number  INTEGER PRIMARY KEY,
    id      TEXT NOT NULL,
    at_s    REAL NOT NULL,
    event   TEXT NOT NULL,     -- of item.Event
    attempt INTEGER NOT NULL,  -- failed by its own fault so far
    error   TEXT               -- JSON: error, message, hint
) STRICT;
CREATE INDEX history_of ON history (id, number);

CREATE TABLE traces (
    id   TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
CREATE TRIGGER trace_delete AFTER DELETE ON items WHEN OLD.last_error IS NOT NULL BEGIN
    DELETE FROM traces WHERE id = OLD.id;
END;

CREATE TABLE server_states (
    server_key TEXT PRIMARY KEY,
    paused     INTEGER NOT NULL DEFAULT 0,
    breaker    TEXT                -- JSON, see decisions/breaker.py
) STRICT;

-- Where lines of the ledger were lost with a damaged database: the chain goes on after the gap.
CREATE TABLE gaps (
    before_sequence INTEGER PRIMARY KEY,  -- the first line after the gap
    lines           INTEGER NOT NULL,     -- how many are lost
    at_s            REAL NOT NULL,        -- when the gap was found
    anchor          TEXT                  -- hash of that line, see ledger.py; NULL: it is chained to the line before
) STRICT;

PRAGMA user_version = 2;
