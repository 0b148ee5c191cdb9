"""A JSON file that is replaced whole: whoever reads it sees the old content or the new one, also after a power cut."""

import json
import os
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxStorageError


def replace(path: Path, content: Any) -> None:
    """Its owner alone may read it. Raises OutboxStorageError."""
    temporary = path.with_suffix(".new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)  # a left-over file may have had another mode
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
