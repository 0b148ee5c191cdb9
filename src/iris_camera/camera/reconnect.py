"""When to try a lost camera again: soon at first, then seldom, and for ever.

A cable that was pulled for a moment is back within seconds, a switch within a minute, a camera that was taken away
perhaps next week; none of them should need a restart of Iris. The pauses have some jitter, so that twenty cameras
behind one switch are not all connected to at the same instant.

A connection that soon breaks again counts as one more failure: a camera that accepts and then closes each connection
is not tried every second for ever.
"""

from collections.abc import Sequence

LADDER_S = (1.0,) * 5 + (5.0,) * 5 + (10.0,) * 10 + (60.0,)
JITTER = 0.2
STEADY_AFTER_S = 10.0


def pause_s(failures: int, draw: float, ladder_s: Sequence[float] = LADDER_S) -> float:
    """Seconds to wait after so many failures in a row (1 or more); `draw` is a random number from 0 to 1."""
    rung_s = ladder_s[min(max(failures, 1), len(ladder_s)) - 1]
    return rung_s * (1 - JITTER + 2 * JITTER * draw)


def failures_after(failures: int, gave_pictures_s: float) -> int:
    """Failures in a row after the loss of a connection that had given pictures for so long (0: none at all)."""
    return 1 if gave_pictures_s >= STEADY_AFTER_S else failures + 1
