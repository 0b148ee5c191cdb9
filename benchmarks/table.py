"""The result: rows, their medians, the text table and the JSON beside it."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Times(NamedTuple):
    """One run. `cpu_s` is of the client's processes, `server_cpu_s` and `proxy_cpu_s` of those at the other end and in
    between. The last three are what ours measured of themselves: from the first file to the last, the processor time of
    that process alone for each file, and memory; None for others."""

    seconds: float
    cpu_s: float
    server_cpu_s: float = 0.0
    proxy_cpu_s: float = 0.0
    span_s: float | None = None
    own_us: float | None = None
    above_idle_bytes: float | None = None


NOTHING = Times(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client on one work. `note` says why there are no figures; then `times` are 0. `name` is the work's."""

    work: str
    rtt_ms: float
    client: str
    files: int
    size_bytes: int
    times: Times = NOTHING
    note: str | None = None
    name: str = ""
    runs: int = 0

    @property
    def files_per_s(self) -> float:
        return self.files / self.times.seconds if self.times.seconds else 0.0

    @property
    def mb_per_s(self) -> float:
        """In millions of bytes."""
        return self.size_bytes / self.times.seconds / 1e6 if self.times.seconds else 0.0


def median(times: Sequence[Times]) -> Times:
    """The median of each figure for itself."""
    found: list[Any] = [None if None in values else statistics.median(values) for values in zip(*times, strict=True)]
    return Times(*found)


def as_text(rows: Sequence[ClientRow], reference: str) -> str:
    """The table; one column compares with the reference client on the same work."""
    head = _head(reference)
    return aligned([head, *(_cells(row, rows, reference) for row in rows)], left=(0, 2))


def as_markdown(rows: Sequence[ClientRow], reference: str) -> str:
    """The rows of one work, which its heading names."""
    head = _head(reference)[2:]
    lines = [head, ("---",) * len(head), *(_cells(row, rows, reference)[2:] for row in rows)]
    return "\n".join("| " + " | ".join([*line, *[""] * (len(head) - len(line))]) + " |" for line in lines)


def as_json(rows: Sequence[ClientRow]) -> str:
    """The rows that have figures, as a JSON list."""
    measured = [
        {
            "work": row.work,
            "rtt_ms": row.rtt_ms,
            "client": row.client,
            "files": row.files,
            "seconds": round(row.times.seconds, 3),
            "files_per_s": round(row.files_per_s, 1),
            "mb_per_s": round(row.mb_per_s, 2),
            "cpu_s": round(row.times.cpu_s, 3),
        }
        for row in rows
        if row.note is None
    ]
    return json.dumps(measured, indent=2) + "\n"


def aligned(lines: Sequence[Sequence[str]], left: Sequence[int]) -> str:
    """In columns, the first line as their heads; the columns `left` begin at the left. A shorter line is a note, which
    may be as long as it likes."""
    head = lines[0]
    widths = [max(len(line[column]) for line in lines if len(line) == len(head)) for column in range(len(head))]
    texts = []
    for line in lines:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        texts.append("  ".join(cells).rstrip())
    texts.insert(1, "-" * len(texts[0]))
    return "\n".join(texts)


def _head(reference: str) -> tuple[str, ...]:
    figures = ("runs", "files/s", "MB/s", "seconds", "CPU s", "server CPU s", "own CPU us/file", f"to {reference}")
    return ("work", "RTT ms", "client", *figures)


def _cells(row: ClientRow, rows: Sequence[ClientRow], reference: str) -> tuple[str, ...]:
    start = (row.work, f"{row.rtt_ms:g}", row.client)
    if row.note is not None:
        return (*start, row.note)
    ratio = "-"
    for other in rows:
        if (other.work, other.rtt_ms, other.client) == (row.work, row.rtt_ms, reference) and other.times.seconds:
            ratio = f"{row.files_per_s / other.files_per_s:.2f}x"
    times = row.times
    own = "-" if times.own_us is None or row.files == 1 else f"{times.own_us:.0f}"
    cpu = (f"{times.cpu_s:.2f}", f"{times.server_cpu_s:.2f}" if times.server_cpu_s else "-", own)
    files_per_s = f"{row.files_per_s:,.0f}" if row.files > 1 else "-"
    return (*start, str(row.runs), files_per_s, f"{row.mb_per_s:.1f}", f"{times.seconds:.2f}", *cpu, ratio)
