-- source_actions --
SELECT id FROM source_actions ORDER BY id;

-- trim_all_history --
-- Keeps the latest lines of all items.
DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?;

-- server_states --
SELECT server_key, paused, breaker FROM server_states;

-- queues_of --
-- The queues of a server that have waiting items, highest priority first: one index lookup for each, however many
-- items wait in it.
WITH RECURSIVE fresh (priority, batch) AS (
    SELECT * FROM (SELECT priority, batch FROM items
                   WHERE server_key = :server AND state = 'waiting' AND due_boot_s IS NULL
                   ORDER BY priority DESC, batch LIMIT 1)
    UNION ALL
    SELECT found.priority, found.batch
    FROM fresh, items AS found
    WHERE found.sequence = coalesce(
        (SELECT sequence FROM items
         WHERE server_key = :server AND state = 'waiting' AND due_boot_s IS NULL
               AND priority = fresh.priority AND batch > fresh.batch
         ORDER BY batch LIMIT 1),
        (SELECT sequence FROM items
         WHERE server_key = :server AND state = 'waiting' AND due_boot_s IS NULL AND priority < fresh.priority
         ORDER BY priority DESC, batch LIMIT 1))
), due (priority, batch) AS (
    SELECT * FROM (SELECT priority, batch FROM items
                   WHERE server_key = :server AND state = 'waiting' AND due_boot_s IS NOT NULL
                   ORDER BY priority DESC, batch LIMIT 1)
    UNION ALL
    SELECT found.priority, found.batch
    FROM due, items AS found
    WHERE found.sequence = coalesce(
        (SELECT sequence FROM items
         WHERE server_key = :server AND state = 'waiting' AND due_boot_s IS NOT NULL
               AND priority = due.priority AND batch > due.batch
         ORDER BY batch LIMIT 1),
        (SELECT sequence FROM items
         WHERE server_key = :server AND state = 'waiting' AND due_boot_s IS NOT NULL AND priority < due.priority
         ORDER BY priority DESC, batch LIMIT 1))
)
SELECT priority, batch FROM fresh UNION SELECT priority, batch FROM due ORDER BY priority DESC, batch;

-- due --
-- Waiting items of a queue whose retry is due; the one due longest comes first.
SELECT * FROM items
WHERE state = 'waiting' AND due_boot_s IS NOT NULL AND server_key = ? AND priority = ? AND batch = ? AND due_boot_s <= ?
ORDER BY due_boot_s LIMIT ?;

-- fresh --
-- Waiting items of a queue that never failed and were accepted after another, in order of acceptance.
SELECT * FROM items
WHERE state = 'waiting' AND due_boot_s IS NULL AND server_key = ? AND priority = ? AND batch = ? AND sequence > ?
ORDER BY sequence LIMIT ?;

-- members --
SELECT * FROM items WHERE batch_id = ? ORDER BY sequence;

-- item --
SELECT * FROM items WHERE id = ?;

-- expired --
-- Waiting items whose time to live is over; the one over longest comes first.
SELECT * FROM items WHERE state = 'waiting' AND expires_boot_s <= ? ORDER BY expires_boot_s LIMIT ?;

-- next_expiry --
SELECT min(expires_boot_s) FROM items WHERE state = 'waiting' AND expires_boot_s IS NOT NULL;

-- oldest_waiting --
-- The first condition is that of the partial index, so that SQLite uses it.
SELECT * FROM items
WHERE state IN ('waiting', 'in_flight') AND state = 'waiting' AND priority <= ? ORDER BY sequence LIMIT ?;

-- lowest_waiting --
-- Lowest priority first, within a priority the oldest.
SELECT * FROM items WHERE state = 'waiting' ORDER BY priority, sequence LIMIT ?;

-- owed_bytes --
-- Bytes of everything that is held.
SELECT coalesce(sum(size_bytes), 0) FROM items;

-- backlogs --
-- Per server: items that never failed, items that failed, when the first retry is due, and how many of those that
-- never failed may travel together.
SELECT server_key, sum(due_boot_s IS NULL), sum(due_boot_s IS NOT NULL), min(due_boot_s),
       sum(due_boot_s IS NULL AND batch <> '')
FROM items WHERE state = 'waiting' GROUP BY server_key;

-- next_due --
SELECT min(due_boot_s) FROM items WHERE state = 'waiting' AND due_boot_s IS NOT NULL AND server_key = ?;

-- expiry_of_other_boots --
-- Seconds since another boot mean nothing: the store computes what is left of such a time by the wall clock, once.
SELECT sequence, accepted_s, ttl_s FROM items WHERE ttl_s IS NOT NULL AND expires_boot_id IS NOT ?;

-- set_expiry --
UPDATE items SET expires_boot_id = ?, expires_boot_s = ? WHERE sequence = ?;

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
-- One placeholder: Python 3.12.0 and 3.12.1 warn of a numbered one that is given by position.
SELECT state FROM (SELECT id, state FROM items UNION ALL SELECT id, 'delivered' FROM ledger
                   UNION ALL SELECT id, state FROM ended)
WHERE id = ?;

-- line_of --
SELECT line, hash FROM ledger WHERE id = ?;

-- unfinished --
SELECT * FROM items WHERE state IN ('waiting', 'in_flight') ORDER BY sequence;

-- dead --
SELECT * FROM items WHERE state = 'dead' ORDER BY sequence DESC LIMIT ?;

-- oldest_accepted --
SELECT accepted_s FROM items WHERE state IN ('waiting', 'in_flight') ORDER BY sequence LIMIT 1;

-- owed_paths --
-- The sources of everything that is waiting, in flight or dead: an item that has ended has no row here.
SELECT source_path FROM items;
