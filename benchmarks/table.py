"""The result: rows, their medians, the text table and the JSON beside it."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Row:
    """One client on one work. `note` says why there are no figures; then they are 0."""

    work: str
    rtt_ms: float
    client: str
    files: int
    size_bytes: int
    seconds: float = 0.0
    cpu_s: float = 0.0
    note: str | None = None

    @property
    def files_per_s(self) -> float:
        return self.files / self.seconds if self.seconds else 0.0

    @property
    def mb_per_s(self) -> float:
        """In millions of bytes."""
        return self.size_bytes / self.seconds / 1e6 if self.seconds else 0.0


class Times(NamedTuple):
    seconds: float
    cpu_s: float


def median(times: Sequence[Times]) -> Times:
    """The median of each figure for itself."""
    return Times(statistics.median(time.seconds for time in times), statistics.median(time.cpu_s for time in times))


def as_text(rows: Sequence[Row], reference: str) -> str:
    """The table; the last column compares files a second with the reference client on the same work."""
    head = ("work", "RTT ms", "client", "files/s", "MB/s", "seconds", "CPU s", f"to {reference}")
    lines = [head, *(_cells(row, rows, reference) for row in rows)]
    widths = [max(len(line[column]) for line in lines if len(line) == len(head)) for column in range(len(head))]
    texts = []
    for line in lines:
        cells = [
            cell.ljust(width) if column in (0, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        texts.append("  ".join(cells).rstrip())
    texts.insert(1, "-" * max(map(len, texts[:1])))
    return "\n".join(texts)


def as_json(rows: Sequence[Row]) -> str:
    """The rows that have figures, as a JSON list."""
    measured = [
        {
            "work": row.work,
            "rtt_ms": row.rtt_ms,
            "client": row.client,
            "files": row.files,
            "seconds": round(row.seconds, 3),
            "files_per_s": round(row.files_per_s, 1),
            "mb_per_s": round(row.mb_per_s, 2),
            "cpu_s": round(row.cpu_s, 3),
        }
        for row in rows
        if row.note is None
    ]
    return json.dumps(measured, indent=2) + "\n"


def _cells(row: Row, rows: Sequence[Row], reference: str) -> tuple[str, ...]:
    start = (row.work, f"{row.rtt_ms:g}", row.client)
    if row.note is not None:
        return (*start, row.note)
    ratio = "-"
    for other in rows:
        if (other.work, other.rtt_ms, other.client) == (row.work, row.rtt_ms, reference) and other.seconds:
            ratio = f"{row.files_per_s / other.files_per_s:.2f}x"
    figures = (f"{row.files_per_s:,.0f}", f"{row.mb_per_s:.1f}", f"{row.seconds:.2f}", f"{row.cpu_s:.2f}")
    return (*start, *figures, ratio)
