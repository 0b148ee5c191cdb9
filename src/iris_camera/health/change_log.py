"""Which changes of health are worth a line of the log.

A change is: something else is wrong with something, or nothing any more. Figures in a sentence may move.

What goes wrong: a state that comes and goes (a disk at its limit, a link that flaps) would fill the log. So what was
told is not told again within `AGAIN_S`, and that it is over only where it was told that it is there.
"""

import logging

from iris_camera.health.conditions import Severity
from iris_camera.health.judging import Judgement

AGAIN_S = 60.0

Key = tuple[str, str]


class ChangeLog:
    """Belongs to one thread; `log` is told."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: frozenset[Key] | None = None  # what the latest line spoke of
        self._told_s: dict[Key, float] = {}  # monotonic; when each was told last

    def seen(self, judgement: Judgement, now_s: float) -> None:
        keys = frozenset(reason.key for reason in judgement.reasons)
        if keys == self._told:
            return
        new = keys - (self._told or frozenset())
        if new and all(now_s - self._told_s.get(key, now_s - AGAIN_S) < AGAIN_S for key in new):
            return
        self._told = keys
        self._told_s |= dict.fromkeys(new, now_s)
        self._told_s = {key: at_s for key, at_s in self._told_s.items() if now_s - at_s < AGAIN_S or key in keys}
        level = logging.INFO if judgement.severity is Severity.WORKING else logging.WARNING
        self._log.log(level, "health: %s", judgement.sentence)
