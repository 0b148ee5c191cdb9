BEGIN TRANSACTION;
CREATE TABLE counter (last_sequence INTEGER NOT NULL) STRICT;
INSERT INTO "counter" VALUES(13);
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
CREATE TABLE gaps (
    before_sequence INTEGER PRIMARY KEY,  -- the first line after the gap
    lines           INTEGER NOT NULL,     -- how many are lost
    at_s            REAL NOT NULL,        -- when the gap was found
    anchor          TEXT                  -- hash of that line, see ledger.py; NULL: it is chained to the line before
) STRICT;
CREATE TABLE history (
    number  INTEGER PRIMARY KEY,
    id      TEXT NOT NULL,
    at_s    REAL NOT NULL,
    event   TEXT NOT NULL,     -- of item.Event
    attempt INTEGER NOT NULL,  -- failed by its own fault so far
    error   TEXT               -- JSON: error, message, hint
) STRICT;
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
    last_error       TEXT, priority INTEGER NOT NULL DEFAULT 0, batch TEXT NOT NULL DEFAULT '', batch_id TEXT, ttl_s REAL, expires_boot_id TEXT, expires_boot_s REAL, after_delivery TEXT NOT NULL DEFAULT 'keep'
    CHECK (after_delivery IN ('keep', 'delete', 'move')), move_to BLOB NOT NULL DEFAULT x'', durable_s REAL,                     -- JSON: error, message, hint
    CHECK (state = 'dead' OR sha256 IS NOT NULL)  -- what waits has its bytes
) STRICT;
INSERT INTO "items" VALUES(1,'item-000001','waiting','iris@a.example:22',X'2F7265636F7264732F312E637376',X'2F696E2F6C696E652D312F6D6F64656C2F312E637376','model','{"project": "line-1"}','copy',64,1,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000001.5,0,NULL,NULL,NULL,NULL,'none',NULL,0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(2,'item-000002','waiting','iris@a.example:22',X'2F7265636F7264732FFFFE20620A272E637376',X'2F696E2FC3BC2FE42E637376','model','{"project": "\u00fc''\n", "n": [1, null]}','copy',64,2,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000002.5,0,NULL,NULL,NULL,NULL,'none',NULL,0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(3,'item-000003','waiting','other@b.example:2222',X'2F7265636F7264732F332E637376',X'2F696E2F6C696E652D312F6D6F64656C2F332E637376','model','{"project": "line-1"}','move',64,3,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000003.5,0,NULL,NULL,NULL,NULL,'none',NULL,0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(4,'item-000004','in_flight','iris@a.example:22',X'2F7265636F7264732F342E637376',X'2F696E2F6C696E652D312F6D6F64656C2F342E637376','model','{"project": "line-1"}','copy',64,4,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000004.5,0,NULL,NULL,'t4',NULL,'none',NULL,0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(5,'item-000005','in_flight','iris@a.example:22',X'2F7265636F7264732F352E637376',X'2F696E2F6C696E652D312F6D6F64656C2F352E637376','model','{"project": "line-1"}','copy',64,5,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000005.5,2,NULL,NULL,'t5b','t5a','unknown',NULL,0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(6,'item-000006','waiting','iris@a.example:22',X'2F7265636F7264732F362E637376',X'2F696E2F6C696E652D312F6D6F64656C2F362E637376','model','{"project": "line-1"}','copy',64,6,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000006.5,3,'first boot',9000838.25,'t6',NULL,'unseen','["RemoteRefused", "no \u2028 ''permission''", "ask"]',0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(7,'item-000007','dead','iris@a.example:22',X'2F7265636F7264732F372E637376',X'2F696E2F6C696E652D312F6D6F64656C2F372E637376','model','{"project": "line-1"}','copy',NULL,NULL,NULL,NULL,NULL,1700000007.5,0,NULL,NULL,NULL,NULL,'none','["SourceMissing", "''/records/7.csv'' does not exist", "queue it once it is complete"]',0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(8,'item-000008','dead','iris@a.example:22',X'2F7265636F7264732F382E637376',X'2F696E2F6C696E652D312F6D6F64656C2F382E637376','model','{"project": "line-1"}','copy',64,8,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000008.5,8,NULL,NULL,'t8',NULL,'none','["RemoteFailure", "Failure", "look at its log"]',0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(12,'item-000012','waiting','iris@a.example:22',X'2F7265636F7264732F31322E637376',X'2F696E2F6C696E652D312F6D6F64656C2F31322E637376','model','{"project": "line-1"}','copy',64,12,10,1700000000123,'abababababababababababababababababababababababababababababababab',1700000012.5,1,'an earlier boot',99.0,NULL,NULL,'none',NULL,0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
INSERT INTO "items" VALUES(13,'item-000013','waiting','iris@a.example:22',X'2F7265636F7264732F31332E637376',X'2F696E2F6C696E652D312F6D6F64656C2F31332E637376','model','{"project": "line-1"}','copy',-1,-9223372036854775808,0,-5,'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',1700000013.5,0,NULL,NULL,NULL,NULL,'none',NULL,0,'',NULL,NULL,NULL,NULL,'keep',X'',NULL);
CREATE TABLE ledger (
    sequence INTEGER PRIMARY KEY,  -- order of delivery
    id       TEXT NOT NULL UNIQUE,
    line     TEXT NOT NULL,        -- JSON, see outbox/store/ledger.py
    hash     TEXT NOT NULL         -- over the previous line's hash and this line
) STRICT;
INSERT INTO "ledger" VALUES(1,'item-000009','{"accepted_s":1700000009.5,"attempts":0,"delivered_s":1700000109.5,"final_path":"/in/line-1/model/9.csv","host_key":"SHA256:key","id":"item-000009","remote_path":"/in/line-1/model/9.csv","sequence":9,"server":"iris@a.example:22","sha256":"abababababababababababababababababababababababababababababababab","size_bytes":10,"source":"/records/9.csv"}','aa9ba88c316340ac82371058104c9548f7583df4f82171e4a559618f92d54754');
INSERT INTO "ledger" VALUES(2,'item-000010','{"accepted_s":1700000010.5,"attempts":0,"delivered_s":1700000110.5,"final_path":"/in/line-1/model/10.csv","host_key":"SHA256:key","id":"item-000010","remote_path":"/in/line-1/model/10.csv","sequence":10,"server":"iris@a.example:22","sha256":"abababababababababababababababababababababababababababababababab","size_bytes":10,"source":"/records/10.csv"}','cedb544aded4671fa4db03ad953c9135e5086efe13b8fcae096cedf116ce8602');
INSERT INTO "ledger" VALUES(3,'item-000011','{"accepted_s":1700000011.5,"attempts":0,"delivered_s":1700000111.5,"final_path":"/in/line-1/model/11.csv","host_key":"SHA256:key","id":"item-000011","remote_path":"/in/line-1/model/11.csv","sequence":11,"server":"iris@a.example:22","sha256":"abababababababababababababababababababababababababababababababab","size_bytes":10,"source":"/records/11.csv"}','9ff7e5aa9558a318068ea44d8d6103b18527464da5b88e057b0224226ca02935');
CREATE TABLE server_states (
    server_key TEXT PRIMARY KEY,
    paused     INTEGER NOT NULL DEFAULT 0,
    breaker    TEXT                -- JSON, see decisions/breaker.py
) STRICT;
CREATE TABLE tally (
    state TEXT PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count >= 0)
) STRICT;
INSERT INTO "tally" VALUES('waiting',6);
INSERT INTO "tally" VALUES('in_flight',2);
INSERT INTO "tally" VALUES('dead',2);
INSERT INTO "tally" VALUES('delivered',3);
INSERT INTO "tally" VALUES('dropped',0);
INSERT INTO "tally" VALUES('expired',0);
INSERT INTO "tally" VALUES('cancelled',0);
CREATE TABLE traces (
    id   TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX items_owed ON items (sequence) WHERE state IN ('waiting', 'in_flight');
CREATE INDEX items_dead ON items (sequence) WHERE state = 'dead';
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
CREATE TRIGGER counter_insert AFTER INSERT ON items BEGIN
    UPDATE counter SET last_sequence = NEW.sequence WHERE last_sequence < NEW.sequence;
END;
CREATE INDEX items_fresh ON items (server_key, priority DESC, batch, sequence)
    WHERE state = 'waiting' AND due_boot_s IS NULL;
CREATE INDEX items_due ON items (server_key, priority DESC, batch, due_boot_s)
    WHERE state = 'waiting' AND due_boot_s IS NOT NULL;
CREATE INDEX items_next_due ON items (server_key, due_boot_s) WHERE state = 'waiting' AND due_boot_s IS NOT NULL;
CREATE INDEX items_lowest ON items (priority, sequence) WHERE state = 'waiting';
CREATE INDEX items_expiring ON items (expires_boot_s) WHERE state = 'waiting' AND expires_boot_s IS NOT NULL;
CREATE INDEX items_batched ON items (batch_id) WHERE batch_id IS NOT NULL;
CREATE TRIGGER tally_end AFTER INSERT ON ended BEGIN
    UPDATE tally SET count = count + 1 WHERE state = NEW.state;
END;
CREATE INDEX history_of ON history (id, number);
CREATE TRIGGER trace_delete AFTER DELETE ON items WHEN OLD.last_error IS NOT NULL BEGIN
    DELETE FROM traces WHERE id = OLD.id;
END;
COMMIT;
PRAGMA user_version = 2;
