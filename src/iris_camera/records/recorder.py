"""Writing what a camera saw: rows into `open/`, finished files into `ready/`.

The rules:
- The rows of a frame are one write to the operating system, so what was recorded survives SIGKILL. Nothing is
  fsynced here: that would stop the inspection for milliseconds, and durability begins with the outbox, which
  copies the bytes it accepts.
- A file comes into being with its first row. The one being written lies in `open/` and is never handed
  over; a finished one is closed, renamed into `ready/`, and only then returned to the caller.
- Size and SHA-256 are counted along, so a finished file need not be read for them.
- A file being written is locked, see `open_file`.

What goes wrong, and what is done: when rows cannot be written (disk full, folder gone or not writable),
those rows are lost and the error says how many; half a row that reached the disk is cut off again, before
anything else is written behind it. Nothing is kept in memory to be written later, because a full disk may
last for days. The next rows are tried again, so recording resumes once there is room. When
a finished file cannot be renamed into `ready/`, no row is lost: it stays the file being written, grows past
its limits, and every further call tries again.
"""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from iris_camera.records.csv_file import (
    OPEN_FOLDER,
    READY_FOLDER,
    ClassifierRow,
    FinishedCsv,
    HeartbeatRow,
    ModelRow,
    PictureRow,
    RowOrigin,
    Rows,
    encode,
    header,
    utc_time,
)
from iris_camera.records.csv_name import KINDS, CsvName, Kind, check_camera, check_run
from iris_camera.records.open_file import open_locked
from iris_camera.records.rotation import RotationLimits, due
from iris_communication.runtime.amounts import counted

_HINTS = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there or raise the quota",
    errno.EFBIG: "raise the limit on the size of files",
    errno.EACCES: "let the user who runs Iris write there",
    errno.EPERM: "let the user who runs Iris write there",
    errno.EROFS: "mount it writable",
    errno.ENOTDIR: "a file is in the way of the folder: move it away",
    errno.EEXIST: "a file is in the way of the folder: move it away",
    errno.EMFILE: "raise the limit on open files",
}


class RecordsError(Exception):
    """Records could not be written or handed over. `rows_lost` rows are gone; 0: all are safe on the disk."""

    def __init__(self, text: str, rows_lost: int = 0) -> None:
        super().__init__(text)
        self.rows_lost = rows_lost


class Recorder:
    """Writes one kind of record of one camera, and belongs to one thread.

    `folder` is the records folder (made when the first row comes), `run` the number all recorders of this
    run of the program share (`csv_name.new_run`). Raises ValueError for a camera name or a run that cannot
    be part of a file name.
    """

    def __init__(self, folder: Path, camera: str, kind: Kind, run: str, limits: RotationLimits) -> None:
        if kind not in KINDS:
            raise ValueError(f"the kind of record must be one of {', '.join(KINDS)}, not {kind!r}")
        self._folder = folder
        self._camera = check_camera(camera)
        self._kind = kind
        self._run = check_run(run)
        self._limits = limits
        self._sequence = 0
        self._current: _OpenCsv | None = None
        self._closed = False

    @property
    def is_writing(self) -> bool:
        """Whether there is a file that rows are being added to."""
        return self._current is not None

    def append(
        self, rows: Rows, wall_s: float, monotonic_s: float, file: str = "", *, now_s: float
    ) -> FinishedCsv | None:
        """Record the rows of one frame, captured at `wall_s` (Unix time) and `monotonic_s`, from the picture `file`.

        `now_s` is the monotonic time of this call, from which the age of a file counts: a frame may be minutes older,
        where a film is inspected slower than it plays.

        Returns the file that was thereby finished, if one was. Raises RecordsError, and ValueError for rows
        of the other kind or after `close()`.
        """
        if self._closed:
            raise ValueError(f"the recorder of {self._camera} was closed and takes no more rows")
        if rows:
            self._write(rows, wall_s, monotonic_s, file, now_s)
        return self.rotate_if_due(now_s)

    def rotate_if_due(self, monotonic_s: float) -> FinishedCsv | None:
        """Finish the file being written if it is full or old enough at `monotonic_s`; to be called now and
        then, so that a line on which nothing moves delivers too. Raises RecordsError if it cannot be handed
        over.
        """
        current = self._current
        if current is None:
            return None
        age_s = monotonic_s - current.started_monotonic_s
        if due(self._limits, current.rows, current.size_bytes, age_s) is None:
            return None
        return self._finish(current)

    def close(self) -> FinishedCsv | None:
        """Finish the file being written, whatever its age, and take no more rows.

        Raises RecordsError if it cannot be handed over; then it lies whole in `open/`, where the next start
        finds it, unless a further call succeeds.
        """
        self._closed = True
        return None if self._current is None else self._finish(self._current)

    def _write(self, rows: Rows, wall_s: float, monotonic_s: float, file: str, now_s: float) -> None:
        row_types = (ModelRow, HeartbeatRow) if self._kind == "model" else (ClassifierRow, PictureRow)
        if not all(isinstance(row, row_types) for row in rows):
            known = " and ".join(f"{row_type.__name__}s" for row_type in row_types)
            raise ValueError(f"a {self._kind} record of {self._camera} takes only {known}")
        data = encode(rows, wall_s, monotonic_s, RowOrigin(self._camera, self._run, file))
        try:
            if self._current is not None:
                self._current.append(data, len(rows))
                return
            name = CsvName(self._camera, self._kind, utc_time(wall_s), self._run, self._sequence + 1)
            data = header(self._kind) + data
            self._current = _OpenCsv.begin(self._folder, name, data, len(rows), now_s)
            self._sequence += 1
        except OSError as error:
            raise self._failure(
                f"cannot write {counted(len(rows), 'row')} into", OPEN_FOLDER, error, len(rows)
            ) from error

    def _finish(self, current: "_OpenCsv") -> FinishedCsv:
        try:
            path = current.hand_over(self._folder / READY_FOLDER)
        except OSError as error:
            raise self._failure(f"cannot move {current.path} into", READY_FOLDER, error) from error
        self._current = None
        return FinishedCsv(path, self._kind, current.rows, current.size_bytes, current.digest.hexdigest())

    def _failure(self, doing: str, folder: str, error: OSError, rows_lost: int = 0) -> RecordsError:
        """What to raise for a failed system call. A file that somebody removed is given up, with its rows."""
        text = f"camera {self._camera} {doing} {self._folder / folder}: {error.strerror or error}"
        if hint := _HINTS.get(error.errno or 0):
            text += f"; {hint}"
        current = self._current
        if current is not None and not os.path.lexists(current.path):
            self._current = None
            rows_lost += current.rows
            text += f"; {current.path} was removed while it was being written, with {counted(current.rows, 'row')}"
        return RecordsError(text, rows_lost)


class _OpenCsv:
    """The file being written: what of it is whole, and how to come back there after a failed write."""

    def __init__(self, path: Path, descriptor: int, started_monotonic_s: float) -> None:
        self.path = path
        self.started_monotonic_s = started_monotonic_s
        self.rows = 0
        self.size_bytes = 0
        self.digest = hashlib.sha256()
        self._descriptor: int | None = descriptor
        self._torn = False

    @classmethod
    def begin(cls, folder: Path, name: CsvName, data: bytes, rows: int, now_s: float) -> "_OpenCsv":
        """Make the file with its header and first rows. If that fails, nothing is left of it."""
        path = folder / OPEN_FOLDER / str(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        current = cls(path, open_locked(path, flags), now_s)
        try:
            current.append(data, rows)
        except OSError:
            with suppress(OSError):
                path.unlink()
            with suppress(OSError):
                current._close()
            raise
        return current

    def append(self, data: bytes, rows: int) -> None:
        descriptor = self._open()
        self._mend(descriptor)
        self._torn = True
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            with suppress(OSError):  # what cannot be cut off now is cut off before the next write
                self._mend(descriptor)
            raise
        self._torn = False
        self.digest.update(data)
        self.rows += rows
        self.size_bytes += len(data)

    def hand_over(self, ready: Path) -> Path:
        """Close the file and rename it into `ready`: its new path. After an error, to be called again."""
        if self._torn:
            self._mend(self._open())
        self._close()
        ready.mkdir(parents=True, exist_ok=True)
        target = ready / self.path.name
        self.path.rename(target)
        return target

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = open_locked(self.path, os.O_WRONLY | os.O_APPEND)
        return self._descriptor

    def _mend(self, descriptor: int) -> None:
        if self._torn:
            os.ftruncate(descriptor, self.size_bytes)
            self._torn = False

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
