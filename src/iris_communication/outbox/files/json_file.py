"""A JSON file that is replaced whole: a reader sees the old content or the new one, also after a power cut."""

import json
from pathlib import Path
from typing import Any

from iris_communication.runtime import safe_files
from iris_communication.runtime.system_trouble import storage_trouble


def replace(path: Path, content: Any) -> None:
    """Only its owner may read it. Raises OutboxStorageError."""
    try:
        safe_files.replace(path, json.dumps(content, indent=1).encode())
    except OSError as error:
        raise storage_trouble(f"cannot write {path}", error) from error
