-- item_rows --
-- Items that are owed or dead, after a sequence, in order of acceptance.
SELECT sequence, id, state, server_key, source_path, remote_path, folder_type, priority, size_bytes, accepted_s, attempts,
       effect, last_error, NULL, NULL
FROM items
WHERE sequence > ? AND (? IS NULL OR state = ?) AND (? IS NULL OR server_key = ?) AND (? IS NULL OR folder_type = ?)
ORDER BY sequence LIMIT ?;

-- ended_rows --
-- Items that were dropped, have expired or were cancelled; the same columns.
SELECT sequence, id, state, server_key, source_path, remote_path, folder_type, priority, size_bytes, accepted_s, attempts,
       effect, NULL, ended_s, reason
FROM ended
WHERE sequence > ? AND (? IS NULL OR state = ?) AND (? IS NULL OR server_key = ?) AND (? IS NULL OR folder_type = ?)
ORDER BY sequence LIMIT ?;

-- ids_from --
-- The ids between two, from all three tables: each part uses its own index.
SELECT id FROM items WHERE id >= ? AND id < ?
UNION SELECT id FROM ended WHERE id >= ? AND id < ?
UNION SELECT id FROM ledger WHERE id >= ? AND id < ?
LIMIT ?;

-- item_row --
SELECT sequence, id, state, server_key, source_path, remote_path, folder_type, priority, size_bytes, accepted_s, attempts,
       effect, last_error, NULL, NULL,
       project_settings, take, sha256, durable_s, batch_id, ttl_s, after_delivery, move_to, due_boot_id, due_boot_s
FROM items WHERE id = ?;

-- ended_row --
SELECT sequence, id, state, server_key, source_path, remote_path, folder_type, priority, size_bytes, accepted_s, attempts,
       effect, NULL, ended_s, reason
FROM ended WHERE id = ?;

-- ledger_line --
SELECT line FROM ledger WHERE id = ?;

-- history_of --
SELECT at_s, event, attempt, error FROM history WHERE id = ? ORDER BY number;

-- trace_of --
SELECT text FROM traces WHERE id = ?;

-- known_servers --
SELECT server_key FROM items UNION SELECT server_key FROM ended UNION SELECT server_key FROM server_states;

-- server_states --
SELECT server_key, paused, breaker FROM server_states ORDER BY server_key;
