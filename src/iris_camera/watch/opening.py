"""Opening what lies below a watched folder, step by step and through no link.

Whoever may write there may put a link in the place of a file, or of an inner folder, between two looks. A path is
opened anew at each use and leads wherever they want by then: with our rights, not theirs. So each step is opened from
the one before it, and what a look has opened is what the outbox has to find when it opens the path again (`identity`).
The watched folder itself is named by whoever started the watch, and may be a link.
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
    """What no two files of a machine share while both are there."""
    return facts.st_dev, facts.st_ino
