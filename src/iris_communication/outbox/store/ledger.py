"""Proof of delivery: one line for each delivered file, each with the hash of the line before.

Pure. A line is JSON with sorted keys; its hash is SHA-256 over the previous hash and that text, so that a line that
was removed, added or changed later does not fit its neighbours.

Lines that are lost with a damaged database leave a gap, and the hash of the last of them cannot be computed any more.
So the gap's mark holds a hash of the line after the gap (its anchor), and the chain goes on from there.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from iris_communication.item import After, Delivered, Item

GENESIS = "0" * 64  # the first line's previous hash


class Line(NamedTuple):
    text: str
    hash: str


class Gap(NamedTuple):
    """Lines are lost between the line before and the line after."""

    anchor: str  # of the line after


def entry(item: Item, delivered: Delivered) -> dict[str, Any]:
    """The record of one delivery; times are Unix seconds, `attempts` counts those that failed. `batch` is the archive
    that the file travelled in, if any; then the archive lies at `final_path`, and size and hash are the file's own."""
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
    """A hash over the whole line after a gap, kept in the gap's mark."""
    return line_hash(line.hash, line.text)


def line_hash(previous: str, text: str) -> str:
    return hashlib.sha256(previous.encode() + text.encode()).hexdigest()
