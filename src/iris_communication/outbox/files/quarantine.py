"""The folder for files of unclear origin or state: kept for a person, and deleted only by a person."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from iris_communication.outbox.files import private
from iris_communication.runtime.safe_files import open_private, sync_folder


class Quarantine:
    """The folder is made when the first file is put there. Every method raises OSError."""

    def __init__(self, outbox: Path) -> None:
        self.folder = outbox / "quarantine"

    def move(self, path: Path, name: str | None = None) -> Path:
        """Move a file there, under a free name; its new path."""
        target = self._free(name or path.name)
        os.rename(path, target)
        sync_folder(self.folder)
        return target

    def copy(self, path: Path, name: str) -> Path:
        target = self._free(name)
        descriptor = open_private(target, os.O_WRONLY | os.O_EXCL)
        with path.open("rb") as source, os.fdopen(descriptor, "wb") as copy:
            shutil.copyfileobj(source, copy)
        return target

    def note(self, name: str, report: Any) -> Path:
        """Write a report of what was found and done, as JSON; durable on return."""
        return self.write(name, json.dumps(report, indent=1).encode("ascii"))

    def write(self, name: str, content: bytes) -> Path:
        """Durable on return."""
        target = self._free(name)
        with os.fdopen(open_private(target, os.O_WRONLY | os.O_EXCL), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.folder)
        return target

    def kept(self) -> list[tuple[str, int, float]]:
        """Name, size in bytes and time of change of each file, oldest first."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    found.append((entry.name, facts.st_size, facts.st_mtime))
        return sorted(found, key=lambda file: file[2])

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.folder / os.path.basename(name))
        with contextlib.suppress(FileNotFoundError):
            sync_folder(self.folder)

    def free_mark(self, wall_s: float) -> str:
        """A time stamp that no salvaged database has in its name yet."""
        mark = first = stamp(wall_s)
        number = 1
        while (self.folder / f"outbox-{mark}.json").exists():
            number += 1
            mark = f"{first}-{number}"
        return mark

    def _free(self, name: str) -> Path:
        private.make_folder(self.folder)
        path, number = self.folder / name, 1
        while path.exists() or path.is_symlink():
            number += 1
            path = self.folder / f"{name}.{number}"
        return path


def stamp(wall_s: float) -> str:
    """A time as part of a file name; also for a clock that is far off."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(wall_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{wall_s:.0f}"
