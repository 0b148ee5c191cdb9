"""Many items as one row of the database: JSON with the rows in it.

After each row that a query returns, the thread that reads it waits for the interpreter lock again; beside a busy Python
thread that makes 64 rows take a third of a second. JSON has no bytes and prints numbers as it likes: paths go as
hexadecimal digits, and times as SQLite's `quote` prints them, from which the same number is read again.
"""

import json
from typing import Any

from iris_communication.outbox.store.item_row import Row

# In the order of the table.
_COLUMNS = {
    **dict.fromkeys(("sequence", "id", "state", "server_key"), "{}"),
    **dict.fromkeys(("source_path", "remote_path"), "hex({})"),
    **dict.fromkeys(("folder_type", "project_settings", "take", "device", "inode", "size_bytes", "mtime_ns"), "{}"),
    "sha256": "{}",
    "accepted_s": "quote({})",
    "attempts": "{}",
    "due_boot_id": "{}",
    "due_boot_s": "quote({})",
    **dict.fromkeys(("token", "earlier_token", "effect", "last_error", "priority", "batch", "batch_id"), "{}"),
    "ttl_s": "quote({})",
    "expires_boot_id": "{}",
    "expires_boot_s": "quote({})",
    "after_delivery": "{}",
    "move_to": "hex({})",
    "durable_s": "quote({})",
    "in_store": "{}",
}
_BYTES = [index for index, how in enumerate(_COLUMNS.values()) if how.startswith("hex")]
_TIMES = [index for index, how in enumerate(_COLUMNS.values()) if how.startswith("quote")]


def packed(query: str) -> str:
    """A query for the rows of another one, which selects all columns of `items`, as one text."""
    columns = ", ".join(how.format(name) for name, how in _COLUMNS.items())
    return f"SELECT json_group_array(json_array({columns})) FROM ({query.strip().rstrip(';')})"  # noqa: S608 - our own


def unpacked(text: str) -> list[Row]:
    """Raises ValueError, TypeError for what no such query gives."""
    rows: list[list[Any]] = json.loads(text)
    for columns in rows:
        for index in _BYTES:
            columns[index] = bytes.fromhex(columns[index])
        for index in _TIMES:
            columns[index] = None if columns[index] == "NULL" else float(columns[index])
    return [tuple(columns) for columns in rows]
