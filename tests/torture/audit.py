"""The sum at the end, by SHA-256 at both ends: what was accepted, what lies on the server, what the ledger says.

- A file is delivered when its bytes lie under its own name, or under the alternative name that a file takes whose own
  name holds something else.
- Partial is what has a final name and is no offered file's bytes, when it was first seen or now.
- A duplicate is a place too many: the same bytes under two final names, or collected twice.
- A file may also be whole on the server without being accepted, when its process was killed before it could write down
  the answer; that is no fault.
- The ledger has exactly one line for each file on the server, true in path, size and hash.
"""

from collections import Counter, defaultdict
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

from tests.torture.account import OfferedFile
from tests.torture.outbox import OutboxAtRest
from tests.torture.watch import TEMP_PREFIX


class Sum(NamedTuple):
    accepted: int
    delivered: int
    lost: list[str]
    partial: list[str]
    duplicates: list[str]
    faults: list[str]  # of ledger, tally and sources

    @property
    def holds(self) -> bool:
        """Duplicates are listed, and do not count: at least once is what is promised."""
        return self.delivered == self.accepted and not (self.lost or self.partial or self.faults)

    def line(self, kills: int) -> str:
        return (
            f"accepted={self.accepted} delivered={self.delivered} lost={len(self.lost)} partial={len(self.partial)} "
            f"duplicates={len(self.duplicates)} kills={kills}"
        )


class ProducerStory(NamedTuple):
    """The accounts, whole."""

    offered: list[OfferedFile]
    accepted: list[OfferedFile]
    refused: list[OfferedFile]


Found = dict[str, list[str]]  # SHA-256 of what has lain under each final name, by its path below `received`


def audit(story: ProducerStory, received: Path, collected: Path, seen_partial: set[str], outbox: OutboxAtRest) -> Sum:
    """`received` and `outbox` are those of a server and an uploader that have come to rest; `collected` is what a
    pick-up job has taken from there (see watch.py), and need not exist."""
    offered, accepted, refused = story
    there = hashes_of(received)
    for folder in collected.iterdir() if collected.is_dir() else ():
        for path, hashes in hashes_of(folder).items():
            there[path] += hashes
    may_be: dict[str, set[str]] = defaultdict(set)
    for offer in offered:
        for name in offer.final_names:
            may_be[name].add(offer.sha256)
    partial = seen_partial | {path for path, found in there.items() if not may_be[path].issuperset(found)}
    places = {
        offer.id: [name for name in offer.final_names for found in there.get(name, ()) if found == offer.sha256]
        for offer in offered
    }
    lost = [offer.id for offer in accepted if not places[offer.id]]
    twice = [offer for offer in offered if len(places[offer.id]) > 1]
    return Sum(
        accepted=len(accepted),
        delivered=len(accepted) - len(lost),
        lost=lost,
        partial=sorted(partial),
        duplicates=[f"{offer.id} arrived as {', '.join(places[offer.id])}" for offer in twice],
        faults=[
            *outbox.faults(),
            *_left(outbox),
            *_ledger_faults(outbox, accepted, received, there),
            *_wrong_lines(outbox, received, there, {offer.sha256 for offer in twice}),
            *(f"{offer.id} was refused, and is on the server" for offer in refused if places[offer.id]),
            *(f"{offer.source} was moved and is still there" for offer in accepted if _stayed(offer)),
        ],
    )


def hashes_of(received: Path) -> Found:
    """Of each file under a final name."""
    found: Found = defaultdict(list)
    for path in received.rglob("*"):
        if path.is_file() and not path.name.startswith(TEMP_PREFIX):
            with path.open("rb") as file:
                found[path.relative_to(received).as_posix()].append(file_digest(file, "sha256").hexdigest())
    return found


def _left(outbox: OutboxAtRest) -> list[str]:
    owed = [f"{item.remote_path} is still {item.state}" for item in outbox.owed]
    owed_ids = {item.id for item in outbox.owed}
    return owed + [f"{item_id} is in the spool without an item" for item_id in sorted(outbox.spooled - owed_ids)]


def _ledger_faults(outbox: OutboxAtRest, accepted: list[OfferedFile], received: Path, there: Found) -> list[str]:
    faults = []
    by_source = defaultdict(list)
    for delivery in outbox.deliveries:
        by_source[delivery["source"]].append(delivery)
        path = _below(received, delivery)
        if delivery["sha256"] not in there.get(path, ()):
            faults.append(f"the ledger says {path} was delivered; the server has something else there, or nothing")
    for offer in accepted:
        lines = by_source[offer.source]
        if [(line["sha256"], line["size_bytes"]) for line in lines] != [(offer.sha256, offer.size_bytes)]:
            faults.append(f"{offer.id} has {len(lines)} lines in the ledger; expected one, with its size and SHA-256")
    return faults


def _wrong_lines(outbox: OutboxAtRest, received: Path, there: Found, twice: set[str]) -> list[str]:
    """A duplicate has one line and two places: it is listed as a duplicate."""
    lines = Counter((_below(received, delivery), delivery["sha256"]) for delivery in outbox.deliveries)
    pairs = [(path, found) for path, hashes in there.items() for found in hashes if found not in twice]
    faults = [
        f"{path} is on the server and in no line of the ledger" for path, found in pairs if not lines[path, found]
    ]
    return faults + [f"{path} has {count} lines in the ledger" for (path, _), count in lines.items() if count > 1]


def _below(received: Path, delivery: dict[str, Any]) -> str:
    return Path(delivery["final_path"]).relative_to(received).as_posix()


def _stayed(offer: OfferedFile) -> bool:
    return offer.take == "move" and Path(offer.source).exists()
