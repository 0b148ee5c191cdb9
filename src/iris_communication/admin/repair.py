"""Repairs an outbox that no process owns: each action is reported, and nothing is thrown away.

    for done in Repair(folder).actions():
        ...

What cannot be kept where it is goes into the outbox's folder `quarantine`. Damage that a repair would cover up (a
ledger that somebody changed) is reported and left alone. A second repair finds nothing left to do.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from iris_communication.admin.audit import Audit
from iris_communication.admin.inventory import wrong_bytes, wrong_content
from iris_communication.clock import Clock, SystemClock
from iris_communication.decisions.attempt import failure
from iris_communication.errors import OutboxDamaged, OutboxStorageError
from iris_communication.item import OWED_OR_DEAD, Event, State, next_state
from iris_communication.outbox.files.ids import id_of_file
from iris_communication.outbox.files.lock import Owner
from iris_communication.outbox.files.private import check_folder
from iris_communication.outbox.files.quarantine import Quarantine
from iris_communication.outbox.files.servers import SECRETS_FILES
from iris_communication.outbox.files.spool import spooled_files
from iris_communication.outbox.recovery.accounts import KNOWN_IDS, Loss, balance_accounts, strays
from iris_communication.outbox.recovery.recovery import treat_sources
from iris_communication.outbox.recovery.salvage import Salvage
from iris_communication.outbox.store import item_row as row
from iris_communication.outbox.store.contract import Note, Update
from iris_communication.outbox.store.open_store import open_store
from iris_communication.outbox.store.reader import NoOutbox
from iris_communication.outbox.store.sqlite import DATABASE, LOG, NewerSchema, SqliteStore
from iris_communication.runtime.amounts import counted

__all__ = ["Done", "Kept", "Repair", "empty_quarantine", "quarantined"]

_OWED_OR_DEAD = tuple(state.value for state in OWED_OR_DEAD)


class Done(NamedTuple):
    what: str
    repaired: bool = True  # False: it is left as it was


class Kept(NamedTuple):
    """A file in the quarantine."""

    name: str
    size_bytes: int
    changed_s: float  # wall time


def quarantined(folder: Path) -> list[Kept]:
    """What lies in an outbox's quarantine, in the order in which it was changed. Raises OutboxStorageError."""
    try:
        return [Kept(*facts) for facts in Quarantine(folder).kept()]
    except OSError as error:
        raise OutboxStorageError(f"the quarantine of {folder} cannot be listed: {error.strerror}") from error


def empty_quarantine(folder: Path, names: Iterable[str]) -> None:
    """Remove these files for good; an uploader may run meanwhile. Raises OutboxStorageError."""
    check_folder(folder)
    try:
        Quarantine(folder).remove(names)
    except OSError as error:
        raise OutboxStorageError(f"the quarantine of {folder} cannot be emptied: {error}") from error


class Repair:
    """Constructing opens nothing."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._quarantine = Quarantine(folder)

    def actions(self, *, hashes: bool = False) -> Iterator[Done]:
        """Each action, once it is done; with `hashes` every owed file is read whole. Raises NoOutbox, OutboxInUse,
        OutboxDamaged for a newer schema, OutboxStorageError."""
        self._check_folder()
        owner = Owner(self._folder, self._clock.wall_s())
        try:
            yield from self._secrets(owner.found_open)
            yield from self._database(found_in_order=owner.found_in_order)
            yield from self._accounts()
            with closing(open_store(self._folder, self._clock)) as store:
                yield from self._owed(store, hashes=hashes)
                yield from self._strays(store)
            yield from self._proof()
        except OSError as error:
            raise OutboxStorageError(f"cannot repair {self._folder}: {error}") from error
        except sqlite3.Error as error:
            raise OutboxStorageError(f"cannot repair the database of {self._folder}: {error}") from error
        finally:
            owner.release()

    def _check_folder(self) -> None:
        if not any((self._folder / name).exists() for name in (DATABASE, LOG, "spool")):
            raise NoOutbox.in_folder(self._folder)

    def _secrets(self, found_open: dict[Path, int]) -> Iterator[Done]:
        for name in SECRETS_FILES:
            path = self._folder / name
            if (mode := found_open.get(path)) is not None:
                yield Done(f"{path} had the mode {mode:04o} and has 0600 now: change the passwords in it")

    def _database(self, *, found_in_order: bool) -> Iterator[Done]:
        salvage = Salvage(self._folder, self._clock.wall_s())
        salvage.finish()
        if doubt := salvage.doubt(ended_orderly=found_in_order):
            yield Done(doubt, repaired=False)
        (self._folder / "spool").mkdir(mode=0o700, exist_ok=True)
        try:
            with closing(open_store(self._folder, self._clock)):
                pass
            with closing(sqlite3.connect(self._folder / DATABASE)) as database:
                self._check_rows(database)
        except NewerSchema:
            raise
        except OutboxDamaged as damage:
            yield Done(f"{damage}: {salvage.begin(damage)}")

    def _check_rows(self, database: sqlite3.Connection) -> None:
        """Check what a start does not check. Raises OutboxDamaged."""
        try:
            (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise OutboxDamaged(f"the outbox database of {self._folder} is damaged: {found}")
            for values in database.execute("SELECT * FROM items"):
                row.item(values)
            for (text,) in database.execute("SELECT breaker FROM server_states WHERE breaker IS NOT NULL"):
                json.loads(text)
        except (ValueError, TypeError, KeyError) as error:
            what = f"a row of the outbox database of {self._folder} is not what it should be: {error!r}"
            raise OutboxDamaged(what) from error
        except sqlite3.DatabaseError as error:
            raise OutboxDamaged(f"the outbox database of {self._folder} is damaged: {error}") from error

    def _owed(self, store: SqliteStore, *, hashes: bool) -> Iterator[Done]:
        for item in list(store.unfinished()):
            path = self._folder / "spool" / item.id
            mark = item.fingerprint
            assert mark is not None, "the schema keeps items without bytes dead"
            sha256 = mark.sha256 if hashes else None
            if item.in_store:
                wrong = wrong_content(store.contents([item]).get(item.id), mark.size_bytes, sha256)
            else:
                wrong = wrong_bytes(path, mark.size_bytes, sha256)
            if wrong is None:
                continue
            error = wrong.error(f"{item.source_path!r} ({item.id}) {wrong.what}")
            where = f"; its bytes are {self._quarantine.move(path)}" if os.path.lexists(path) else ""
            dead = replace(item, state=next_state(item.state, Event.GIVE_UP), batch_id=None, last_error=failure(error))
            note = Note(self._clock.wall_s(), Event.GIVE_UP, item.attempts, dead.last_error)
            store.commit([Update(dead, item, note)])
            yield Done(f"{error}; it is dead now{where}")

    def _strays(self, store: SqliteStore) -> Iterator[Done]:
        treat_sources(store)
        for name, _ in sorted(spooled_files(self._folder)):
            path = self._folder / "spool" / name
            state = store.state(id_of_file(name))
            if state == State.DELIVERED.value:
                path.unlink()
                yield Done(f"{str(path)!r} was delivered and lay there still; it is removed")
            elif state not in _OWED_OR_DEAD:
                what = f"was {state} and lay there still; it" if state else "belonged to no item and"
                yield Done(f"{str(path)!r} {what} is {str(self._quarantine.move(path))!r} now")

    def _accounts(self) -> Iterator[Done]:
        with closing(sqlite3.connect(self._folder / DATABASE, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            loss = Loss(self._clock.wall_s(), "its record was missing when the outbox was repaired")
            lost, mistakes = balance_accounts(
                database, strays(database, spooled_files(self._folder)), loss, all_accepted=False
            )
            forgotten = [
                (what, database.execute(f"DELETE FROM {table} WHERE id NOT IN ({known})").rowcount)  # noqa: S608 - below
                for table, what, known in _BELONGINGS
            ]
            database.execute("COMMIT")
        for mistake in mistakes:
            yield Done(f"{mistake}; that is corrected")
        if lost:
            yield Done(f"{counted(lost, 'item')} had no record any more: listed as dropped")
        for what, count in forgotten:
            if count:
                yield Done(f"{counted(count, *what)} belonged to no item: removed")

    def _proof(self) -> Iterator[Done]:
        if broken := Audit(self._folder, self._clock).verify().broken:
            yield Done(f"{broken.what}: a repair would cover that up, so it is left", repaired=False)


_BELONGINGS = (
    ("history", ("line of history", "lines of history"), KNOWN_IDS),
    ("traces", ("protocol trace", "protocol traces"), "SELECT id FROM items"),
)
