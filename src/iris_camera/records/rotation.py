"""When a record file is full: a pure decision.

A file rotates by rows or bytes, so that one upload stays small, and by age, so that a quiet line still
delivers what it saw. The limits are checked after a whole frame was written: a frame is never torn over
two files, and a file may pass a limit by the rows of one frame.
"""

import math
from dataclasses import dataclass
from typing import Literal

Reason = Literal["rows", "size", "age"]


@dataclass(frozen=True, slots=True)
class RotationLimits:
    """How many rows, how many bytes (header included) and how many seconds one record file may hold.

    Raises ValueError for a limit that is not a positive, finite number.
    """

    rows_max: int = 2_000
    size_bytes_max: int = 256 * 1024
    age_s_max: float = 10.0

    def __post_init__(self) -> None:
        for name, value in (
            ("rows_max", self.rows_max),
            ("size_bytes_max", self.size_bytes_max),
            ("age_s_max", self.age_s_max),
        ):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"the rotation limit {name} must be a number above 0, not {value}")


def due(limits: RotationLimits, rows: int, size_bytes: int, age_s: float) -> Reason | None:
    """Why a file of so many rows, bytes and seconds must be finished now; None while it may go on.

    A file without rows is never due: there is nothing to deliver.
    """
    if rows <= 0:
        return None
    if rows >= limits.rows_max:
        return "rows"
    if size_bytes >= limits.size_bytes_max:
        return "size"
    if age_s >= limits.age_s_max:
        return "age"
    return None
