"""Whether what is owed lies in the spool, and what lies in the spool is owed.

The owner goes on meanwhile, or starts just now, so each oddity is looked at once more before it is told: bytes come
before their row and go after their ledger line. What is younger than SETTLED_S may be on its way in or out: it is
counted, not judged.
"""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from iris_communication.errors import OutboxStorageError
from iris_communication.item import State
from iris_communication.outbox.store.reader import Reader

AT_ONCE = 500  # rows or files of one snapshot: bounds memory and how long the owner's log is held
SETTLED_S = 60.0
OWED = (State.WAITING.value, State.IN_FLIGHT.value)
BEFORE_THE_FIRST = -(2**63)
_PIECE_BYTES = 1024 * 1024


class OutboxProblem(NamedTuple):
    """What is wrong with which thing, and what to do."""

    what: str
    hint: str


class Inventory:
    """`problems()` is gone through once; the counts are whole after that."""

    def __init__(self, reader: Reader, now_s: float, *, hashes: bool) -> None:
        self._reader = reader
        self._spool = os.path.join(reader.folder, "spool")
        self._now_s = now_s  # wall time
        self._hashes = hashes
        self.items = 0  # waiting and in flight
        self.files = 0
        self.unsettled = 0  # files on their way in or out

    def problems(self) -> Iterator[OutboxProblem]:
        """Raises OutboxDamaged, OutboxStorageError."""
        yield from self._items()
        yield from self._files()

    def _items(self) -> Iterator[OutboxProblem]:
        after = BEFORE_THE_FIRST
        while rows := self._owed_after(after):
            for after, item_id, source_path, size_bytes, sha256 in rows:  # noqa: B007 - the next page begins there
                self.items += 1
                wrong = self._wrong_bytes(item_id, size_bytes, sha256)
                if wrong and self._state(item_id)[0] in OWED:
                    yield OutboxProblem(f"{os.fsdecode(source_path)!r} ({item_id}) {wrong.what}", wrong.hint)

    def _owed_after(self, after: int) -> list[Any]:
        return self._reader.read(lambda snapshot: snapshot.all("owed_after", after, AT_ONCE))

    def _wrong_bytes(self, item_id: str, size_bytes: int, sha256: str) -> OutboxProblem | None:
        path = os.path.join(self._spool, item_id)
        again = "queue the source again; the next start, or --repair, gives this one up"
        try:
            facts = os.lstat(path)
            if not stat.S_ISREG(facts.st_mode):
                return OutboxProblem("has something else than a file in the spool", again)
            if facts.st_size != size_bytes:
                return OutboxProblem(f"has {facts.st_size} bytes in the spool, but {size_bytes} were accepted", again)
            if self._hashes and _sha256(path) != sha256:
                hint = "it is not sent as it is: queue the source again once nothing writes to it"
                return OutboxProblem("has other bytes in the spool than were accepted", hint)
        except FileNotFoundError:
            return OutboxProblem("is gone from the spool", again)
        except OSError as error:
            return OutboxProblem(
                f"cannot be read in the spool: {error.strerror}", "correct the permissions, check the disk"
            )
        return None

    def _files(self) -> Iterator[OutboxProblem]:
        try:
            with os.scandir(self._spool) as entries:
                while names := [entry.name for entry in islice(entries, AT_ONCE)]:
                    self.files += len(names)
                    yield from self._strays(names)
        except OSError as error:
            yield OutboxProblem(
                f"the spool {self._spool} cannot be listed: {error.strerror}", "restore it from a backup"
            )

    def _strays(self, names: list[str]) -> Iterator[OutboxProblem]:
        states = self._reader.read(lambda snapshot: [snapshot.all("state", name) for name in map(_stored, names)])
        for name, found in zip(names, states, strict=True):
            state, line = found[0] if found else (None, None)
            if state not in (None, State.DELIVERED.value):
                continue
            path = os.path.join(self._spool, name)
            try:
                changed_s = os.lstat(path).st_ctime
            except FileNotFoundError:
                continue  # on its way out just now
            if self._now_s - max(changed_s, _delivered_s(line)) < SETTLED_S:
                self.unsettled += 1
            elif state is None:
                hint = "--repair puts it into the quarantine; the next start removes it"
                yield OutboxProblem(f"{path!r} belongs to no item", hint)
            else:
                hint = "nothing: the next start, or --repair, removes it"
                yield OutboxProblem(f"{path!r} is delivered and lies there still", hint)

    def _state(self, item_id: str) -> tuple[str | None, str | None]:
        found = self._reader.read(lambda snapshot: snapshot.all("state", item_id))
        return found[0] if found else (None, None)


def secrets_problems(reader: Reader) -> Iterator[OutboxProblem]:
    """Of every file that holds secrets, one being written or put aside included: who else may read it."""
    for name in ("secrets.json", "secrets.new", "secrets.damaged"):
        path = reader.folder / name
        try:
            mode = stat.S_IMODE(os.stat(path).st_mode)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OutboxStorageError(f"cannot look at {path}: {error.strerror}") from error
        if mode & 0o077:
            yield OutboxProblem(
                f"{path} has the mode {mode:04o}: others than its owner may have read the passwords in it",
                f"chmod 600 {path}, then change those passwords",
            )


def _stored(name: str) -> str:
    """A file name as an id: a name that is no UTF-8 is none, and must not stop the question."""
    return os.fsencode(name).decode("utf-8", "replace")


def _delivered_s(line: str | None) -> float:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return float(json.loads(line or "")["delivered_s"])
    return 0.0


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
