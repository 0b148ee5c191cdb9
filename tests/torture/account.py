"""What the producer says it did, one line a file, in append-only files that no kill can take back.

`offered` is written before the uploader is asked, `accepted` after it has said True, `refused` after it has said False.
A process that is killed before the answer is written down leaves a file that may or may not have been accepted: on the
server it is whole, but no account owes it.

A line begins and ends with a newline: the kernel may cut even a single write short when the process is killed, and
what is cut off must not glue itself to the next process's first line.
"""

import json
import os
from pathlib import Path, PurePosixPath
from typing import NamedTuple

OFFERED, ACCEPTED, REFUSED = "offered", "accepted", "refused"


class OfferedFile(NamedTuple):
    id: str
    name: str
    size_bytes: int
    sha256: str
    source: str  # its path when it was handed over; no two files share one
    place: str  # the folder on the server, below the one that receives
    take: str

    @property
    def final_names(self) -> tuple[str, str]:
        """Below the folder that receives: under its own name, or beside what holds that name already."""
        name = PurePosixPath(self.name)
        return f"{self.place}/{name}", f"{self.place}/{name.stem}.{self.sha256[:8]}{name.suffix}"


def open_account(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def append(account: int, offer: OfferedFile) -> None:
    os.write(account, f"\n{json.dumps(offer._asdict())}\n".encode())


class ProducerAccount:
    """One account, read while it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def read(self) -> list[OfferedFile]:
        """The lines that are new since the last call, in order."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(newline)
        return [offer for line in whole.splitlines() if (offer := _offer(line)) is not None]


def _offer(line: bytes) -> OfferedFile | None:
    """None for an empty line, and for one that a kill cut short: JSON without its closing brace is none."""
    try:
        return OfferedFile(**json.loads(line))
    except ValueError:
        return None
