"""Lists the files in a folder, for changes without an event: at the start, after lost events, without inotify."""

import errno
import os
from collections.abc import Callable, Iterator

from iris_camera.watch.completion import Version
from iris_camera.watch.file_state import version_of
from iris_camera.watch.folder_events import folders_below, joined
from iris_camera.watch.opening import opened_folder

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # or something else by now


def files_in(
    root: str, path: str = "", *, recursive: bool, closed: Callable[[str, OSError], None] = lambda inner, error: None
) -> Iterator[tuple[str, Version]]:
    """Regular files with their paths relative to `root`; links are left out. Raises OSError where `path` itself cannot
    be listed; inner folders that cannot are reported to `closed`, files that vanish meanwhile are left out."""
    yield from _files_of(root, path)
    if recursive:
        for inner in folders_below(root, path):
            try:
                yield from _files_of(root, inner)
            except OSError as error:
                if error.errno not in _GONE:
                    closed(inner, error)


def _files_of(root: str, path: str) -> Iterator[tuple[str, Version]]:
    with opened_folder(root, path) as folder, os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_file(follow_symlinks=False):
                    yield joined(path, entry.name), version_of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue
