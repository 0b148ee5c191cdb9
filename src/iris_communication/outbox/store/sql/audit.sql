-- quick_check --
-- "ok", or what is damaged.
PRAGMA quick_check(20);

-- counted --
-- The rows by state, to be compared with the tally, which triggers keep.
SELECT state, count(*) FROM items GROUP BY state
UNION ALL SELECT 'delivered', count(*) FROM ledger
UNION ALL SELECT state, count(*) FROM ended GROUP BY state;

-- tally --
SELECT state, count FROM tally;

-- last_sequence --
SELECT last_sequence FROM counter;

-- in_two_states --
-- Items in more than one of the tables items, ledger and ended: there may be none.
SELECT (SELECT count(*) FROM items WHERE EXISTS (SELECT 1 FROM ledger WHERE ledger.id = items.id))
     + (SELECT count(*) FROM ended WHERE EXISTS (SELECT 1 FROM ledger WHERE ledger.id = ended.id))
     + (SELECT count(*) FROM items WHERE EXISTS (SELECT 1 FROM ended WHERE ended.id = items.id));

-- ledger_after --
SELECT sequence, id, line, hash FROM ledger WHERE sequence > ? ORDER BY sequence LIMIT ?;

-- gaps --
SELECT before_sequence, lines, at_s, anchor FROM gaps ORDER BY before_sequence;

-- delivered_until --
-- How many lines there have to be up to a sequence: the tally without the lines after it.
SELECT count - (SELECT count(*) FROM ledger WHERE sequence > ?) FROM tally WHERE state = 'delivered';

-- owed_after --
SELECT sequence, id, source_path, size_bytes, sha256, in_store FROM items
WHERE state IN ('waiting', 'in_flight') AND sequence > ? ORDER BY sequence LIMIT ?;

-- content --
SELECT content FROM contents WHERE sequence = ?;

-- state --
-- The state of an id, and its line where it was delivered.
SELECT state, line
FROM (SELECT id, state, NULL AS line FROM items UNION ALL SELECT id, 'delivered', line FROM ledger
      UNION ALL SELECT id, state, NULL FROM ended)
WHERE id = ?;
