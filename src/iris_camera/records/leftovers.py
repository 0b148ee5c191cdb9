"""After a crash: what earlier runs left in the records folder, made whole and listed to be queued.

A process that was killed leaves a file in `open/`, whole but for half a row at its end, or a part of a
picture. A power cut may leave less, and in `ready/` too, because records are not fsynced: an empty file, or zero
bytes where data never reached the disk. So both folders are treated alike: a record file is cut to its last whole row,
one without rows and a torn picture are removed, and what lay in `open/` is renamed into `ready/`. Nothing in `kept/`
is queued: it was handed over once. A file that is removed is removed there as well, if it is the same file.

Three rules. A file that is still being written is not touched: neither one of a running run, nor one that another
process holds locked. A file that is not Iris's is not touched. And one bad file does not stop the start: it is left
where it is, and logged with the reason.

Each camera has a folder of its own. `cameras_with_leftovers` names all of them with leftovers, so that those of a
camera that is no longer configured are delivered too. Earlier versions kept all cameras' files in one `open/` and
`ready/`; these are moved into the folder of the camera that their name states.

Every step may be cut short and done again: cutting finds the same last whole row, and a rename happens or does not.
"""

import fcntl
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from iris_camera.records.csv_file import KEPT_FOLDER, OPEN_FOLDER, READY_FOLDER, FinishedCsv, whole_rows
from iris_camera.records.csv_name import CsvName, check_camera, in_order, parse_name
from iris_camera.records.evidence import FinishedPicture, is_whole_jpeg
from iris_camera.records.evidence_name import EvidenceName, parse_evidence_name, pictures_in_order
from iris_camera.records.kept_files import PART
from iris_communication.runtime.amounts import files, size

log = logging.getLogger(__name__)

FinishedFile = FinishedCsv | FinishedPicture
_Name = CsvName | EvidenceName

FOREIGN = "its name is not that of a record file"
BEING_WRITTEN = "another process is still writing it"


class Cut(NamedTuple):
    """A file that lost its torn end: its path now, and how many bytes were no whole row."""

    path: Path
    bytes_lost: int


class LeftAlone(NamedTuple):
    """A file or folder that was not touched, and why."""

    path: Path
    reason: str

    @property
    def is_owed(self) -> bool:
        """Whether it was written to be delivered, and no other process will deliver it."""
        return self.reason not in (FOREIGN, BEING_WRITTEN)


class Leftovers(NamedTuple):
    """What was found: `finished` is to be queued, in this order, pictures first; the rest is to be logged.

    `removed` are record files without a row, torn pictures and half copies in `kept`.
    """

    finished: tuple[FinishedFile, ...]
    cut: tuple[Cut, ...]
    removed: tuple[Path, ...]
    left_alone: tuple[LeftAlone, ...]


def recover(folder: Path, *running: str) -> Leftovers:
    """Make whole what earlier runs left in a camera's folder, and list it; files of the runs `running` are left
    out. Reads every file once.

    A folder that does not exist holds nothing. Never raises for a single file; raises OSError if a folder that exists
    cannot be read.
    """
    left = _recover(folder, lambda name: folder / READY_FOLDER, running)
    with suppress(OSError):  # delivery does not need it, and putting files there reports the error
        return left._replace(removed=left.removed + _drop_half_copies(folder / KEPT_FOLDER, running))
    return left


def cameras_with_leftovers(folder: Path, *running: str) -> tuple[str, ...]:
    """The cameras, configured or not, in whose folders below the records folder `folder` something waits to be
    recovered. What earlier versions left in `folder` itself is moved into its cameras' folders first, and logged.

    Raises OSError if `folder` exists and cannot be read.
    """
    log_found(_recover(folder, lambda name: folder / check_camera(name.camera) / READY_FOLDER, running))
    for old in (OPEN_FOLDER, READY_FOLDER):
        with suppress(OSError):
            (folder / old).rmdir()
    return tuple(path.name for path in _entries(folder) if _is_camera(path.name) and _holds_leftovers(path))


def not_read(folder: Path, error: Exception) -> Leftovers:
    """The result for a folder that cannot be recovered: it is left alone as a whole."""
    if isinstance(error, OSError):
        return Leftovers((), (), (), (LeftAlone(Path(error.filename or folder), error.strerror or str(error)),))
    return Leftovers((), (), (), (LeftAlone(folder, repr(error)),))


def log_found(found: Leftovers) -> None:
    """Log the result, with a line for each file that is not simply queued."""
    if found.finished:
        log.info("%s of earlier runs to queue, from %s", files(len(found.finished)), found.finished[0].path.parent)
    for cut in found.cut:
        log.warning("%s ended in an incomplete row, which was cut off: %s", cut.path, size(cut.bytes_lost))
    for path in found.removed:
        log.info("%s held no row and no whole picture and was removed", path)
    for left in found.left_alone:
        log.warning("%s is left alone: %s", left.path, left.reason)


def left_behind_text(camera: str, alone: Sequence[LeftAlone]) -> str | None:
    if not alone:
        return None
    first, *others = alone
    more = f" (and {len(others)} more)" if others else ""
    what = f"camera {camera}: what earlier runs left is not delivered"
    return f"{what}: {first.path}: {first.reason}{more}; fix that, then restart Iris"


def _recover(folder: Path, ready: Callable[[_Name], Path], running: Collection[str]) -> Leftovers:
    finished: dict[_Name, FinishedFile] = {}
    cut: list[Cut] = []
    removed: list[Path] = []
    left_alone: list[LeftAlone] = []
    # First `ready`: what is moved there from `open` need not be read twice.
    for path in [*_entries(folder / READY_FOLDER), *_entries(folder / OPEN_FOLDER)]:
        name = parse_name(path.name) or parse_evidence_name(path.name)
        if name is None:
            left_alone.append(LeftAlone(path, FOREIGN))
            continue
        if name.run in running:
            continue
        try:
            found = _recover_file(path, name, ready(name))
        except ValueError as error:  # not a record, or of a camera whose name could never be a folder's
            left_alone.append(LeftAlone(path, str(error)))
        except OSError as error:
            left_alone.append(LeftAlone(path, error.strerror or str(error)))
        else:
            if isinstance(found, LeftAlone):
                left_alone.append(found)
            elif found is None:
                removed.append(path)
            else:
                finished[name], bytes_lost = found
                if bytes_lost:
                    cut.append(Cut(finished[name].path, bytes_lost))
    return Leftovers(_ordered(finished), tuple(cut), tuple(removed), tuple(left_alone))


def _ordered(finished: dict[_Name, FinishedFile]) -> tuple[FinishedFile, ...]:
    """Pictures first, then record files."""
    pictures = pictures_in_order(name for name in finished if isinstance(name, EvidenceName))
    rows = in_order(name for name in finished if isinstance(name, CsvName))
    names: list[_Name] = [*pictures, *rows]
    return tuple(finished[name] for name in names)


def _is_camera(name: str) -> bool:
    try:
        check_camera(name)
    except ValueError:
        return False
    return True


def _holds_leftovers(folder: Path) -> bool:
    try:
        return any(_entries(folder / name) for name in (OPEN_FOLDER, READY_FOLDER))
    except NotADirectoryError:
        return False
    except OSError:
        return True  # recovering it will report the error


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _recover_file(path: Path, name: _Name, ready: Path) -> tuple[FinishedFile, int] | LeftAlone | None:
    """Make one file whole, in `ready`: it and the bytes it lost. None: it was worth nothing and was removed."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return LeftAlone(path, "it is not a regular file")
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return LeftAlone(path, BEING_WRITTEN)
        except OSError:
            pass  # some network file systems know no locks
        target = ready / path.name
        if target != path and os.path.lexists(target):
            return LeftAlone(path, f"a file of the same name is in {ready}")
        finished = _made_whole(file, name, target)
        if finished is None:
            _unlink_with_kept(path, ready.parent / KEPT_FOLDER / path.name)
            return None
        bytes_lost = os.fstat(file.fileno()).st_size - finished.size_bytes
        if bytes_lost:
            file.truncate(finished.size_bytes)
        if target != path:
            ready.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    return finished, bytes_lost


def _made_whole(file: BinaryIO, name: _Name, target: Path) -> FinishedFile | None:
    """What of an open file can be believed, as the file it will be; None if nothing. Raises NotARecordError."""
    if isinstance(name, CsvName):
        whole = whole_rows(file)
        return FinishedCsv(target, name.kind, whole.rows, whole.size_bytes, whole.sha256) if whole.rows else None
    data = file.read()
    if not is_whole_jpeg(data):
        return None
    return FinishedPicture(target, "evidence", len(data), hashlib.sha256(data).hexdigest())


def _drop_half_copies(kept: Path, running: Collection[str]) -> tuple[Path, ...]:
    """Remove copies that were being made when the process ended: the originals are still in `ready`."""
    dropped = []
    for path in _entries(kept):
        name = path.name.removesuffix(PART)
        found = parse_name(name) or parse_evidence_name(name)
        if path.name != name and found is not None and found.run not in running:
            with suppress(OSError):
                path.unlink()
                dropped.append(path)
    return tuple(dropped)


def _unlink_with_kept(path: Path, kept: Path) -> None:
    with suppress(FileNotFoundError):
        if kept.samefile(path):
            kept.unlink()
    path.unlink()
