"""What becomes of a source after its delivery is recorded: kept, deleted, or moved to another folder.

Only if it is still the file that was accepted, by size and SHA-256: a file of the same name that was written since is
somebody's work. Of several destinations the last one to arrive does it, and none if one of them never will.

It happens between the ledger line and the removal of the spool file, and harms nobody when it is repeated: so a crash
in between is made good at the next start by what lies in the spool and is delivered.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable

from iris_communication.item import After, State
from iris_communication.outbox.ids import first_id, sibling_id
from iris_communication.outbox.ledger import Line
from iris_communication.outbox.store import Store

log = logging.getLogger(__name__)


def after_delivery(store: Store, line: Line, unchanged: Callable[[str], bool] | None = None) -> None:
    """Do what the line of a delivered item says, or log why not. `unchanged` tells whether a path still is the file
    that was accepted; without it its content does. Raises OutboxStorageError."""
    recorded = json.loads(line.text)
    action = After(recorded.get("after", After.KEEP.value))
    if action is After.KEEP or not _all_delivered(store, recorded["id"]):
        return
    source = recorded["source"]
    try:
        is_still = unchanged(source) if unchanged else _holds(source, recorded["size_bytes"], recorded["sha256"])
        if not is_still and os.path.exists(source):
            log.warning("%r was changed after it was accepted: it stays where it is", source)
        elif not is_still:
            pass  # done before, or somebody was faster
        elif action is After.DELETE:
            os.unlink(source)
        else:
            _move(source, recorded["move_to"])
    except OSError as error:
        log.error("cannot %s the delivered %r: %s; it stays", action.value, source, error.strerror)


def _all_delivered(store: Store, item_id: str) -> bool:
    first, number = first_id(item_id), 0
    while (state := store.state(sibling_id(first, number))) is not None:
        if state != State.DELIVERED.value:
            return False
        number += 1
    return True


def _holds(source: str, size_bytes: int, sha256: str) -> bool:
    """Raises OSError."""
    if not os.path.exists(source) or os.stat(source).st_size != size_bytes:
        return False
    with open(source, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _move(source: str, folder: str) -> None:
    """Into the folder, under its name; beside another file of that name under a numbered one. Never over anything."""
    os.makedirs(folder, exist_ok=True)
    stem, extension = os.path.splitext(os.path.basename(source))
    number = 0
    while True:
        target = os.path.join(folder, f"{stem}.{number}{extension}" if number else os.path.basename(source))
        try:
            os.link(source, target)
        except FileExistsError:
            number += 1
            continue
        except OSError:  # another file system: it is copied under a name of its own, then shown
            if os.path.exists(target):
                number += 1
                continue
            shutil.copy2(source, target + ".part")
            os.replace(target + ".part", target)
        os.unlink(source)
        return
