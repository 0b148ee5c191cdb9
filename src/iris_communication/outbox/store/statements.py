"""The statements of one commit: as few as there are kinds of changes, however many items they are about.

After each statement the writer's thread waits for the interpreter lock again, which beside a busy Python thread costs
more than all that SQLite does. So the rows of all changes of one kind are the values of one statement.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any

from iris_communication.item import After
from iris_communication.outbox.store import item_row as row
from iris_communication.outbox.store.contract import (
    Change,
    Deliver,
    End,
    Insert,
    Note,
    SetServer,
    SourceTreated,
    Update,
)
from iris_communication.outbox.store.item_row import Row

Statement = tuple[str, Sequence[Any]]
VALUES_MAX = 10_000  # of one statement; SQLite takes 32,766


def script(name: str) -> str:
    """A file of sql/."""
    return (resources.files(__package__) / "sql" / name).read_text(encoding="utf-8")


def named_queries(*names: str) -> dict[str, str]:
    """The statements of these files: `-- name --`, then the statement."""
    parts = re.split(r"^-- (\w+) --$", "".join(map(script, names)), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


WRITES = named_queries("writes.sql")


def statements(changes: Sequence[Change]) -> list[Statement]:
    """In an order in which each may be carried out. No item is in two of the changes."""
    inserts = [change for change in changes if type(change) is Insert]
    updates = [change for change in changes if type(change) is Update]
    delivered = [change for change in changes if type(change) is Deliver]
    ended = [change for change in changes if type(change) is End]
    gone: list[Deliver | End] = [*delivered, *ended]
    return [
        *_rows("insert_items", ((*row.inserted(change.item), change.content) for change in inserts)),
        *_rows("update_items", ((*row.mutable(change.item), change.item.sequence) for change in updates)),
        *_rows("delete_items", ((change.item.sequence,) for change in gone)),
        *_rows("insert_lines", ((change.item.id, change.line.text, change.line.hash) for change in delivered)),
        *_rows("insert_source_actions", ((each.item.id,) for each in delivered if each.item.after is not After.KEEP)),
        *_rows("insert_ended", (row.ended(change.item, change.note.at_s, change.reason) for change in ended)),
        *_rows("insert_history", _history([*inserts, *updates, *ended])),
        *_rows("insert_traces", ((change.item.id, change.trace) for change in updates if change.trace)),
        *_rows("delete_source_actions", ((each.item_id,) for each in changes if type(each) is SourceTreated)),
        *_rows("set_servers", (_server(change) for change in changes if type(change) is SetServer)),
    ]


def _history(changes: Iterable[Insert | Update | End]) -> Iterator[Row]:
    for change in changes:
        if (note := change.note) is not None:
            yield change.item.id, note.at_s, note.event.value, note.attempt, _error(note)


def _error(note: Note) -> str | None:
    return json.dumps(row.failure(note.error)) if note.error else None


def _server(change: SetServer) -> Row:
    return change.server_key, change.paused, None if change.breaker is None else json.dumps(change.breaker)


def _rows(name: str, rows: Iterable[Row]) -> Iterator[Statement]:
    found = list(rows)
    at_once = VALUES_MAX // len(found[0]) if found else 1
    for start in range(0, len(found), at_once):
        part = found[start : start + at_once]
        yield _repeated(name, len(part)), [value for values in part for value in values]


@cache
def _repeated(name: str, count: int) -> str:
    """The statement for so many rows: its one row of marks, `(?, ?)`, stands as often."""
    return re.sub(r"\((?:\?, )*\?\)", lambda marks: ", ".join([marks[0]] * count), WRITES[name], count=1)
