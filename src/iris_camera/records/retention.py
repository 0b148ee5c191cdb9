"""Which kept files must go: a pure decision.

A kept file is a copy, on this machine, of a file that was handed over to be delivered. The oldest goes first, when
what is kept passes its bytes, when a file passes its age, or when the disk has less left than its reserve. A file that
is still owed to the server is never removed, whatever the limits say: then the limits stay passed, and that is logged.

Age, and a clock that jumps. The age of a file is the time between its last write and now, both by the machine's
clock, and that clock may jump: a box without a battery starts in 1970 and is put right by the network, or is set weeks
ahead by mistake. If age were plainly now minus then, one jump forward would remove everything that was kept. So:
- Age is counted from file to file, from the newest back, and each silence between two files (and between the newest
  and now) counts for a quarter of the age limit at most: a silence cannot be distinguished from a jump. A jump
  forward of any size thereby makes files a quarter of the limit older, once, and not more. The price: after a silence
  longer than that, files stay longer than the limit says, until the bytes push them out.
- Files of one series (a camera's files of one kind in one run, numbered as they were made) never become younger or
  older than their numbers say: one that was made after a jump back counts as made when the one before it was. Files
  from the future have no age.
Nothing is stored over a restart for this, so nothing stored can be wrong. One case stays wrong: a whole run under a
wrong clock is in its place by that clock among the other runs.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

Why = Literal["bytes", "age", "disk"]

SILENCE_SHARE_MAX = 0.25  # of the age limit: what one silence, or one jump of the clock, counts for at most


class KeepLimits(NamedTuple):
    """`age_s_max` None: age alone removes nothing."""

    bytes_max: int
    age_s_max: float | None
    disk_reserve_bytes: int


class KeptFile(NamedTuple):
    """`written_s` is the Unix time of its last write; `sequence` its number in its series."""

    path: Path
    size_bytes: int
    written_s: float
    series: str
    sequence: int


class Removal(NamedTuple):
    """`remove` in this order, each with why. `owed_in_the_way`: which limits stay passed, because what is left is not
    delivered yet."""

    remove: tuple[tuple[KeptFile, Why], ...]
    owed_in_the_way: tuple[Why, ...]


def passed(files: Collection[KeptFile], now_s: float, limits: KeepLimits, free_bytes: int) -> bool:
    """Whether anything would have to go if nothing were owed: asking what is owed costs, and is mostly not needed."""
    return bool(decide(files, frozenset(), now_s, limits, free_bytes).remove)


def decide(
    files: Iterable[KeptFile], owed: Collection[str], now_s: float, limits: KeepLimits, free_bytes: int
) -> Removal:
    """What to remove of `files` at the Unix time `now_s`. `owed` are names of files that are not delivered."""
    ordered = _oldest_first(files)
    too_many_bytes = sum(file.size_bytes for file in ordered) - limits.bytes_max
    missing_bytes = limits.disk_reserve_bytes - free_bytes
    remove: list[tuple[KeptFile, Why]] = []
    in_the_way: set[Why] = set()
    for file, age_s in zip(ordered, _ages_s(ordered, now_s, limits.age_s_max), strict=True):
        why: Why
        if too_many_bytes > 0:
            why = "bytes"
        elif missing_bytes > 0:
            why = "disk"
        elif limits.age_s_max is not None and age_s > limits.age_s_max:
            why = "age"
        else:
            break  # the files that follow are younger
        if file.path.name in owed:
            in_the_way.add(why)
            continue
        remove.append((file, why))
        too_many_bytes -= file.size_bytes
        missing_bytes -= file.size_bytes
    still_passed: dict[Why, bool] = {"bytes": too_many_bytes > 0, "disk": missing_bytes > 0, "age": True}
    return Removal(
        tuple(remove), tuple(why for why in ("bytes", "age", "disk") if why in in_the_way and still_passed[why])
    )


def _oldest_first(files: Iterable[KeptFile]) -> list[KeptFile]:
    """In order of making; `written_s` never falls within a series."""
    latest_s: dict[str, float] = {}
    ordered = []
    for file in sorted(files, key=lambda file: file.sequence):
        latest_s[file.series] = max(file.written_s, latest_s.get(file.series, file.written_s))
        ordered.append(file._replace(written_s=latest_s[file.series]))
    return sorted(ordered, key=lambda file: (file.written_s, file.sequence, file.path.name))


def _ages_s(oldest_first: list[KeptFile], now_s: float, age_s_max: float | None) -> list[float]:
    """The age of each file, as the module's text says."""
    silence_s_max = (age_s_max or 0.0) * SILENCE_SHARE_MAX
    ages_s: list[float] = []
    age_s, later_s = 0.0, now_s
    for file in reversed(oldest_first):
        age_s += min(max(0.0, later_s - file.written_s), silence_s_max)
        later_s = min(later_s, file.written_s)
        ages_s.append(age_s)
    return ages_s[::-1]
