"""An item as a row of the database, and back.

Paths are bytes, since not every file name is UTF-8. Inode numbers may use all 64 bits; SQLite's integers are signed.
"""

import json
import os
from typing import Any

from iris_communication.errors import Effect
from iris_communication.item import After, Due, Failure, Fingerprint, Item, State, Take

Row = tuple[Any, ...]


def inserted(item: Item) -> Row:
    """The values for `insert_items`, in its order, without the content."""
    mark = item.fingerprint
    source: Row = (None,) * 5
    if mark is not None:
        source = (_signed(mark.device), _signed(mark.inode), mark.size_bytes, mark.mtime_ns, mark.sha256)
    state, *others = mutable(item)
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
        item.after.value,
        os.fsencode(item.move_to),
        *others,
        item.in_store,
    )


def mutable(item: Item) -> Row:
    """The values that `update_item` sets, in its order."""
    return (
        item.state.value,
        item.attempts,
        item.due.boot_id if item.due else None,
        item.due.boot_s if item.due else None,
        item.token,
        " ".join(item.earlier_tokens) or None,
        item.effect.value,
        json.dumps(failure(item.last_error)) if item.last_error else None,
        item.priority,
        item.batch,
        item.batch_id,
        item.ttl_s,
        item.expires.boot_id if item.expires else None,
        item.expires.boot_s if item.expires else None,
        item.durable_s,
    )


def ended(item: Item, at_s: float, reason: str) -> Row:
    """The values for `insert_ended`, in its order."""
    return (
        item.sequence,
        item.id,
        item.state.value,
        item.server_key,
        os.fsencode(item.source_path),
        os.fsencode(item.remote_path),
        item.folder_type,
        item.priority,
        item.fingerprint.size_bytes if item.fingerprint else None,
        item.accepted_s,
        item.attempts,
        item.effect.value,
        at_s,
        reason,
    )


def failure(error: Failure) -> list[str]:
    return [error.error, error.message, error.hint]


def item(row: Row) -> Item:
    """The item of a row with all columns of `items`, in the order of the table."""
    (sequence, item_id, state, server_key, source_path, remote_path, folder_type, project_settings, take) = row[:9]
    device, inode, size_bytes, mtime_ns, sha256, accepted_s, attempts, due_boot_id, due_boot_s = row[9:18]
    token, earlier_token, effect, last_error, priority, batch, batch_id, ttl_s = row[18:26]
    expires_boot_id, expires_boot_s, after_delivery, move_to, durable_s, in_store = row[26:]
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
        earlier_tokens=tuple(str.split(earlier_token or "")),  # TypeError where it is no text: a damaged row
        effect=Effect(effect),
        last_error=Failure(*json.loads(last_error)) if last_error else None,
        priority=priority,
        batch=batch,
        batch_id=batch_id,
        ttl_s=ttl_s,
        expires=Due(expires_boot_id, expires_boot_s) if expires_boot_s is not None else None,
        after=After(after_delivery),
        move_to=os.fsdecode(move_to),
        durable_s=durable_s,
        in_store=bool(in_store),
    )


def _fingerprint(device: int, inode: int, size_bytes: int, mtime_ns: int, sha256: str) -> Fingerprint:
    return Fingerprint(device % 2**64, inode % 2**64, size_bytes, mtime_ns, sha256)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
