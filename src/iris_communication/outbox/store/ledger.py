"""Proof of delivery: one line a delivered file, each holding the hash of the line before.

Pure. A line is JSON with sorted keys; its hash is SHA-256 over the previous hash and that text, so that a line that
was removed, added or changed later does not fit its neighbours.

Lines that are lost with a damaged database leave a gap, and what stood on the last of them cannot be reckoned any more.
So the gap's mark says what the line behind it was when the gap was found, and the chain goes on from there.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from iris_communication.item import After, Delivered, Item

GENESIS = "0" * 64  # what the first line takes for the hash before it


class Line(NamedTuple):
    text: str
    hash: str


class Gap(NamedTuple):
    """Lines are lost between the line before and the line behind."""

    anchor: str  # of the line behind


def entry(item: Item, delivered: Delivered) -> dict[str, Any]:
    """What is recorded about one delivery; times are Unix seconds, attempts those that failed before. `batch` is the
    archive it travelled in, if it did; that lies at `final_path` then, and the size and hash are the file's own."""
    recorded = {
        "id": item.id,
        "sequence": item.sequence,
        "source": item.source_path,
        "server": item.server_key,
        "host_key": delivered.host_key,
        "remote_path": item.remote_path,
        "final_path": delivered.final_path,
        "size_bytes": delivered.size_bytes,
        "sha256": delivered.sha256,
        "accepted_s": round(item.accepted_s, 6),
        "delivered_s": round(delivered.at_s, 6),
        "attempts": item.attempts,
        "folder_type": item.folder_type,
        "priority": item.priority,
        "durable_s": None if item.durable_s is None else round(item.durable_s, 6),
        "batch": item.batch_id,
    }
    if delivered.archive_sha256 is not None:
        recorded |= {"archive_size_bytes": delivered.archive_size_bytes, "archive_sha256": delivered.archive_sha256}
    if item.after is not After.KEEP:
        recorded |= {"after": item.after.value, "move_to": item.move_to}
    return recorded


def line(previous_hash: str, recorded: dict[str, Any]) -> Line:
    text = json.dumps(recorded, sort_keys=True, separators=(",", ":"))
    return Line(text, line_hash(previous_hash, text))


def first_broken(lines: Iterable[Line | Gap]) -> int | None:
    """The index, among the lines, of the first that does not fit the chain, or None."""
    previous, gap, index = GENESIS, None, 0
    for each in lines:
        if isinstance(each, Gap):
            gap = each
            continue
        fits = line_hash(previous, each.text) == each.hash if gap is None else anchor(each) == gap.anchor
        if not fits:
            return index
        previous, gap, index = each.hash, None, index + 1
    return None


def anchor(line: Line) -> str:
    """What a gap's mark says of the line behind it."""
    return line_hash(line.hash, line.text)


def line_hash(previous: str, text: str) -> str:
    return hashlib.sha256(previous.encode() + text.encode()).hexdigest()
