"""How often something happened lately, from counters that run since the start.

An inspection that fails on every tenth frame is "running" at most checks; only the counter's increase over the last
minutes shows the failures. A counter that decreased belongs to a camera made anew: counting starts again at its value.
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
        """With new samples of every counter; missing counters are dropped."""
        return RecentCounts(
            self.within_s,
            {name: self._next(self.samples.get(name, ()), count, now_s) for name, count in counts.items()},
        )

    def lately(self, name: str) -> int:
        """How much that counter rose within the time, as of the last check; 0 for an unknown one."""
        samples = self.samples.get(name, ())
        return samples[-1][1] - samples[0][1] if samples else 0

    def _next(self, before: Samples, count: int, now_s: float) -> Samples:
        if not before or count < before[-1][1]:
            # Events before the first check count as recent too: counting begins at the start.
            return ((now_s, 0), (now_s, count)) if count else ((now_s, 0),)
        after = before if count == before[-1][1] else (*before, (now_s, count))
        # The last sample before the time begins stays: the increase is measured from it.
        oldest = max((index for index, (at_s, _) in enumerate(after) if at_s <= now_s - self.within_s), default=0)
        return after[oldest:]
