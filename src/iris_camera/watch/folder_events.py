"""The kernel's events of a folder, as values: inotify without its numbers.

inotify watches one folder, not a tree: of a tree every folder gets a watch, and one that appears is listed by the
caller right after its watch stands, because files may have come into it before. The kernel's queue is bounded; when it
overflows that is reported as `EventsLost`, and the caller lists everything.
"""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from inotify_simple import INotify, flags  # type: ignore[import-untyped]  # ships none; used in this module alone

from iris_camera.watch.completion import Notice
from iris_camera.watch.opening import opened_folder

_NOTICES = (
    (flags.MOVED_TO, Notice.ARRIVED),
    (flags.CLOSE_WRITE, Notice.CLOSED),
    (flags.MODIFY, Notice.WRITTEN),
    (flags.CREATE, Notice.CREATED),
)
_GONE = flags.DELETE | flags.MOVED_FROM
_SELF_GONE = flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT | flags.IGNORED
_MASK = flags.MOVED_TO | flags.CLOSE_WRITE | flags.MODIFY | flags.CREATE | _GONE
_MASK |= flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.DONT_FOLLOW | flags.EXCL_UNLINK


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of the file at `path`, relative to the watched folder. `notice` None: it is gone from there."""

    path: str
    notice: Notice | None


@dataclass(frozen=True, slots=True)
class NewFolder:
    """It is watched from now on; the caller has to list the files in it."""

    path: str


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Some events never came: list everything."""


@dataclass(frozen=True, slots=True)
class FolderGone:
    """The watched folder itself was removed, renamed or unmounted."""


Event = Heard | NewFolder | EventsLost | FolderGone


class FolderEvents:
    """The events of `folder`, and with `recursive` of every folder below it. Raises OSError where it cannot be watched:
    ENOSPC and EMFILE are the system's limits (fs.inotify.max_user_watches, max_user_instances)."""

    def __init__(self, folder: Path, *, recursive: bool) -> None:
        self._folder = os.fspath(folder)
        self._recursive = recursive
        self._paths: dict[int, str] = {}  # of each watch, relative; "" is the folder itself
        self._inotify = INotify()
        try:
            # The folder itself may be named by a link; below it links are not followed.
            self._root = self._inotify.add_watch(self._folder, _MASK & ~flags.DONT_FOLLOW)
            self._paths[self._root] = ""
            if recursive:
                self._watch_below("")
        except BaseException:
            self._inotify.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._inotify.close()

    def read(self, timeout_s: float) -> list[Event]:
        """The events so far; waits at most `timeout_s` for the first."""
        raw = self._inotify.read(timeout=max(0, round(timeout_s * 1000)))
        return [event for each in raw for event in self._events_of(each.wd, each.mask, each.name)]

    def _events_of(self, watch: int, mask: int, name: str) -> Iterator[Event]:
        if mask & flags.Q_OVERFLOW:
            yield EventsLost()
            return
        if watch not in self._paths:
            return  # of a watch that was removed
        if mask & _SELF_GONE:
            if watch == self._root:
                yield FolderGone()
            else:
                del self._paths[watch]
            return
        path = joined(self._paths[watch], name)
        if mask & flags.ISDIR:
            yield from self._folder_events(path, mask)
        elif mask & _GONE:
            yield Heard(path, None)
        else:
            notice = next((notice for flag, notice in _NOTICES if mask & flag), None)
            if notice is not None:
                yield Heard(path, notice)

    def _folder_events(self, path: str, mask: int) -> Iterator[Event]:
        if not self._recursive:
            return
        if mask & (flags.CREATE | flags.MOVED_TO):
            for each in (path, *self._watch_below(path)) if self._watch(path) else ():
                yield NewFolder(each)
        elif mask & flags.MOVED_FROM:
            self._forget_below(path)

    def _watch(self, path: str) -> bool:
        try:
            watch = self._inotify.add_watch(joined(self._folder, path), _MASK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                return False  # gone again, or not readable for us
            raise
        self._paths[watch] = path
        return True

    def _watch_below(self, path: str) -> list[str]:
        return [each for each in folders_below(self._folder, path) if self._watch(each)]

    def _forget_below(self, path: str) -> None:
        """Remove the watches of a folder that was moved away: they would report wrong paths."""
        for watch, at in list(self._paths.items()):
            if at == path or at.startswith(f"{path}/"):
                del self._paths[watch]
                try:
                    self._inotify.rm_watch(watch)
                except OSError as error:
                    if error.errno != errno.EINVAL:  # the kernel removed it already
                        raise


class NoEvents:
    """In place of events where the kernel gives none."""

    def __init__(self, wait: Callable[[float], object]) -> None:
        self._wait = wait

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def read(self, timeout_s: float) -> list[Event]:
        self._wait(timeout_s)
        return []


def joined(folder: str, name: str) -> str:
    """A path as text: of a tree of a hundred thousand names each is made a few times."""
    return f"{folder}/{name}" if folder and name else folder or name


def folders_below(root: str, path: str) -> Iterator[str]:
    """Relative to `root`, outer ones first; a folder that cannot be read is left out, links are not followed."""
    try:
        with opened_folder(root, path) as folder, os.scandir(folder) as entries:
            inner = [joined(path, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for each in inner:
        yield each
        yield from folders_below(root, each)
