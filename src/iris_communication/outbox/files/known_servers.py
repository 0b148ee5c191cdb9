"""What was learned of each server, remembered in the outbox's folder: for people, and for the next start.

It is a memory and not a record: what is lost of it is learned again, so a damaged file counts as empty, and one that
cannot be read or written just now is said once and does not keep anything from being delivered.

The uploader and a trial write it, each in a process of its own: whoever writes holds the folder, and adds to what the
file says then. It is the folder that is locked, because a file for that would lie there as its first maker's, whom
others may not be; and nobody waits for it long, because the uploader delivers in the thread that remembers.
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
OF_THE_MOMENT = ("learned_s", "round_trip_ms")  # what differs each time is no news
PATIENCE_S = 1.0  # with another process that writes
PAUSE_S = 0.01


class KnownServers:
    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._said = False

    def all(self) -> dict[str, dict[str, Any]]:
        """By server key."""
        try:
            return self._stored()
        except OSError:
            return {}

    def _stored(self) -> dict[str, dict[str, Any]]:
        """Raises OSError for what may be read another time."""
        try:
            stored = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def of(self, server_key: str) -> dict[str, Any]:
        return _facts(self.all(), server_key)

    def remember(self, server_key: str, **facts: Any) -> None:
        """Added to what is known of it, in place of what was known under the same names."""
        before = self.of(server_key)
        if all(facts[name] == before.get(name) for name in facts if name not in OF_THE_MOMENT):
            return
        try:
            private.check_folder(self._path.parent)  # a file of ours in there would be in its owner's way
            with _held(self._path.parent):
                stored = self._stored()
                json_file.replace(self._path, {**stored, server_key: {**_facts(stored, server_key), **facts}})
        except (OutboxStorageError, OSError) as error:
            if not self._said:
                self._said = True
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
