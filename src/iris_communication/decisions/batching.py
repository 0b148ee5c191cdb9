"""When a batch goes, and how many of the files that wait are in it.

Rules. They go in order, as many as the archive may hold: full is full by count or by bytes, whichever comes first. A
file that is larger than an archive may be goes by itself. A batch that does not fill an archive waits, counted from
the acceptance of the oldest, so that nobody waits longer than `batch_wait_s`; while the uploader drains, nobody waits.

What goes wrong. The clock by which ages are told may be set. Forward: an archive goes early. Back: an age below 0 is
what tells, and then nobody waits either. So a clock that jumps weeks holds nothing up for longer than `batch_wait_s`.
"""

import posixpath
from collections.abc import Sequence
from typing import NamedTuple

from iris_communication.settings import BatchFormat, Rule


class Depart(NamedTuple):
    """So many of the first go now: in one archive, or the one by itself."""

    files: int


class Wait(NamedTuple):
    delay_s: float


def batch_queue(kind: BatchFormat | None, remote_path: str) -> str:
    """Of the files that may travel with this one: same format, same folder. Empty: it goes by itself, as does what
    goes into a folder whose name is no text, which no queue could be named after."""
    name = f"{kind}:{posixpath.dirname(remote_path)}"
    is_text = name.encode("utf-8", "ignore").decode() == name
    return name if kind is not None and is_text else ""


def departure(sizes_bytes: Sequence[int], oldest_age_s: float, rule: Rule, *, draining: bool = False) -> Depart | Wait:
    """`sizes_bytes`: of what waits, in the order it goes; more than `batch_files_max` need not be told. Nothing
    waiting: Take(0)."""
    files, total_bytes = 0, 0
    for size_bytes in sizes_bytes[: rule.batch_files_max]:
        if files and total_bytes + size_bytes > rule.batch_bytes_max:
            return Depart(files)
        files, total_bytes = files + 1, total_bytes + size_bytes
    full = files in (0, rule.batch_files_max) or total_bytes >= rule.batch_bytes_max
    if full or draining or not 0 <= oldest_age_s < rule.batch_wait_s:
        return Depart(files)
    return Wait(rule.batch_wait_s - oldest_age_s)
