-- Of each connection that writes. A view, through which items go in with their contents: so a whole group of them is one
-- statement, after each of which the thread would have to wait for the interpreter lock again.
CREATE TEMP VIEW incoming AS SELECT *, x'' AS content FROM items;
CREATE TEMP TRIGGER incoming_insert INSTEAD OF INSERT ON incoming BEGIN
    INSERT INTO items (sequence, id, state, server_key, source_path, remote_path, folder_type, project_settings, take,
                       device, inode, size_bytes, mtime_ns, sha256, accepted_s, after_delivery, move_to,
                       attempts, due_boot_id, due_boot_s, token, earlier_token, effect, last_error,
                       priority, batch, batch_id, ttl_s, expires_boot_id, expires_boot_s, durable_s, in_store)
    VALUES (NEW.sequence, NEW.id, NEW.state, NEW.server_key, NEW.source_path, NEW.remote_path, NEW.folder_type,
            NEW.project_settings, NEW.take, NEW.device, NEW.inode, NEW.size_bytes, NEW.mtime_ns, NEW.sha256,
            NEW.accepted_s, NEW.after_delivery, NEW.move_to, NEW.attempts, NEW.due_boot_id, NEW.due_boot_s, NEW.token,
            NEW.earlier_token, NEW.effect, NEW.last_error, NEW.priority, NEW.batch, NEW.batch_id, NEW.ttl_s,
            NEW.expires_boot_id, NEW.expires_boot_s, NEW.durable_s, NEW.in_store);
    INSERT INTO contents (sequence, content) SELECT NEW.sequence, NEW.content WHERE NEW.content IS NOT NULL;
END;

-- Keeps the latest lines of one item: of a month's outage only the end is kept.
CREATE TEMP TRIGGER history_trim AFTER INSERT ON main.history BEGIN
    DELETE FROM history
    WHERE id = NEW.id
          AND number <= (SELECT number FROM history WHERE id = NEW.id ORDER BY number DESC LIMIT 1 OFFSET 50);
END;
