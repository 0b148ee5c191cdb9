"""Opening what lies below a watched folder, step by step and through no link.

A user who may write there may replace a file, or an inner folder, by a link between two uses of its path. The next use
then opens a file of that user's choice, with our rights. So each step is opened from the one before it, and the outbox
has to find the file that was looked at when it opens the path again (`identity`). The watched folder itself is named by
the user who started the watch, and may be a link.
"""

import contextlib
import os
from collections.abc import Iterator

from iris_communication.runtime.safe_files import open_folder, open_no_follow


@contextlib.contextmanager
def opened_folder(root: str, path: str) -> Iterator[int]:
    """A descriptor of the folder at `path` below `root`. Raises OSError, also where a step is a link."""
    descriptor = open_folder(root)
    try:
        for step in filter(None, path.split("/")):
            inner = open_no_follow(step, os.O_RDONLY | os.O_DIRECTORY, inside=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_file(root: str, path: str) -> Iterator[int]:
    """A descriptor of what is at `path` below `root`. Raises OSError, also where it or a step is a link."""
    folder, _, name = path.rpartition("/")
    with opened_folder(root, folder) as inside:
        descriptor = open_no_follow(name, os.O_RDONLY, inside=inside)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def identity_of(facts: os.stat_result) -> tuple[int, int]:
    """What no two files of a machine share while both exist."""
    return facts.st_dev, facts.st_ino
