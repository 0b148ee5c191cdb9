"""An audit of an outbox from outside: whether nothing is lost, what was delivered, whether the ledger is intact.

    for problem in Audit(folder).inspection().problems():
        ...

It only reads, creates nothing, and works the same beside a running uploader, after one was killed and after one has
ended. Long lists are read in pages, so memory does not grow with the outbox.

Every method raises NoOutbox where there is none, OutboxDamaged for a database that cannot be read or has another
schema, OutboxStorageError when the disk refuses.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from iris_communication.admin.inventory import Inventory, OutboxProblem, secrets_problems
from iris_communication.admin.listing import QueueListing, utc
from iris_communication.clock import Clock, SystemClock
from iris_communication.errors import OutboxDamaged
from iris_communication.item import State
from iris_communication.outbox.store.ledger import GENESIS, Gap, Line, first_broken
from iris_communication.outbox.store.reader import BEFORE_THE_FIRST, NoOutbox, Reader, ReadTransaction
from iris_communication.runtime.amounts import counted

__all__ = ["COLUMNS", "Audit", "Balance", "Chain", "Inspection", "LostLines", "NoOutbox", "OutboxProblem"]

COLUMNS = (
    "delivery",  # number of the ledger's line: order of delivery
    "id",
    "sequence",  # order of acceptance
    "source",
    "server",
    "host_key",
    "remote_path",
    "final_path",
    "size_bytes",
    "sha256",
    "accepted",  # UTC, ISO 8601
    "delivered",
    "attempts",  # that failed before
    "durable",  # at the latest
    "batch",  # the archive it travelled in, if it did
    "folder_type",
    "priority",
    "hash",  # of the line, over the one before
)
_RESTORE = "keep the folder and look for what wrote to outbox.db besides the uploader; restore it from a backup"


@dataclass(frozen=True, slots=True)
class Balance:
    """How many items are in each state, as counted in one snapshot and as the tally has it, by the state's value."""

    counted: dict[str, int]
    tallied: dict[str, int]
    last_sequence: int  # every item accepted has a number, from 1 on without a gap
    in_two_states: int

    @property
    def accepted(self) -> int:
        return sum(self.counted.values())

    @property
    def problems(self) -> tuple[OutboxProblem, ...]:
        """None where every item ever accepted is in exactly one state."""
        found = [
            f"{_are(self.counted[state])} {state.replace('_', ' ')}, but the tally has {self.tallied[state]}"
            for state in self.counted
            if self.counted[state] != self.tallied[state]
        ]
        if self.accepted != self.last_sequence:
            given = counted(self.last_sequence, "number was", "numbers were")
            found.append(f"{given} given, but {_are(self.accepted)} there")
        if self.in_two_states:
            found.append(f"{_are(self.in_two_states)} in two states at once")
        return tuple(OutboxProblem(what, _RESTORE) for what in found)


class LostLines(NamedTuple):
    """Where lines of the ledger were lost with a damaged database. The chain goes on behind the gap, and still shows
    whether the first line there was changed since."""

    before: int  # number of the first line behind the gap
    lines: int
    found: str  # when; UTC, ISO 8601


class Chain(NamedTuple):
    """What the ledger's chain holds: its lines, those before the broken one where there is one, and the last hash of
    these. A person who keeps that hash elsewhere can show later that nothing before it was changed."""

    lines: int
    head: str
    broken: OutboxProblem | None
    lost: tuple[LostLines, ...] = ()


class _Row(NamedTuple):
    sequence: int
    id: str
    text: str
    hash: str


class Audit:
    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self._reader = Reader(folder)
        self._clock = clock or SystemClock()
        self._listing = QueueListing(self._reader, self._clock)

    def balance(self) -> Balance:
        def ask(snapshot: ReadTransaction) -> Balance:
            none: dict[str, int] = {state.value: 0 for state in State}
            return Balance(
                counted=none | dict(snapshot.all("counted")),
                tallied=none | dict(snapshot.all("tally")),
                last_sequence=snapshot.one("last_sequence") or 0,
                in_two_states=snapshot.one("in_two_states"),
            )

        return self._reader.read(ask)

    def items(
        self,
        state: str | None = None,
        server: str | None = None,
        folder_type: str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Items in order of acceptance, the delivered ones in order of delivery; `state` None: what is owed or dead,
        "all": every item ever accepted. `server` is a key. Raises InvalidRequest for an unknown state."""
        return self._listing.items(state, server, folder_type, limit)

    def story(self, item_id: str) -> dict[str, Any]:
        """All that is known of one item: its facts, each thing that happened to it (`history`), the line of the ledger
        (`delivery`), the last protocol events of a dead one (`trace`). Raises NoSuchItem."""
        return self._listing.story(item_id)

    def matching(self, beginning: str) -> list[str]:
        """Up to ten ids that begin so; a whole id is alone. Raises NoSuchItem."""
        return self._listing.matching(beginning)

    def server_key(self, word: str) -> str:
        """The key of the server that is meant by a configured name, or by the key itself. Raises NoSuchServer."""
        return self._listing.server_key(word)

    def halted(self) -> list[dict[str, Any]]:
        """The servers that are sent nothing now: `paused` by a person, `held` until a person has corrected what `error`
        says, or neither, and then retried automatically."""
        return self._listing.halted()

    def ledger(self) -> Iterator[dict[str, Any]]:
        """Each delivery in its order, by COLUMNS; the chain is not verified."""
        for facts in self.deliveries():
            yield {column: facts.get(column) for column in COLUMNS}

    def deliveries(self) -> Iterator[dict[str, Any]]:
        """The same with all fields of the lines."""
        for row in self._rows():
            try:
                facts = json.loads(row.text)
                facts |= {"delivery": row.sequence, "hash": row.hash}
                facts |= {name: _utc(facts.get(f"{name}_s")) for name in ("accepted", "durable", "delivered")}
                yield facts
            except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
                what = f"line {row.sequence} of the ledger ({row.id}) cannot be read: {type(error).__name__}"
                raise OutboxDamaged(what) from error

    def verify(self) -> Chain:
        """Verify the chain, and compare its length with the tally, because a chain whose end was cut off is valid."""
        last = _Row(BEFORE_THE_FIRST, "", "", GENESIS)
        mistaken = False
        head, lines = GENESIS, 0
        gaps = self._reader.read(lambda snapshot: snapshot.all("gaps"))
        lost = tuple(LostLines(before, count, _utc(at_s) or "") for before, count, at_s, _ in gaps)
        anchors = {before: anchor for before, _, _, anchor in gaps if anchor is not None}

        def chain() -> Iterator[Line | Gap]:
            nonlocal last, mistaken, head, lines
            for row in self._rows():
                head, last, mistaken = last.hash, row, not _names(row)
                if mistaken:
                    return
                if row.sequence in anchors:
                    yield Gap(anchors[row.sequence])
                yield Line(row.text, row.hash)
                lines += 1

        if first_broken(chain()) is not None or mistaken:
            what = f"line {last.sequence} of the ledger ({last.id}) does not fit the line before it"
            return Chain(lines, head, OutboxProblem(what, _RESTORE), lost)
        expected = self._reader.read(lambda snapshot: snapshot.one("delivered_until", last.sequence))
        cut = None
        if expected != lines:
            deliveries = counted(expected, "delivery", "deliveries")
            cut = OutboxProblem(f"the ledger has {counted(lines, 'line')}, but the tally has {deliveries}", _RESTORE)
        return Chain(lines, last.hash, cut, lost)

    def inspection(self, *, hashes: bool = False) -> "Inspection":
        """A check of everything; with `hashes` every owed file is read whole."""
        return Inspection(self, self._reader, Inventory(self._reader, self._clock.wall_s(), hashes=hashes))

    def _rows(self) -> Iterator[_Row]:
        return (_Row(*row) for row in self._reader.rows("ledger_after"))


class Inspection:
    """Iterate over `problems()` once; the counts are complete after that."""

    def __init__(self, audit: Audit, reader: Reader, inventory: Inventory) -> None:
        self._audit = audit
        self._reader = reader
        self._inventory = inventory
        self._lines = 0

    @property
    def looked_at(self) -> dict[str, int]:
        found = self._inventory
        counts = {"items": found.items, "stored": found.stored, "files": found.files}
        return {**counts, "lines": self._lines, "unsettled": found.unsettled}

    def problems(self) -> Iterator[OutboxProblem]:
        damage = self._reader.read(lambda snapshot: [text for (text,) in snapshot.all("quick_check")])
        yield from (OutboxProblem(f"the database is damaged: {what}", _RESTORE) for what in damage if what != "ok")
        try:
            yield from secrets_problems(self._reader)
            yield from self._audit.balance().problems
            chain = self._audit.verify()
            self._lines = chain.lines
            if chain.broken:
                yield chain.broken
            yield from self._inventory.problems()
        except OutboxDamaged as error:
            yield OutboxProblem(f"the check ends here: {error}", error.hint)


def _names(row: _Row) -> bool:
    """Whether the line is of the item it is filed under."""
    try:
        return bool(json.loads(row.text)["id"] == row.id)
    except (ValueError, TypeError, KeyError):
        return False


def _utc(at_s: float | None) -> str | None:
    """None for lines that were written before this time was recorded."""
    return None if at_s is None else utc(at_s)


def _are(items: int) -> str:
    return counted(items, "item is", "items are")
