-- insert_items --
-- Newly accepted items with their contents; the marks are repeated for each.
INSERT INTO incoming (sequence, id, state, server_key, source_path, remote_path, folder_type, project_settings, take,
                      device, inode, size_bytes, mtime_ns, sha256, accepted_s, after_delivery, move_to,
                      attempts, due_boot_id, due_boot_s, token, earlier_token, effect, last_error,
                      priority, batch, batch_id, ttl_s, expires_boot_id, expires_boot_s, durable_s, in_store, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- update_items --
-- Every column of an item that may change.
UPDATE items
SET state = new.column1, attempts = new.column2, due_boot_id = new.column3, due_boot_s = new.column4,
    token = new.column5, earlier_token = new.column6, effect = new.column7, last_error = new.column8,
    priority = new.column9, batch = new.column10, batch_id = new.column11, ttl_s = new.column12,
    expires_boot_id = new.column13, expires_boot_s = new.column14, durable_s = new.column15
FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) AS new
WHERE items.sequence = new.column16;

-- delete_items --
-- Delivered items, in the transaction that inserts their ledger lines, and items that have ended otherwise.
DELETE FROM items WHERE sequence IN (VALUES (?));

-- insert_lines --
INSERT INTO ledger (id, line, hash) VALUES (?, ?, ?);

-- insert_source_actions --
INSERT INTO source_actions (id) VALUES (?);

-- delete_source_actions --
DELETE FROM source_actions WHERE id IN (VALUES (?));

-- insert_ended --
INSERT INTO ended (sequence, id, state, server_key, source_path, remote_path, folder_type, priority, size_bytes,
                   accepted_s, attempts, effect, ended_s, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- insert_history --
INSERT INTO history (id, at_s, event, attempt, error) VALUES (?, ?, ?, ?, ?);

-- insert_traces --
INSERT INTO traces (id, text) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET text = excluded.text;

-- set_servers --
INSERT INTO server_states (server_key, paused, breaker) VALUES (?, ?, ?)
ON CONFLICT (server_key) DO UPDATE SET paused = excluded.paused, breaker = excluded.breaker;
