"""The store on one SQLite file.

Rules. One connection in one thread writes and checkpoints: SQLite before 3.51.3 can lose committed pages when two
connections checkpoint the same WAL, and most installed Pythons carry such a version. `synchronous=FULL`, so that a
commit that returned survives a power cut. Every transaction is BEGIN IMMEDIATE. After an error the connection is not
trusted any more: the keeper closes this store and opens a new one.

What goes wrong. Some file systems (NFS, CIFS) do not keep WAL's promises; a damaged file is found by the quick check
at opening and is left untouched for the operator.
"""

import contextlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from iris_communication.errors import Effect, OutboxDamaged, OutboxStorageError
from iris_communication.item import Due, Failure, Fingerprint, Item, State, Take
from iris_communication.outbox.ledger import GENESIS, Line
from iris_communication.outbox.store import Change, Deliver, Insert, Lane, Tally, Update

SCHEMA_VERSION = 1


def _queries() -> dict[str, str]:
    """The named statements of queries.sql: `-- name --`, then the statement."""
    text = (resources.files(__package__) / "sql" / "queries.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


QUERIES = _queries()


class SqliteStore:
    """Raises OutboxDamaged for a file that is no sound outbox, OutboxStorageError when the disk refuses."""

    def __init__(self, path: Path, boot_id: str) -> None:
        self._path = path
        with self._errors("open"):
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            self._prepare(boot_id)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, boot_id: str) -> None:
        with self._errors("open"):
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise OutboxDamaged(f"the outbox database {self._path} is damaged: {found}")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise OutboxDamaged(
                    f"the outbox database {self._path} has schema version {version}, "
                    f"but this program knows {SCHEMA_VERSION} at most",
                    hint="run the newer program that wrote it",
                )
            if version == 0:
                schema = (resources.files(__package__) / "sql" / "schema.sql").read_text(encoding="utf-8")
                self._db.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;")
            self._db.execute(QUERIES["forget_due_of_other_boots"], (boot_id, boot_id))

    def commit(self, changes: Sequence[Change]) -> None:
        db = self._db
        with self._errors("write"):
            db.execute("BEGIN IMMEDIATE")
            try:
                for change in changes:
                    if type(change) is Insert:
                        db.execute(QUERIES["insert_item"], _row(change.item))
                    elif type(change) is Update:
                        db.execute(QUERIES["update_item"], (*_mutable(change.item), change.item.sequence))
                    elif type(change) is Deliver:
                        db.execute(QUERIES["delete_item"], (change.item.sequence,))
                        db.execute(QUERIES["insert_line"], (change.item.id, change.line.text, change.line.hash))
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def peek(self, server_key: str, boot_s: float, limit: int) -> list[Item]:
        due = self._all("peek_due", server_key, boot_s, limit)
        fresh = self._all("peek_fresh", server_key, limit)
        due = due[: max((limit + 1) // 2, limit - len(fresh))]  # rounded up: one at a time must not starve them
        return [_item(row) for row in (*due, *fresh[: limit - len(due)])]

    def lanes(self) -> dict[str, Lane]:
        return {key: Lane(fresh, retrying, due_s) for key, fresh, retrying, due_s in self._all("lanes")}

    def next_due_s(self, server_key: str) -> float | None:
        return self._one("next_due", server_key)  # type: ignore[no-any-return]  # the column's type

    def tally(self) -> Tally:
        return Tally(**dict(self._all("tally")))

    def last_sequence(self) -> int:
        return self._one("last_sequence")  # type: ignore[no-any-return]  # the column's type

    def ledger_head(self) -> str:
        return self._one("ledger_head") or GENESIS

    def ledger(self) -> Iterator[Line]:
        with self._errors("read"):
            for row in self._db.execute(QUERIES["ledger"]):
                yield Line(*row)

    def state(self, item_id: str) -> str | None:
        return self._one("state", item_id)  # type: ignore[no-any-return]  # the column's type

    def unfinished(self) -> Iterator[Item]:
        with self._errors("read"):
            for row in self._db.execute(QUERIES["unfinished"]):
                yield _item(row)

    def dead(self, limit: int) -> list[Item]:
        return [_item(row) for row in self._all("dead", limit)]

    def owed_names(self) -> Iterator[str]:
        with self._errors("read"):
            for (path,) in self._db.execute(QUERIES["owed_paths"]):
                yield os.path.basename(os.fsdecode(path))

    def oldest_accepted_s(self) -> float | None:
        return self._one("oldest_accepted")  # type: ignore[no-any-return]  # the column's type

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # closing checkpoints; what is committed is safe without that
            self._db.close()

    def _all(self, name: str, *values: Any) -> list[Any]:
        with self._errors("read"):
            return self._db.execute(QUERIES[name], values).fetchall()

    def _one(self, name: str, *values: Any) -> Any:
        with self._errors("read"):
            row = self._db.execute(QUERIES[name], values).fetchone()
            return row[0] if row else None

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            kind = OutboxDamaged if "malformed" in str(error) or "not a database" in str(error) else OutboxStorageError
            raise kind(f"cannot {doing} the outbox database {self._path}: {error}") from error


def _row(item: Item) -> tuple[Any, ...]:
    mark = item.fingerprint
    source: tuple[Any, ...] = (None,) * 5
    if mark is not None:
        source = (_signed(mark.device), _signed(mark.inode), mark.size_bytes, mark.mtime_ns, mark.sha256)
    state, *others = _mutable(item)
    return (
        item.sequence,
        item.id,
        state,
        item.server_key,
        os.fsencode(item.source_path),
        os.fsencode(item.remote_path),
        item.folder_type,
        json.dumps(item.project_settings),
        item.take.value,
        *source,
        item.accepted_s,
        *others,
    )


def _mutable(item: Item) -> tuple[Any, ...]:
    """What `update_item` sets, in its order."""
    error = item.last_error
    return (
        item.state.value,
        item.attempts,
        item.due.boot_id if item.due else None,
        item.due.boot_s if item.due else None,
        item.token,
        item.earlier_token,
        item.effect.value,
        json.dumps([error.error, error.message, error.hint]) if error else None,
    )


def _item(row: tuple[Any, ...]) -> Item:
    (sequence, item_id, state, server_key, source_path, remote_path, folder_type, project_settings, take) = row[:9]
    device, inode, size_bytes, mtime_ns, sha256, accepted_s, attempts, due_boot_id, due_boot_s = row[9:18]
    token, earlier_token, effect, last_error = row[18:]
    return Item(
        id=item_id,
        sequence=sequence,
        server_key=server_key,
        source_path=os.fsdecode(source_path),
        remote_path=os.fsdecode(remote_path),
        folder_type=folder_type,
        project_settings=json.loads(project_settings),
        take=Take(take),
        fingerprint=_fingerprint(device, inode, size_bytes, mtime_ns, sha256) if sha256 is not None else None,
        accepted_s=accepted_s,
        state=State(state),
        attempts=attempts,
        due=Due(due_boot_id, due_boot_s) if due_boot_s is not None else None,
        token=token,
        earlier_token=earlier_token,
        effect=Effect(effect),
        last_error=Failure(*json.loads(last_error)) if last_error else None,
    )


def _fingerprint(device: int, inode: int, size_bytes: int, mtime_ns: int, sha256: str) -> Fingerprint:
    return Fingerprint(device % 2**64, inode % 2**64, size_bytes, mtime_ns, sha256)


def _signed(number: int) -> int:
    """A file system may number its files with all 64 bits; SQLite's integers have a sign."""
    return number - 2**64 if number >= 2**63 else number
