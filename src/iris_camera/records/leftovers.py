"""After a crash: what earlier runs left in the records folder, made whole and listed to be queued.

A process that was killed leaves a file in `open/`, whole but for half a row at its end. A power cut may
leave less, and in `ready/` too, because records are not fsynced: an empty file, or zero bytes where data
never reached the disk. So both folders are treated alike: each file is cut to its last whole row, a file
without rows is removed, and what lay in `open/` is renamed into `ready/`.

Three things must not happen. A file that somebody still writes is not touched: neither one of the running
run, nor one that another process holds locked. What is not ours is not touched. And one bad file does not
stop the start: it is left where it is, and named with the reason.

Every step may be cut short and done again: cutting finds the same last whole row, and a rename happens or
does not.
"""

import fcntl
import os
import stat
from pathlib import Path
from typing import NamedTuple

from iris_camera.records.csv_file import OPEN_FOLDER, READY_FOLDER, FinishedCsv, NotARecordError, whole_rows
from iris_camera.records.csv_name import CsvName, in_order, parse_name


class Cut(NamedTuple):
    """A file that lost its torn end: its path now, and how many bytes were no whole row."""

    path: Path
    bytes_lost: int


class LeftAlone(NamedTuple):
    """A file that was not touched, and why."""

    path: Path
    reason: str


class Leftovers(NamedTuple):
    """What was found: `finished` is to be queued, in this order; the rest is to be told.

    `removed` are files that held no row.
    """

    finished: tuple[FinishedCsv, ...]
    cut: tuple[Cut, ...]
    removed: tuple[Path, ...]
    left_alone: tuple[LeftAlone, ...]


def recover(folder: Path, run: str) -> Leftovers:
    """Make whole what runs before `run` left in the records folder `folder`, and list it.

    Reads every file there once. A folder that does not exist holds nothing. Never raises for a single file;
    raises OSError if a folder that exists cannot be read.
    """
    finished: dict[CsvName, FinishedCsv] = {}
    cut: list[Cut] = []
    removed: list[Path] = []
    left_alone: list[LeftAlone] = []
    # First `ready`: what is moved there from `open` need not be read twice.
    for path in [*_files(folder / READY_FOLDER), *_files(folder / OPEN_FOLDER)]:
        name = parse_name(path.name)
        if name is None:
            left_alone.append(LeftAlone(path, "its name is not that of a record file"))
            continue
        if name.run == run:
            continue
        try:
            found = _recover_file(path, name, folder / READY_FOLDER)
        except NotARecordError as error:
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
    ordered = tuple(finished[name] for name in in_order(finished))
    return Leftovers(ordered, tuple(cut), tuple(removed), tuple(left_alone))


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _recover_file(path: Path, name: CsvName, ready: Path) -> tuple[FinishedCsv, int] | LeftAlone | None:
    """Make one file whole, in `ready`: it and the bytes it lost. None: it held no row and was removed."""
    if not stat.S_ISREG(path.lstat().st_mode):
        return LeftAlone(path, "it is not a regular file")
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return LeftAlone(path, "another process is still writing it")
        except OSError:
            pass  # some network file systems know no locks
        target = ready / path.name
        if target != path and os.path.lexists(target):
            return LeftAlone(path, f"a file of the same name is in {ready}")
        whole = whole_rows(file)
        if whole.rows == 0:
            path.unlink()
            return None
        bytes_lost = os.fstat(file.fileno()).st_size - whole.size_bytes
        if bytes_lost:
            file.truncate(whole.size_bytes)
        if target != path:
            ready.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    return FinishedCsv(target, name.kind, whole.rows, whole.size_bytes, whole.sha256), bytes_lost
