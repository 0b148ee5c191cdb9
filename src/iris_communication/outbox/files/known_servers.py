"""What was learned of each server, kept in the outbox's folder: for people, and for the next start.

The file is a cache: lost facts are learned again. So a damaged file counts as empty; one that cannot be read or written
just now is logged once, and stops no delivery.

The uploader and the server test write it, each in its own process: the writing process locks the folder, and adds to
what the file says then. The folder is locked and not a lock file, because a lock file would belong to the user who made
it first, and other users could not open it. Waiting for the lock is short, because the uploader waits in the thread
that delivers.
"""

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxStorageError
from iris_communication.outbox.files import json_file, private
from iris_communication.runtime.safe_files import open_folder
from iris_communication.runtime.system_trouble import storage_trouble

log = logging.getLogger(__name__)

FILE_NAME = "known_servers.json"
OF_THE_MOMENT = ("learned_s", "round_trip_ms")  # these differ each time: a change in them alone is not written
PATIENCE_S = 1.0  # the longest wait for another process that writes
PAUSE_S = 0.01


class KnownServers:
    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._is_logged = False

    def all(self) -> dict[str, dict[str, Any]]:
        """By server key."""
        try:
            return self._stored()
        except OSError:
            return {}

    def _stored(self) -> dict[str, dict[str, Any]]:
        """Raises OSError when the file cannot be read now and perhaps can later."""
        try:
            stored = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def of(self, server_key: str) -> dict[str, Any]:
        return _facts(self.all(), server_key)

    def remember(self, server_key: str, **facts: Any) -> None:
        """Add facts to those known of the server; a fact replaces the earlier one of the same name."""
        before = self.of(server_key)
        if all(facts[name] == before.get(name) for name in facts if name not in OF_THE_MOMENT):
            return
        try:
            private.check_folder(self._path.parent)  # in another user's folder our file would stop its owner
            with _held(self._path.parent):
                stored = self._stored()
                json_file.replace(self._path, {**stored, server_key: {**_facts(stored, server_key), **facts}})
        except (OutboxStorageError, OSError) as error:
            if not self._is_logged:
                self._is_logged = True
                log.warning("facts about servers are not saved: %s", error)


def _facts(stored: dict[str, Any], server_key: str) -> dict[str, Any]:
    found = stored.get(server_key)
    return found if isinstance(found, dict) else {}


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """No other process writes meanwhile. Raises OutboxStorageError."""
    try:
        descriptor = open_folder(folder)
    except OSError as error:
        raise storage_trouble(f"cannot open {folder}", error) from error
    try:
        _take(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= until_s:
                raise OutboxStorageError(f"another process has locked {folder}") from error
            time.sleep(PAUSE_S)
        except OSError as error:
            raise storage_trouble(f"cannot lock {folder}", error) from error
        else:
            return
