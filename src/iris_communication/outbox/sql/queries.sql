-- insert_item --
-- A newly accepted item.
INSERT INTO items (sequence, id, state, server_key, source_path, remote_path, folder_type, project_settings, take,
                   device, inode, size_bytes, mtime_ns, sha256, accepted_s, attempts, due_boot_id, due_boot_s,
                   token, earlier_token, effect, last_error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- update_item --
-- All of an item that may change.
UPDATE items
SET state = ?, attempts = ?, due_boot_id = ?, due_boot_s = ?, token = ?, earlier_token = ?, effect = ?, last_error = ?
WHERE sequence = ?;

-- delete_item --
-- A delivered item, in the transaction that inserts its ledger line.
DELETE FROM items WHERE sequence = ?;

-- insert_line --
INSERT INTO ledger (id, line, hash) VALUES (?, ?, ?);

-- peek_due --
-- Waiting items whose retry is due, longest due first.
SELECT * FROM items
WHERE state = 'waiting' AND due_boot_s IS NOT NULL AND server_key = ? AND due_boot_s <= ?
ORDER BY due_boot_s LIMIT ?;

-- peek_fresh --
-- Waiting items that never failed, in order of acceptance.
SELECT * FROM items
WHERE state = 'waiting' AND due_boot_s IS NULL AND server_key = ?
ORDER BY sequence LIMIT ?;

-- lanes --
-- Per server: never failed, failed, first retry due.
SELECT server_key, sum(due_boot_s IS NULL), sum(due_boot_s IS NOT NULL), min(due_boot_s)
FROM items WHERE state = 'waiting' GROUP BY server_key;

-- next_due --
SELECT min(due_boot_s) FROM items WHERE state = 'waiting' AND due_boot_s IS NOT NULL AND server_key = ?;

-- forget_due_of_other_boots --
-- Seconds since another boot mean nothing: such retries are due at once.
UPDATE items SET due_boot_id = ?, due_boot_s = 0 WHERE due_boot_id IS NOT NULL AND due_boot_id IS NOT ?;

-- tally --
SELECT state, count FROM tally;

-- last_sequence --
SELECT last_sequence FROM counter;

-- ledger_head --
SELECT hash FROM ledger ORDER BY sequence DESC LIMIT 1;

-- ledger --
SELECT line, hash FROM ledger ORDER BY sequence;

-- state --
-- One placeholder: a numbered one given by position is a warning in Python 3.12.0 and 3.12.1.
SELECT state FROM (SELECT id, state FROM items UNION ALL SELECT id, 'delivered' FROM ledger) WHERE id = ?;

-- unfinished --
SELECT * FROM items WHERE state IN ('waiting', 'in_flight') ORDER BY sequence;

-- dead --
SELECT * FROM items WHERE state = 'dead' ORDER BY sequence DESC LIMIT ?;

-- oldest_accepted --
SELECT accepted_s FROM items WHERE state IN ('waiting', 'in_flight') ORDER BY sequence LIMIT 1;

-- owed_paths --
-- The sources of everything that is not delivered: a delivered item has no row.
SELECT source_path FROM items;
