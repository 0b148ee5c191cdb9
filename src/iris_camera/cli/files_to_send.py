"""The files of a command line: each file that was named, and with `recursive` all below a folder that was named.

All names are checked before anything is queued: if one is mistyped, it is reported and nothing is sent.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


class NotToSend(ValueError):
    """One line for each name that cannot be sent."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class FileToSend:
    path: Path
    size_bytes: int
    project: str  # the name of the folder it lies in, or of the folder that was named
    folder: str = ""  # below that folder
    identity: tuple[int, int] | None = None  # device and inode when it was checked


def files_to_send(named: Sequence[Path], *, recursive: bool) -> list[FileToSend]:
    """In the order they were named, each once. Raises NotToSend."""
    found: dict[Path, FileToSend] = {}
    wrong: list[str] = []
    for path in named:
        try:
            for file in _meant(path, recursive=recursive):
                found.setdefault(file.path, file)
        except NotToSend as error:
            wrong += error.reasons
        except OSError as error:
            wrong.append(f"{path}: {error.strerror}")
    if wrong:
        raise NotToSend(wrong)
    return list(found.values())


def _meant(path: Path, *, recursive: bool) -> Iterator[FileToSend]:
    if str(path) == "-":
        raise NotToSend(["-: what comes from another program has no name; write it to a file first"])
    facts = path.stat()
    if path.is_dir():
        if not recursive:
            raise NotToSend([f"{path}: is a folder; --recursive sends the files below it"])
        yield from _below(path.resolve())
    elif not path.is_file():
        raise NotToSend([f"{path}: is no regular file"])
    elif not os.access(path, os.R_OK):
        raise NotToSend([f"{path}: is not readable by this user"])
    else:
        # The file's own name stays as it was given, even if it is a link.
        whole = path.parent.resolve() / path.name
        yield FileToSend(whole, facts.st_size, whole.parent.name, identity=(facts.st_dev, facts.st_ino))


def _below(folder: Path) -> Iterator[FileToSend]:
    """Links to folders are not followed: they may form a loop."""
    any_file = False
    for inner, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        for path in (Path(inner, name) for name in sorted(names)):
            if path.is_file():
                any_file = True
                relative = str(path.parent.relative_to(folder))
                facts = path.stat()
                below = "" if relative == "." else relative
                yield FileToSend(path, facts.st_size, folder.name, below, (facts.st_dev, facts.st_ino))
    if not any_file:
        raise NotToSend([f"{folder}: holds no file"])


def _raise(error: OSError) -> None:
    raise NotToSend([f"{error.filename}: {error.strerror}"])
