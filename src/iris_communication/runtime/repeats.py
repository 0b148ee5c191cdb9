"""A cause is logged once, and then counted.

What fails, fails for every file: a line for each would bury what else happens, and fill the disk. So code that logs
a cause that may repeat does it through `Repeats`: the first time is logged, the next ones are counted, and while it
goes on the count is logged every `every_s`. The end of the cause is logged too.

Rules.
- A cause is a kind, not a sentence: sentences hold names of files, and peers write them. Where causes come without end
  all the same, those after the tenth within a minute count as one.
- What comes and goes all the time, as a full queue does, is logged no more often than what lasts: its end, and its
  next beginning, are logged only when its beginning was.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

from iris_communication.runtime.amounts import counted, files

EVERY_S = 60.0
NEW_CAUSES_MAX = 10  # within `every_s`
CAUSES_MAX = 200
_OTHERS = object()


class Spell(NamedTuple):
    """A cause, since it was logged last."""

    logged_s: float
    unlogged: int = 0
    over: bool = False


def again(spell: Spell | None, now_s: float, every_s: float) -> tuple[Spell, int | None]:
    """The spell after one more occurrence, and whether to log it: None, or how many were not logged before."""
    if spell is None:
        return Spell(now_s), 0
    if now_s - spell.logged_s >= every_s:
        return Spell(now_s), spell.unlogged
    return spell._replace(unlogged=spell.unlogged + 1), None


def over(spell: Spell) -> tuple[Spell, int | None]:
    """The spell after its end, and whether to log that: None, or how many occurrences were not logged before."""
    if spell.over:
        return spell, None
    return spell._replace(unlogged=0, over=True), spell.unlogged


def is_one_to_log(count: int) -> bool:
    """Whether to log the occurrence with this number: the 1st, 2nd, 4th, 8th ..."""
    return count.bit_count() == 1


class Repeats:
    """One for each place that logs; for any thread. `per_file`: "the same for 14 files in 60 s", not "14 times"."""

    def __init__(
        self,
        log: logging.Logger,
        monotonic_s: Callable[[], float] = time.monotonic,
        *,
        every_s: float = EVERY_S,
        per_file: bool = False,
    ) -> None:
        self._log = log
        self._monotonic_s = monotonic_s
        self._every_s = every_s
        self._per_file = per_file
        self._lock = threading.Lock()
        self._spells: dict[Hashable, Spell] = {}

    def log(self, cause: Hashable, level: int, text: str, *values: Any, exc_info: Any = None) -> None:
        """Log it, or count it."""
        now_s = self._monotonic_s()
        with self._lock:
            if cause not in self._spells and self._are_many(now_s):
                cause = _OTHERS
            before = self._spells.pop(cause, None)
            self._spells[cause], unlogged = again(before, now_s, self._every_s)  # behind all others: the latest
            if len(self._spells) > CAUSES_MAX:
                del self._spells[next(iter(self._spells))]
        if unlogged is not None:
            repeated = self._counted(unlogged, now_s, before)
            self._log.log(level, f"{text}%s", *values, repeated, exc_info=exc_info)

    def over(self, causes: Iterable[Hashable], text: str, *values: Any, level: int = logging.INFO) -> None:
        """Log once that these causes are over, if the beginning of one was logged; costs nothing where none began."""
        if not self._spells:
            return
        ended: list[tuple[int, Spell]] = []
        with self._lock:
            for cause in causes:
                before = self._spells.get(cause)
                if before is not None:
                    self._spells[cause], unlogged = over(before)
                    if unlogged is not None:
                        ended.append((unlogged, before))
        if ended:
            first = min((before for _, before in ended), key=lambda before: before.logged_s)
            repeated = self._counted(sum(unlogged for unlogged, _ in ended), self._monotonic_s(), first)
            self._log.log(level, f"{text}%s", *values, repeated)

    def _are_many(self, now_s: float) -> bool:
        return sum(now_s - spell.logged_s < self._every_s for spell in self._spells.values()) >= NEW_CAUSES_MAX

    def _counted(self, unlogged: int, now_s: float, before: Spell | None) -> str:
        if not unlogged or before is None:
            return ""
        often = f"for {files(unlogged)}" if self._per_file else counted(unlogged, "time")
        return f" (the same {often} in {max(1.0, now_s - before.logged_s):.0f} s)"
