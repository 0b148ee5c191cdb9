"""How many finished files no outbox has accepted yet, counted from outside: nothing is opened or moved."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from iris_camera.records.csv_file import READY_FOLDER
from iris_camera.records.csv_name import parse_name
from iris_camera.records.evidence_name import parse_evidence_name


def waiting_in(folder: Path) -> int:
    """Below the records folder `folder`, of every camera; a folder that cannot be read counts as empty."""
    return sum(
        parse_name(name) is not None or parse_evidence_name(name) is not None
        for camera in _names(folder)
        for name in _names(folder / camera / READY_FOLDER)
    )


def _names(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        yield from (path.name for path in folder.iterdir())
