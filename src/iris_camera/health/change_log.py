"""Which changes of health are worth a line of the log.

A change means that the set of reasons differs: a new one, or one that is gone. Figures in a sentence may change.

What goes wrong: a state that comes and goes (a disk at its limit, a link that flaps) would fill the log. So a reason
that was logged is not logged again within `AGAIN_S`, and its end is logged only if its beginning was.
"""

import logging

from iris_camera.health.conditions import Severity
from iris_camera.health.judging import Judgement

AGAIN_S = 60.0

Key = tuple[str, str]


class ChangeLog:
    """Belongs to one thread; writes to `log`."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._logged: frozenset[Key] | None = None  # the reasons in the latest line
        self._logged_s: dict[Key, float] = {}  # monotonic; when each was logged last

    def seen(self, judgement: Judgement, now_s: float) -> None:
        keys = frozenset(reason.key for reason in judgement.reasons)
        if keys == self._logged:
            return
        new = keys - (self._logged or frozenset())
        if new and all(now_s - self._logged_s.get(key, now_s - AGAIN_S) < AGAIN_S for key in new):
            return
        self._logged = keys
        self._logged_s |= dict.fromkeys(new, now_s)
        self._logged_s = {key: at_s for key, at_s in self._logged_s.items() if now_s - at_s < AGAIN_S or key in keys}
        level = logging.INFO if judgement.severity is Severity.WORKING else logging.WARNING
        self._log.log(level, "health: %s", judgement.sentence)
