"""Keeps, deletes or moves a source after its delivery is recorded.

It acts only on the file that was accepted, by size and SHA-256: a file of the same name that was written since is
other content. With several destinations it acts after the last delivery, and never if one of them is not delivered.

The commit of the ledger line notes that the source is yet to be treated, and a later one removes that note. So what a
crash in between leaves undone the next start does; it may be repeated.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator

from iris_communication.item import After, State
from iris_communication.outbox.files.ids import first_id, sibling_id
from iris_communication.outbox.store.contract import Store
from iris_communication.outbox.store.ledger import Line
from iris_communication.runtime.safe_files import opened_folder

log = logging.getLogger(__name__)


def after_delivery(store: Store, line: Line, unchanged: Callable[[str], bool] | None = None) -> None:
    """Do what the line of a delivered item says, or log why not. `unchanged` returns whether a path still is the file
    that was accepted; without it the content is compared. Raises OutboxStorageError."""
    recorded = json.loads(line.text)
    action = After(recorded.get("after", After.KEEP.value))
    if action is After.KEEP or not _all_delivered(store, recorded["id"]):
        return
    source = recorded["source"]
    try:
        with _opened(source) as (folder, opened):
            is_still = unchanged(opened) if unchanged else _holds(opened, recorded["size_bytes"], recorded["sha256"])
            if not is_still:
                log.warning("%r changed after it was accepted: it stays in place", source)
                return
            if action is After.MOVE:
                _place(opened, os.path.basename(source), recorded["move_to"])
            os.unlink(os.path.basename(source), dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        pass  # done before, or another program removed it
    except OSError as error:
        log.error("cannot %s the delivered %r: %s; it stays", action.value, source, error.strerror)


@contextlib.contextmanager
def _opened(source: str) -> Iterator[tuple[int, str]]:
    """Its folder, and a path that leads to this very file whatever happens to its name. So the file that is checked,
    linked elsewhere and unlinked is the same, in the same folder. Raises OSError."""
    with opened_folder(os.path.dirname(source) or ".") as folder:
        descriptor = os.open(os.path.basename(source), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            yield folder, f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)


def _all_delivered(store: Store, item_id: str) -> bool:
    first, number = first_id(item_id), 0
    while (state := store.state(sibling_id(first, number))) is not None:
        if state != State.DELIVERED.value:
            return False
        number += 1
    return True


def _holds(opened: str, size_bytes: int, sha256: str) -> bool:
    """Whether the file has this size and SHA-256. Raises OSError."""
    if os.stat(opened).st_size != size_bytes:
        return False
    with open(opened, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _place(opened: str, name: str, folder: str) -> None:
    """Give the file a name in that folder too: its own, or a numbered one where that is taken; nothing is overwritten.
    Of a symbolic link its target is put there: the link itself might lead nowhere from there."""
    os.makedirs(folder, exist_ok=True)
    stem, extension = os.path.splitext(name)
    number = 0
    while True:
        target = os.path.join(folder, f"{stem}.{number}{extension}" if number else name)
        try:
            # Only with a folder to start from does Python call linkat(), which follows /proc's link to the open file.
            with opened_folder(folder) as start:
                os.link(opened, target, src_dir_fd=start, follow_symlinks=True)
        except FileExistsError:
            number += 1
            continue
        except OSError:  # another file system: copied under a temporary name, then renamed
            if os.path.lexists(target):
                number += 1
                continue
            shutil.copy2(opened, target + ".part")
            os.replace(target + ".part", target)
        return
