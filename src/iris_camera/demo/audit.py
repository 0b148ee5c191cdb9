"""What the server's folder really holds, compared with what the recorder wrote.

Each file is hashed when it first appears under a final name, and once more at the end: a file that is ever visible with
other bytes than a finished record's is `partial`, even if it is complete later. An archive counts as its members, each
of which has to be a file that was written.
"""

import hashlib
import threading
from pathlib import Path

from iris_camera.records.csv_file import FinishedCsv
from iris_camera.records.evidence import FinishedPicture
from iris_communication.archive.unpack import ArchiveBroken, verify

LOOK_S = 0.1
ARCHIVE_SUFFIX = ".zip"


class DemoAudit:
    """The recorder calls `written`; a thread of its own watches the folder."""

    def __init__(self, received: Path) -> None:
        self._received = received
        self._written: dict[str, str] = {}  # file name -> SHA-256
        self._seen: set[Path] = set()
        self._partial: set[Path] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="iris-demo-audit", daemon=True)
        self._thread.start()

    def written(self, finished: FinishedCsv | FinishedPicture) -> None:
        self._written[finished.path.name] = finished.sha256

    @property
    def csv_files(self) -> int:
        return sum(name.endswith(".csv") for name in list(self._written))

    @property
    def evidence_files(self) -> int:
        return len(self._written) - self.csv_files

    def finish(self) -> tuple[int, int, int]:
        """End watching and compare everything; returns (delivered and verified, lost, partial)."""
        self._stop.set()
        self._thread.join()
        verified: set[str] = set()
        for path in self._visible():
            whole = self._whole_files(path)
            verified |= whole
            if not whole:
                self._partial.add(path)
        return len(verified), len(self._written.keys() - verified), len(self._partial)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            for path in self._visible():
                if path not in self._seen:
                    self._seen.add(path)
                    if not self._whole_files(path):
                        self._partial.add(path)

    def _visible(self) -> list[Path]:
        """Files under final names: a pick-up job would take these."""
        return [path for path in self._received.rglob("*") if path.is_file() and not path.name.startswith(".")]

    def _whole_files(self, path: Path) -> set[str]:
        """The names of the written files that it holds; none if any byte differs from what was written."""
        found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
        if path.suffix == ARCHIVE_SUFFIX:
            try:
                found = {member.name: member.sha256 for member in verify(path).members}
            except ArchiveBroken:
                return set()
        return set(found) if found.items() <= self._written.items() else set()
