"""Copies of delivered files that stay on this machine for a while: put aside in `kept/`, removed when it is time.

A file is put aside before it is handed over, as a second name of the same bytes (a copy where the file system knows no
second names), because handing it over takes the first name away. So `kept/` holds files that are not delivered yet.
To find these, a sweep lists `kept/`, then `ready/` and `open/`, then asks the outbox what it owes. A file only moves on
in this direction, so at any moment one of the answers names it.

When the outbox cannot be asked, nothing is removed. The decision itself is `retention.decide`.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from iris_camera.records.csv_file import KEPT_FOLDER, OPEN_FOLDER, READY_FOLDER
from iris_camera.records.csv_name import parse_name
from iris_camera.records.evidence_name import parse_evidence_name
from iris_camera.records.retention import KeepLimits, KeptFile, Removal, Why, decide, passed
from iris_camera.records.trouble import Trouble
from iris_communication.runtime.amounts import counted, size
from iris_communication.runtime.safe_files import CANNOT_LINK
from iris_communication.runtime.supervised_thread import SupervisedThread

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 30.0
PART = ".part"  # ends the name of a copy that is being made


class LastRemoved(NamedTuple):
    """The latest removal: when (Unix time), how much, and why."""

    at_s: float
    files: int
    bytes: int
    why: str


class KeptStatus(NamedTuple):
    """What is kept now, and what was removed since the start."""

    kept_files: int = 0
    kept_bytes: int = 0
    removed_files: int = 0
    removed_bytes: int = 0
    last_removed: LastRemoved | None = None


def free_bytes(path: Path) -> int:
    """Bytes that may still be written where `path` is, or will be once it is made. Raises OSError."""
    while True:
        try:
            facts = os.statvfs(path)
        except FileNotFoundError:
            if path == path.parent:
                raise
            path = path.parent
        else:
            return facts.f_bavail * facts.f_frsize


def keep(path: Path, kept: Path) -> None:
    """Put a finished file aside in the folder `kept`; harmless when that was done before. Raises OSError."""
    kept.mkdir(parents=True, exist_ok=True)
    target = kept / path.name
    try:
        os.link(path, target)
    except FileExistsError:
        if not target.samefile(path):
            _copy(path, target)
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        _copy(path, target)


def _copy(path: Path, target: Path) -> None:
    """Durable when it returns: once the file is handed over, this copy cannot be made again."""
    part = target.with_name(target.name + PART)
    try:
        shutil.copy2(path, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


class KeptFiles:
    """Sweeps the kept files of all cameras below the records folder `folder`, on a thread of its own once started.

    `owed_names` are the names of files that the outbox holds and has not delivered; it may raise, and may take long.
    """

    def __init__(
        self,
        folder: Path,
        limits: KeepLimits,
        owed_names: Callable[[], Collection[str]],
        *,
        wall: Callable[[], float] = time.time,
        free_bytes: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._owed_names = owed_names
        self._wall = wall
        self._free_bytes = free_bytes
        self._status = KeptStatus()
        self._known: dict[str, KeptFile] = {}  # by path: a kept file does not change any more
        self._trouble = Trouble(log)
        self._closing = threading.Event()
        self._thread = SupervisedThread(self._work, "iris-kept")

    def start(self) -> None:
        self._thread.start()

    def limit(self, limits: KeepLimits) -> None:
        """Use these limits from the next sweep on."""
        self._limits = limits

    def close(self) -> None:
        """Sweep no more; a sweep under way is finished."""
        self._closing.set()
        self._thread.let_end()

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`."""
        return [self._thread.state()]

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended, or never began."""
        return self._thread.has_ended(timeout_s)

    def status(self) -> KeptStatus:
        """As of the latest sweep; never blocks."""
        return self._status

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                self.sweep()
            except Exception:
                log.exception(
                    "the kept files in %s could not be cleaned up; the next clean-up tries again", self._folder
                )
            self._closing.wait(SWEEP_EVERY_S)

    def sweep(self) -> None:
        """Remove delivered files that pass the limits. Raises OSError when a folder cannot be read."""
        files = self._kept()
        free = self._free()
        now_s = self._wall()
        removal = Removal((), ())
        if passed(files, now_s, self._limits, free):
            owed = self._not_delivered()
            if owed is not None:
                removal = decide(files, owed, now_s, self._limits, free)
        self._remove(files, removal, now_s)
        if removal.owed_in_the_way:
            passed_limits = self._text(removal.owed_in_the_way)
            self._trouble.begins("owed", f"no kept file is removed that is not delivered yet, though {passed_limits}")
        else:
            self._trouble.is_over("owed")

    def _kept(self) -> list[KeptFile]:
        """Only files named as ours are counted, and removed."""
        found = {}
        for folder in self._folders(KEPT_FOLDER):
            for entry in _entries(folder):
                file = self._known.get(entry.path) or _kept_file(entry)
                if file is not None:
                    found[entry.path] = file
        self._known = found
        return list(found.values())

    def _not_delivered(self) -> set[str] | None:
        """Names of files that are not handed over, or not delivered; None when that cannot be known."""
        names = {
            entry.name
            for kind in (READY_FOLDER, OPEN_FOLDER)
            for folder in (self._folder / kind, *self._folders(kind))
            for entry in _entries(folder)
        }
        try:
            names.update(self._owed_names())
        except Exception as error:  # noqa: BLE001 - injected; whatever it is, nothing may be removed now
            text = f"no kept file is removed, since it is not known which are delivered: {error!r}"
            self._trouble.begins("unknown", text)
            return None
        self._trouble.is_over("unknown")
        return names

    def _folders(self, name: str) -> list[Path]:
        """The folders of this name of all cameras, configured or not."""
        return [Path(entry.path) / name for entry in _entries(self._folder) if entry.is_dir()]

    def _free(self) -> int:
        try:
            free = self._free_bytes(self._folder)
        except OSError as error:
            self._trouble.begins("free", f"the free space at {self._folder} cannot be found out: {error.strerror}")
            return (
                self._limits.disk_reserve_bytes
            )  # as if the reserve were just free: the limits of bytes and age still count
        self._trouble.is_over("free")
        return free

    def _remove(self, files: Collection[KeptFile], removal: Removal, now_s: float) -> None:
        removed_files, removed_bytes = 0, 0
        for file, _ in removal.remove:
            try:
                file.path.unlink(missing_ok=True)
            except OSError as error:
                self._trouble.begins("removing", f"{file.path} cannot be removed: {error.strerror}")
            else:
                removed_files += 1
                removed_bytes += file.size_bytes
        before = self._status
        last = before.last_removed
        if removed_files:
            why = self._text({why for _, why in removal.remove})
            last = LastRemoved(now_s, removed_files, removed_bytes, why)
            log.info("removed %s, %s: %s", counted(removed_files, "kept file"), size(removed_bytes), why)
        self._status = KeptStatus(
            len(files) - removed_files,
            sum(file.size_bytes for file in files) - removed_bytes,
            before.removed_files + removed_files,
            before.removed_bytes + removed_bytes,
            last,
        )

    def _text(self, whys: Collection[Why]) -> str:
        limits = self._limits
        texts = {
            "bytes": f"more than {size(limits.bytes_max)} were kept",
            "age": f"some were older than {limits.age_s_max} s",
            "disk": f"less than {size(limits.disk_reserve_bytes)} were free on the disk",
        }
        return ", ".join(text for why, text in texts.items() if why in whys)


def _kept_file(entry: os.DirEntry[str]) -> KeptFile | None:
    """None for a file that is not ours, or is gone."""
    series = _series(entry.name)
    if series is None:
        return None
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return KeptFile(Path(entry.path), facts.st_size, facts.st_mtime, *series)


def _series(file_name: str) -> tuple[str, int] | None:
    """The series a file of ours belongs to, and its number in it; None for any other file."""
    if rows := parse_name(file_name):
        return f"{rows.camera}_{rows.kind}_{rows.run}", rows.sequence
    if picture := parse_evidence_name(file_name):
        return f"{picture.camera}_{picture.view}_{picture.run}", picture.sequence
    return None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
