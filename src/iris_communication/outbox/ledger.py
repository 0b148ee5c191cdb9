"""Proof of delivery: one line a delivered file, each holding the hash of the line before.

Pure. A line is JSON with sorted keys; its hash is SHA-256 over the previous hash and that text, so that a line that
was removed, added or changed later does not fit its neighbours.
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


def entry(item: Item, delivered: Delivered) -> dict[str, Any]:
    """What is recorded about one delivery; times are Unix seconds, attempts those that failed before. `batch` is the
    archive it travelled in, if it did."""
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
        "durable_s": None if item.durable_s is None else round(item.durable_s, 6),
        "batch": item.batch_id,
    }
    if item.after is not After.KEEP:
        recorded |= {"after": item.after.value, "move_to": item.move_to}
    return recorded


def line(previous_hash: str, recorded: dict[str, Any]) -> Line:
    text = json.dumps(recorded, sort_keys=True, separators=(",", ":"))
    return Line(text, _hash(previous_hash, text))


def first_broken(lines: Iterable[Line]) -> int | None:
    """The index of the first line that does not fit the chain, or None."""
    previous = GENESIS
    for index, (text, found) in enumerate(lines):
        if _hash(previous, text) != found:
            return index
        previous = found
    return None


def _hash(previous: str, text: str) -> str:
    return hashlib.sha256(previous.encode() + text.encode()).hexdigest()
