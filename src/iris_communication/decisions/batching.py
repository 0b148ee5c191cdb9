"""When a batch is sent, and how many of the waiting files are in it.

Rules. Files are sent in order, as many as the archive may hold, by count or by bytes, whichever limit comes first. A
file larger than an archive may be travels by itself. A batch that does not fill an archive waits, counted from the
acceptance of its oldest file, so that no file waits longer than `batch_wait_s`; while the uploader drains, none waits.

What goes wrong. The clock that ages are computed by may be set. Forward: an archive is sent early. Back: an age below 0
shows it, and then no file waits either. So a clock that jumps by weeks delays nothing for longer than `batch_wait_s`.
"""

import posixpath
from collections.abc import Sequence
from typing import NamedTuple

from iris_communication.settings import BatchFormat, Rule


class Depart(NamedTuple):
    """The first `files` files are sent now: in one archive, or by itself where it is one."""

    files: int


class Wait(NamedTuple):
    delay_s: float


def batch_queue(kind: BatchFormat | None, remote_path: str) -> str:
    """The name of the queue of files that may travel together: same format, same folder. Empty: the file travels by
    itself, as does one for a folder whose name is not valid text, after which no queue could be named."""
    name = f"{kind}:{posixpath.dirname(remote_path)}"
    is_text = name.encode("utf-8", "ignore").decode() == name
    return name if kind is not None and is_text else ""


def departure(sizes_bytes: Sequence[int], oldest_age_s: float, rule: Rule, *, draining: bool = False) -> Depart | Wait:
    """`sizes_bytes`: sizes of the waiting files, in order; more than `batch_files_max` are not needed. Where no file
    waits: Depart(0)."""
    files, total_bytes = 0, 0
    for size_bytes in sizes_bytes[: rule.batch_files_max]:
        if files and total_bytes + size_bytes > rule.batch_bytes_max:
            return Depart(files)
        files, total_bytes = files + 1, total_bytes + size_bytes
    full = files in (0, rule.batch_files_max) or total_bytes >= rule.batch_bytes_max
    if full or draining or not 0 <= oldest_age_s < rule.batch_wait_s:
        return Depart(files)
    return Wait(rule.batch_wait_s - oldest_age_s)
