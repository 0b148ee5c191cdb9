"""Reads the receiving folder all the time: a file with a final name must be whole at each moment.

Each final name is read once, as soon as it is seen, and compared with what was offered (see account.py): its bytes
were written down before the uploader was asked, so a file that is unknown here is no whole file.

With a folder to collect into it is a pick-up job as well: what it has read it takes away at once, so the name is free
again, and what arrives there next is read like the first.
"""

import os
import threading
import time
from hashlib import sha256
from pathlib import Path

from tests.torture.account import ProducerAccount

LOOK_EVERY_S = 0.02
SETTLED_S = 1.0  # a folder's time of change is coarse: one that has just changed is read again
TEMP_PREFIX = ".iris-"


class ReceivingWatch:
    """Watches while the context lasts. `partial` is what was not whole, by path below the folder; `seen` all names."""

    def __init__(self, received: Path, offered: Path, collected: Path | None = None) -> None:
        self.partial: set[str] = set()
        self.seen: set[str] = set()
        self.looks = 0
        self._received, self._collected = received, collected
        self._collected_count = 0
        self._account = ProducerAccount(offered)
        self._expected: dict[str, set[str]] = {}  # SHA-256 that may be found under a final name
        self._looked_ns: dict[str, int] = {}
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> "ReceivingWatch":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error is not None:
            raise self._error
        self.look()

    def _watch(self) -> None:
        try:
            while not self._over.wait(LOOK_EVERY_S):
                self.look()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for this one
            self._error = error

    def look(self) -> None:
        self.looks += 1
        for run in _folders(self._received):
            for folder in _folders(run.path):
                changed_ns = folder.stat().st_mtime_ns
                if changed_ns + SETTLED_S * 1e9 > self._looked_ns.get(folder.path, 0):
                    self._looked_ns[folder.path] = time.time_ns()
                    self._look_into(Path(folder.path))

    def _look_into(self, folder: Path) -> None:
        place = folder.relative_to(self._received).as_posix()
        new = [name for name in os.listdir(folder) if f"{place}/{name}" not in self.seen]  # noqa: PTH208 - the names
        for name in new:
            if name.startswith(TEMP_PREFIX):
                continue
            path = f"{place}/{name}"
            self.seen.add(path)
            found = sha256((folder / name).read_bytes()).hexdigest()
            if found not in self._expected_under(path):
                self.partial.add(path)
            if self._collected is not None:
                self._collect(path, self._collected)

    def _collect(self, path: str, collected: Path) -> None:
        """Away with it, to a path that ends like its own: `collected/17/run-0001/model/a.csv`."""
        self._collected_count += 1
        taken = collected / str(self._collected_count) / path
        taken.parent.mkdir(parents=True)
        (self._received / path).rename(taken)
        self.seen.discard(path)

    def _expected_under(self, path: str) -> set[str]:
        for offer in self._account.read():
            for name in offer.final_names:
                self._expected.setdefault(name, set()).add(offer.sha256)
        return self._expected.get(path, set())


def _folders(path: Path | str) -> list["os.DirEntry[str]"]:
    with os.scandir(path) as entries:
        return [entry for entry in entries if entry.is_dir()]
