"""A JSON file that is replaced whole: whoever reads it sees the old content or the new one, also after a power cut."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxStorageError
from iris_communication.outbox import private


def replace(path: Path, content: Any) -> None:
    """Its owner alone may read it. Raises OutboxStorageError."""
    temporary = path.with_suffix(".new")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # of a crash, with any mode; or a link, which is not written through
        descriptor = private.open_file(temporary, os.O_WRONLY | os.O_EXCL)
        try:
            left = memoryview(json.dumps(content, indent=1).encode())
            while left:  # a disk that is nearly full takes a part and says so
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OutboxStorageError(f"cannot write {path}: {error.strerror}") from error
