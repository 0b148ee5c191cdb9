"""The figures of a run, and the table of many runs: pure functions.

The figure is how long after its due time a frame was inspected. Due times come from the frame rate alone, so a frame
that waited for anything (the interpreter, a core, the frame before it) is late by all of that.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

FULL = 0.0  # files a second: as fast as they are taken


@dataclass(frozen=True, slots=True)
class Case:
    """`files_per_s` are those wanted; FULL means as many as it takes."""

    frame_rate: float
    uploader: str
    files_per_s: float = FULL

    @property
    def wanted(self) -> str:
        if self.uploader == "none":
            return "-"
        return "full" if self.files_per_s == FULL else f"{self.files_per_s:g}"


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run. Lateness and turns in ms; a turn is the processor time between two polls of the sockets, 0 where
    nothing has such turns; `cpu` is processor seconds a second of the whole process."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    inspected: float
    skipped: float
    files_per_s: float
    cpu: float
    turn_p99_ms: float
    turn_max_ms: float


@dataclass(frozen=True, slots=True)
class CaseRow:
    """`note` says why there are no figures."""

    case: Case
    figures: Figures | None
    note: str = ""


def due_s(start_s: float, frame_rate: float, number: int) -> float:
    """When a frame is due. Counted from the beginning, so that a late frame moves no other."""
    return start_s + number / frame_rate


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed; 0 for none."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def median(runs: Sequence[Figures]) -> Figures:
    """The median of each figure for itself."""
    facts = [asdict(run) for run in runs]
    return Figures(**{name: statistics.median(run[name] for run in facts) for name in facts[0]})


def as_text(rows: Sequence[CaseRow]) -> str:
    """The table; `over` is how much later the p99 is than with no uploader at the same frame rate."""
    heads = ("frames/s", "beside", "wanted", "p50", "p99", "max", "over", "inspected", "skipped", "files/s", "CPU")
    lines = [(*heads, "turn p99", "max"), *(_cells(row, rows) for row in rows)]
    whole = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[column]) for line in whole) for column in range(len(lines[0]))]
    texts = [
        "  ".join(
            cell.ljust(width) if column == 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ).rstrip()
        for line in lines
    ]
    return "\n".join(texts)


def _cells(row: CaseRow, rows: Sequence[CaseRow]) -> tuple[str, ...]:
    start = (f"{row.case.frame_rate:g}", row.case.uploader, row.case.wanted)
    figures = row.figures
    if figures is None:
        return (*start, row.note)
    over = "-"
    for other in rows:
        if other.case == Case(row.case.frame_rate, "none") and other.figures and other is not row:
            over = f"{figures.p99_ms - other.figures.p99_ms:+.1f}"
    late = (f"{figures.p50_ms:.1f}", f"{figures.p99_ms:.1f}", f"{figures.max_ms:.1f}", over)
    turns = (f"{figures.turn_p99_ms:.2f}", f"{figures.turn_max_ms:.2f}") if figures.turn_max_ms else ("-", "-")
    counts = (f"{figures.inspected:.0f}", f"{figures.skipped:.0f}", f"{figures.files_per_s:.0f}")
    return (*start, *late, *counts, f"{figures.cpu:.0%}", *turns)
