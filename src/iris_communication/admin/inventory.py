"""Whether what is owed is held, in the store or the spool, and what lies in the spool is owed.

The owner works meanwhile, or is just starting, so each finding is checked again before it is reported: bytes come
before their row and go after their ledger line. A file younger than SETTLED_S may be on its way in or out: it is
counted, not reported.
"""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from iris_communication.errors import IrisError, OutboxStorageError, SourceChanged, SpoolMissing
from iris_communication.item import OWED, State
from iris_communication.outbox.files.ids import id_of_file
from iris_communication.outbox.files.servers import SECRETS_FILES
from iris_communication.outbox.store.reader import Reader

FILES_AT_ONCE = 500
SETTLED_S = 60.0
_OWED = tuple(state.value for state in OWED)


class OutboxProblem(NamedTuple):
    """What is wrong with which thing, and what to do."""

    what: str
    hint: str


class WrongBytes(NamedTuple):
    """Why an item's file in the spool is not what was accepted."""

    error: type[IrisError]  # of the item, if it is given up for that
    what: str
    hint: str


class Inventory:
    """Iterate over `problems()` once; the counts are complete after that."""

    def __init__(self, reader: Reader, now_s: float, *, hashes: bool) -> None:
        self._reader = reader
        self._spool = reader.folder / "spool"
        self._now_s = now_s  # wall time
        self._hashes = hashes
        self.items = 0  # waiting and in flight
        self.stored = 0  # of these, whose content is in the database
        self.files = 0
        self.unsettled = 0  # files on their way in or out

    def problems(self) -> Iterator[OutboxProblem]:
        """Raises OutboxDamaged, OutboxStorageError."""
        yield from self._items()
        yield from self._files()

    def _items(self) -> Iterator[OutboxProblem]:
        for sequence, item_id, source_path, size_bytes, sha256, in_store in self._reader.rows("owed_after"):
            self.items += 1
            self.stored += in_store
            compared = sha256 if self._hashes else None
            if in_store:
                wrong = wrong_content(self._content(sequence), size_bytes, compared)
            else:
                wrong = self._wrong_bytes(item_id, size_bytes, compared)
            if wrong and self._state(item_id) in _OWED:
                yield OutboxProblem(f"{os.fsdecode(source_path)!r} ({item_id}) {wrong.what}", wrong.hint)

    def _wrong_bytes(self, item_id: str, size_bytes: int, sha256: str | None) -> WrongBytes | None:
        try:
            return wrong_bytes(self._spool / item_id, size_bytes, sha256)
        except OSError as error:
            what, hint = f"cannot be read in the spool: {error.strerror}", "correct the permissions, check the disk"
            return WrongBytes(OutboxStorageError, what, hint)

    def _files(self) -> Iterator[OutboxProblem]:
        try:
            with os.scandir(self._spool) as entries:
                while names := [entry.name for entry in islice(entries, FILES_AT_ONCE)]:
                    self.files += len(names)
                    yield from self._strays(names)
        except OSError as error:
            yield OutboxProblem(
                f"the spool {self._spool} cannot be listed: {error.strerror}", "restore it from a backup"
            )

    def _strays(self, names: list[str]) -> Iterator[OutboxProblem]:
        states = self._reader.read(lambda snapshot: [snapshot.all("state", name) for name in map(id_of_file, names)])
        for name, found in zip(names, states, strict=True):
            state, line = found[0] if found else (None, None)
            if state not in (None, State.DELIVERED.value):
                continue
            path = self._spool / name
            try:
                changed_s = path.lstat().st_ctime
            except FileNotFoundError:
                continue  # on its way out just now
            if self._now_s - max(changed_s, _delivered_s(line)) < SETTLED_S:
                self.unsettled += 1
            elif state is None:
                hint = "--repair moves it to the quarantine; the next start removes it"
                yield OutboxProblem(f"{str(path)!r} belongs to no item", hint)
            else:
                hint = "nothing to do: the next start, or --repair, removes it"
                yield OutboxProblem(f"{str(path)!r} is delivered and lies there still", hint)

    def _content(self, sequence: int) -> bytes | None:
        content: bytes | None = self._reader.read(lambda snapshot: snapshot.one("content", sequence))
        return content

    def _state(self, item_id: str) -> str | None:
        state: str | None = self._reader.read(lambda snapshot: snapshot.one("state", item_id))
        return state


def wrong_bytes(path: Path, size_bytes: int, sha256: str | None) -> WrongBytes | None:
    """`sha256` None: the content is not compared. Raises OSError."""
    again = "queue the source again; the next start, or --repair, gives this one up"
    try:
        facts = path.lstat()
        if not stat.S_ISREG(facts.st_mode):
            return WrongBytes(SpoolMissing, "is not a regular file in the spool", again)
        if facts.st_size != size_bytes:
            what = f"has {facts.st_size} bytes in the spool, but {size_bytes} were accepted"
            return WrongBytes(SourceChanged, what, again)
        if sha256 is not None:
            with path.open("rb", buffering=0) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                    hint = "Iris does not send it: queue the source again once nothing writes to it"
                    return WrongBytes(SourceChanged, "differs in the spool from what was accepted", hint)
    except FileNotFoundError:
        return WrongBytes(SpoolMissing, "is gone from the spool", again)
    return None


def wrong_content(content: bytes | None, size_bytes: int, sha256: str | None) -> WrongBytes | None:
    """The same of a content that the database keeps; None: it is gone."""
    again = "queue the source again; --repair gives this one up"
    if content is None:
        return WrongBytes(SpoolMissing, "is gone from the database", again)
    if len(content) != size_bytes:
        what = f"has {len(content)} bytes in the database, but {size_bytes} were accepted"
        return WrongBytes(SourceChanged, what, again)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        return WrongBytes(SourceChanged, "differs in the database from what was accepted", again)
    return None


def secrets_problems(reader: Reader) -> Iterator[OutboxProblem]:
    """Files with secrets that other users may read, including one that is being written or was put aside."""
    for name in SECRETS_FILES:
        path = reader.folder / name
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OutboxStorageError(f"cannot examine {path}: {error.strerror}") from error
        if mode & 0o077:
            yield OutboxProblem(
                f"{path} has the mode {mode:04o}: others than its owner may have read the passwords in it",
                f"chmod 600 {path}, then change those passwords",
            )


def _delivered_s(line: str | None) -> float:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return float(json.loads(line or "")["delivered_s"])
    return 0.0
