"""How often something happened lately, from counters that only say how often since the start.

An inspection that fails on every tenth frame is "running" most of the times somebody looks; only the counter's way
over the last minutes tells. A counter that went back is a camera made anew: it begins again at what it says then.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Samples = tuple[tuple[float, int], ...]  # (monotonic time, count since the start), oldest first


@dataclass(frozen=True, slots=True)
class RecentCounts:
    """A value: `seen()` gives the next one."""

    within_s: float
    samples: Mapping[str, Samples]

    def seen(self, counts: Mapping[str, int], now_s: float) -> "RecentCounts":
        """After a look at every counter; those that are gone are forgotten."""
        return RecentCounts(
            self.within_s,
            {name: self._next(self.samples.get(name, ()), count, now_s) for name, count in counts.items()},
        )

    def lately(self, name: str) -> int:
        """How far that counter went within the time, as of the last look; 0 for one not seen."""
        samples = self.samples.get(name, ())
        return samples[-1][1] - samples[0][1] if samples else 0

    def _next(self, before: Samples, count: int, now_s: float) -> Samples:
        if not before or count < before[-1][1]:
            # What happened before the first look happened lately too: counting begins at the start.
            return ((now_s, 0), (now_s, count)) if count else ((now_s, 0),)
        after = before if count == before[-1][1] else (*before, (now_s, count))
        # The last sample before the time begins stays: from there the counter rose.
        oldest = max((index for index, (at_s, _) in enumerate(after) if at_s <= now_s - self.within_s), default=0)
        return after[oldest:]
