"""Salvage: the owner of a damaged outbox goes on with what can be read when it starts, and loses no byte.

The damaged database is read row by row into a new one; then the new one takes its place, and the damaged one lies in
the quarantine with a report of what was found. So a line that runs at night goes on accepting and delivering, and a
person finds in the quarantine everything that could not be brought over.

Order, each step harmless when it is repeated after a crash:
  salvaging.db (removed when it is not whole) -> its report in the quarantine -> salvaged-STAMP.db, by a rename: this
  is the decision -> files whose rows are lost, the old log and the old database into the quarantine
  -> outbox.db, by a rename.

What goes wrong. A disk without room for a second database: nothing is changed, and the start fails with an error that
says so.
"""

import contextlib
import logging
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxDamaged, OutboxStorageError
from iris_communication.outbox.files.quarantine import Quarantine, stamp
from iris_communication.outbox.files.spool import spooled_files
from iris_communication.outbox.recovery.accounts import Loss
from iris_communication.outbox.recovery.log_frames import log_frames
from iris_communication.outbox.recovery.rebuilding import SalvageAccount, rebuild
from iris_communication.outbox.store.put_back import DECIDED
from iris_communication.outbox.store.sqlite import DATABASE, LOG
from iris_communication.runtime.amounts import counted
from iris_communication.runtime.safe_files import sync_folder

log = logging.getLogger(__name__)


class Salvage:
    """Used by the owner of an outbox while nothing has its database open. Methods raise OutboxStorageError."""

    def __init__(self, folder: Path, wall_s: float) -> None:
        self._folder = folder
        self._quarantine = Quarantine(folder)
        self._wall_s = wall_s

    def finish(self) -> None:
        """Carry out a decision from before a crash; does nothing where there is none."""
        try:
            for path in self._folder.glob(f"{DECIDED}*.db"):
                self._change_places(path)
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from error

    def begin(self, damage: OutboxDamaged) -> str:
        """Bring over what can be read; a sentence about the result. Not for a newer schema, whose database is whole."""
        mark = self._quarantine.free_mark(self._wall_s)
        building = self._folder / "salvaging.db"
        reason = f"its record was lost with the damaged database of {mark}; it may have been delivered"
        loss = Loss(self._wall_s, reason)
        try:
            keep = partial(self._keep_content, mark)
            account = rebuild(self._folder / DATABASE, building, dict(spooled_files(self._folder)), loss, keep)
            sentence = _sentence(account, mark)
            self._quarantine.note(f"outbox-{mark}.json", _report(account, str(damage), sentence))
            decided = self._folder / f"{DECIDED}{mark}.db"
            building.rename(decided)
            sync_folder(self._folder)
            self._change_places(decided)
        except (OSError, sqlite3.Error) as error:
            building.unlink(missing_ok=True)
            raise self._refused(error) from error
        return sentence

    def doubt(self, *, ended_orderly: bool) -> str:
        """Why commits may be missing though the database is sound; empty where none is. A log with a wrong checksum is
        copied into the quarantine: SQLite discards everything behind the first wrong frame."""
        path = self._folder / LOG
        try:
            frames = log_frames(path)
            if not frames.is_sound:
                kept = self._quarantine.copy(path, f"outbox-{stamp(self._wall_s)}.db-wal")
                return f"the log {path} is damaged: what was committed behind that place is lost; a copy is {kept}"
        except OSError as error:
            what = f"the log {path} cannot be read or copied: {error.strerror}"
            raise OutboxStorageError(what, hint="correct its permissions or its disk, then start again") from error
        if not ended_orderly and not frames.page_bytes and _size_bytes(self._folder / DATABASE):
            return f"the log {path} is gone, though the process before did not end in good order"
        return ""

    def put_aside(self, item_id: str) -> None:
        """Move a spool file without a row into the quarantine; one that cannot be moved stays where it is."""
        path = self._folder / "spool" / item_id
        try:
            log.error("%s belongs to no item; it was moved to %s", path, self._quarantine.move(path))
        except OSError as error:
            log.error("%s belongs to no item, and cannot be moved aside: %s", path, error.strerror)

    def _keep_content(self, mark: str, sequence: int, content: bytes) -> None:
        self._quarantine.write(f"outbox-{mark}-content-{sequence}", content)

    def _change_places(self, decided: Path) -> None:
        mark = decided.stem.removeprefix(DECIDED)
        for name in _without_an_item(decided, spooled_files(self._folder)):
            self._quarantine.move(self._folder / "spool" / name)
        for name, moved in ((LOG, f"outbox-{mark}.db-wal"), (DATABASE, f"outbox-{mark}.db")):
            if (self._folder / name).exists():
                self._quarantine.move(self._folder / name, moved)
        (self._folder / f"{DATABASE}-shm").unlink(missing_ok=True)
        decided.rename(self._folder / DATABASE)
        sync_folder(self._folder)

    def _refused(self, error: Exception) -> OutboxStorageError:
        what = f"the damaged outbox {self._folder} cannot be brought over: {error}"
        return OutboxStorageError(what, hint="free space on its disk for a second database, then start again")


def _without_an_item(database: Path, files: list[tuple[str, int]]) -> list[str]:
    """Those of the spool's files whose items are neither in `items` nor delivered."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        known = {item_id for (item_id,) in opened.execute("SELECT id FROM items UNION SELECT id FROM ledger")}
    return [name for name, _ in files if name not in known]


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sentence(account: SalvageAccount, mark: str) -> str:
    rows = account.rows
    items, lines = counted(rows["items"], "item"), counted(rows["ledger"], "line")
    text = f"brought over {items}, {rows['ended']} that ended and {lines} of the ledger"
    if account.lost or account.lines_lost:
        lost, lines = counted(account.lost, "item"), counted(account.lines_lost, "line")
        text += f"; the records of {lost} are lost, and {lines} of the ledger"
    if account.contents_lost:
        text += f"; the contents of {counted(account.contents_lost, 'item')} are lost, which are dead now"
    if account.strays:
        strays = counted(len(account.strays), "file without a record lies", "files without a record lie")
        text += f"; {strays} in the quarantine"
    return f"{text}; the damaged database is quarantine/outbox-{mark}.db"


def _report(account: SalvageAccount, damage: str, sentence: str) -> dict[str, Any]:
    return {
        "damage": damage,
        "told": sentence,
        "rows": dict(account.rows),
        "items_lost": account.lost,
        "lines_lost": account.lines_lost,
        "contents_lost": account.contents_lost,
        "files": sorted(account.strays),
        "broken_rows": account.broken,
    }
