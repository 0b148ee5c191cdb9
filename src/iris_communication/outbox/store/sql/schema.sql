-- The outbox in one file. Times: *_s are seconds, *_ns nanoseconds; wall time unless a comment says otherwise.

CREATE TABLE items (
    sequence         INTEGER PRIMARY KEY,      -- order of acceptance
    id               TEXT NOT NULL UNIQUE,     -- also the name of its file in the spool, if it has one
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
    due_boot_id      TEXT,                     -- NULL: never failed, is sent in order of acceptance
    due_boot_s       REAL,                     -- since that boot
    token            TEXT,                     -- of the latest attempt's temp name; stored before that file is opened
    earlier_token    TEXT,
    effect           TEXT NOT NULL DEFAULT 'none' CHECK (effect IN ('none', 'unknown', 'unseen')),
    last_error       TEXT,                     -- JSON: error, message, hint
    priority         INTEGER NOT NULL DEFAULT 0,
    batch            TEXT NOT NULL DEFAULT '', -- items with the same one may travel together: format and remote folder
    batch_id         TEXT,                     -- the archive it is in, until the archive's outcome is known
    ttl_s            REAL,
    expires_boot_id  TEXT,
    expires_boot_s   REAL,                     -- since that boot; applies while it waits
    after_delivery   TEXT NOT NULL DEFAULT 'keep' CHECK (after_delivery IN ('keep', 'delete', 'move')),
    move_to          BLOB NOT NULL DEFAULT x'', -- a folder
    durable_s        REAL,                     -- durable at the latest then; written with the first claim
    in_store         INTEGER NOT NULL DEFAULT 0 CHECK (in_store IN (0, 1)),  -- its content is a row of `contents`
    CHECK (state = 'dead' OR sha256 IS NOT NULL)  -- an item that is not dead has its bytes
) STRICT;

-- Above each index: the queries that use it. A queue is the waiting items of one server, priority and batch.
-- fresh, queues_of
CREATE INDEX items_fresh ON items (server_key, priority DESC, batch, sequence)
    WHERE state = 'waiting' AND due_boot_s IS NULL;
-- due, queues_of
CREATE INDEX items_due ON items (server_key, priority DESC, batch, due_boot_s)
    WHERE state = 'waiting' AND due_boot_s IS NOT NULL;
-- next_due
CREATE INDEX items_next_due ON items (server_key, due_boot_s) WHERE state = 'waiting' AND due_boot_s IS NOT NULL;
-- unfinished, oldest_accepted, oldest_waiting: as fast however many dead items are older
CREATE INDEX items_owed ON items (sequence) WHERE state IN ('waiting', 'in_flight');
-- lowest_waiting
CREATE INDEX items_lowest ON items (priority, sequence) WHERE state = 'waiting';
-- expired, next_expiry
CREATE INDEX items_expiring ON items (expires_boot_s) WHERE state = 'waiting' AND expires_boot_s IS NOT NULL;
-- the members of an archive
CREATE INDEX items_batched ON items (batch_id) WHERE batch_id IS NOT NULL;
-- dead
CREATE INDEX items_dead ON items (sequence) WHERE state = 'dead';

-- What small files hold: inserted with their item, and removed with it.
CREATE TABLE contents (
    sequence INTEGER PRIMARY KEY,  -- of the item
    content  BLOB NOT NULL
) STRICT;
CREATE TRIGGER content_delete AFTER DELETE ON items WHEN OLD.in_store BEGIN
    DELETE FROM contents WHERE sequence = OLD.sequence;
END;

-- Items that ended without being delivered.
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

CREATE TABLE ledger (
    sequence INTEGER PRIMARY KEY,  -- order of delivery
    id       TEXT NOT NULL UNIQUE,
    line     TEXT NOT NULL,        -- JSON, see outbox/store/ledger.py
    hash     TEXT NOT NULL         -- over the previous line's hash and this line
) STRICT;

-- Where lines of the ledger were lost with a damaged database: the chain goes on after the gap.
CREATE TABLE gaps (
    before_sequence INTEGER PRIMARY KEY,  -- the first line after the gap
    lines           INTEGER NOT NULL,     -- how many are lost
    at_s            REAL NOT NULL,        -- when the gap was found
    anchor          TEXT                  -- hash of that line, see ledger.py; NULL: it is chained to the line before
) STRICT;

-- How many items are in each state. Triggers keep it, so that no statement can change a state without it.
CREATE TABLE tally (
    state TEXT PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count >= 0)
) STRICT;
INSERT INTO tally VALUES ('waiting', 0), ('in_flight', 0), ('dead', 0), ('delivered', 0),
                         ('dropped', 0), ('expired', 0), ('cancelled', 0);

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

CREATE TRIGGER tally_end AFTER INSERT ON ended BEGIN
    UPDATE tally SET count = count + 1 WHERE state = NEW.state;
END;

-- What happened to an item besides acceptance and delivery, which the rows and the ledger record.
CREATE TABLE history (
    number  INTEGER PRIMARY KEY,
    id      TEXT NOT NULL,
    at_s    REAL NOT NULL,
    event   TEXT NOT NULL,     -- of item.Event
    attempt INTEGER NOT NULL,  -- failed by its own fault so far
    error   TEXT               -- JSON: error, message, hint
) STRICT;
CREATE INDEX history_of ON history (id, number);

-- Of an item that was given up: the latest protocol events of its connection.
CREATE TABLE traces (
    id   TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
CREATE TRIGGER trace_delete AFTER DELETE ON items WHEN OLD.last_error IS NOT NULL BEGIN
    DELETE FROM traces WHERE id = OLD.id;
END;

-- Delivered items whose source is yet to be deleted or moved.
CREATE TABLE source_actions (id TEXT PRIMARY KEY) STRICT;

-- Facts about a server, besides its address, that outlive a restart.
CREATE TABLE server_states (
    server_key TEXT PRIMARY KEY,
    paused     INTEGER NOT NULL DEFAULT 0,
    breaker    TEXT                -- JSON, see decisions/breaker.py
) STRICT;

-- The highest sequence ever given: the sequence of a delivered item must not be given again.
CREATE TABLE counter (last_sequence INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);
CREATE TRIGGER counter_insert AFTER INSERT ON items BEGIN
    UPDATE counter SET last_sequence = NEW.sequence WHERE last_sequence < NEW.sequence;
END;

PRAGMA user_version = 3;
