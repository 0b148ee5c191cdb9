"""The name of a record file, which says where its rows come from and in which order they were written.

    {camera}_{kind}_{UTC start}_{run}_{sequence}.csv
    line-1_model_20261123T210533.123Z_9f3c01ab_000042.csv

The clock of a camera box may jump back, so the time in a name is for people. What makes a name unique, and
what orders the files of one run of the program, is the run's own random number with a sequence that only
counts up, for each camera and kind.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Kind = Literal["model", "classifier"]
KINDS: tuple[Kind, ...] = get_args(Kind)

OWN_FOLDERS = ("open", "ready", "kept")  # names of folders that records lie in: no camera may be called so
_CAMERA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_RUN = re.compile(r"[0-9a-f]{8}")
_NAME = re.compile(
    r"(?P<camera>[A-Za-z0-9][A-Za-z0-9_-]{0,63})_(?P<kind>model|classifier)_"
    r"(?P<start>[0-9]{8}T[0-9]{6}\.[0-9]{3}Z)_(?P<run>[0-9a-f]{8})_(?P<sequence>[0-9]{6,18})\.csv"
)


@dataclass(frozen=True, slots=True)
class CsvName:
    """What a record file's name says. `started_at` is the UTC time of its first row, to the millisecond."""

    camera: str
    kind: Kind
    started_at: datetime
    run: str
    sequence: int

    def __str__(self) -> str:
        return f"{self.camera}_{self.kind}_{stamp(self.started_at)}_{self.run}_{self.sequence:06d}.csv"


def stamp(time: datetime) -> str:
    """A UTC time as it stands in a name: to the millisecond."""
    return f"{time:%Y%m%dT%H%M%S}.{time.microsecond // 1000:03d}Z"


def read_stamp(text: str) -> datetime | None:
    """The UTC time that a name's stamp says; None for digits that are no date, as 20261399T..."""
    try:
        return datetime.fromisoformat(text)  # a tenth of the time that strptime takes
    except ValueError:
        return None


def new_run() -> str:
    """A number for this run of the program: made once, shared by all its recorders."""
    return secrets.token_hex(4)


def check_camera(camera: str) -> str:
    """The camera's name, unchanged. Raises ValueError if it cannot be part of a file name everywhere."""
    if not _CAMERA.fullmatch(camera):
        raise ValueError(
            f"the camera name {camera!r} cannot be part of a file name: use 1 to 64 letters (a-z, A-Z), "
            "digits, - and _, beginning with a letter or a digit"
        )
    if camera in OWN_FOLDERS:
        raise ValueError(
            f"the camera name {camera!r} is the name of a folder that Iris uses for its records: choose another"
        )
    return camera


def check_run(run: str) -> str:
    """The run's number, unchanged. Raises ValueError unless it is 8 hexadecimal digits in lower case."""
    if not _RUN.fullmatch(run):
        raise ValueError(f"the run number {run!r} must be 8 hexadecimal digits in lower case")
    return run


def parse_name(file_name: str) -> CsvName | None:
    """Read the name of a record file; None for any other name."""
    match = _NAME.fullmatch(file_name)
    if match is None:
        return None
    started_at = read_stamp(match["start"])
    if started_at is None:
        return None
    kind: Kind = "model" if match["kind"] == "model" else "classifier"
    name = CsvName(match["camera"], kind, started_at, match["run"], int(match["sequence"]))
    return name if str(name) == file_name else None


def in_order(names: Iterable[CsvName]) -> list[CsvName]:
    """The names in the order their files should be delivered: run after run, by sequence within a run.

    A run's number is random, so runs are ordered by the start of the first file of each, by sequence: a clock
    that jumps later does not move the run. Within a run the clock does not count.
    """
    names = list(names)
    first_start: dict[str, datetime] = {}
    for name in sorted(names, key=lambda name: (name.sequence, name.started_at)):
        first_start.setdefault(name.run, name.started_at)
    return sorted(names, key=lambda name: (first_start[name.run], name.run, name.sequence, name.kind, name.camera))
