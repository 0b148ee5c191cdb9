"""What was learned of each server, remembered in the outbox's folder: for people, and for the next start.

It is a memory and not a record: what is lost of it is learned again, so a file that cannot be read counts as empty, and
one that cannot be written is said once and does not keep anything from being delivered.
"""

import json
import logging
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxStorageError
from iris_communication.outbox import json_file

log = logging.getLogger(__name__)

FILE_NAME = "known_servers.json"
OF_THE_MOMENT = ("learned_s", "round_trip_ms")  # what differs each time is no news


class KnownServers:
    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._said = False

    def all(self) -> dict[str, dict[str, Any]]:
        """By server key."""
        try:
            stored = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def of(self, server_key: str) -> dict[str, Any]:
        found = self.all().get(server_key)
        return found if isinstance(found, dict) else {}

    def remember(self, server_key: str, **facts: Any) -> None:
        """Added to what is known of it, in place of what was known under the same names."""
        stored = self.all()
        before = self.of(server_key)
        known = {**before, **facts}
        if all(known[name] == before.get(name) for name in known if name not in OF_THE_MOMENT):
            return
        try:
            json_file.replace(self._path, {**stored, server_key: known})
        except OutboxStorageError as error:
            if not self._said:
                self._said = True
                log.warning("what is learned of servers is not remembered: %s", error)
