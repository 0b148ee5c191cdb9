"""Which verdicts on a part count: a part in view is judged again as it moves, because a scratch may show late.

`first`: a part is judged once. `last`: on every frame on which it can be judged, and the newest verdict counts.
`worst`: until it is a defect, which it then stays. So a part costs the classifier one call a frame at most.

A verdict is reported when it is news: a part's first verdict, and one that replaces it. A replaced verdict keeps its
row in the records, so the last row of a part is the one that counts.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from iris_camera.inspection.findings import Part, Verdict
from iris_camera.inspection.settings import VerdictRule
from iris_camera.inspection.tracker import Tracked


class News(NamedTuple):
    """A verdict that counts. `revised`: the part had another one before; `turned_bad`: it was no defect before."""

    part: Part
    verdict: Verdict
    revised: bool = False
    turned_bad: bool = False


class Verdicts:
    """Of the parts in view; belongs to one thread."""

    def __init__(self, rule: VerdictRule, defect_labels: Collection[str]) -> None:
        self._rule = rule
        self._defect_labels = frozenset(defect_labels)
        self._known: dict[int, Verdict] = {}
        self._were_bad: set[int] = set()

    def to_judge(self, tracked: Tracked) -> list[Part]:
        """The parts whose verdict may be news now."""
        if self._rule == "first":
            return tracked.ready
        again = [part for part in tracked.again if self._rule == "last" or part.part_id not in self._were_bad]
        return [*tracked.ready, *again]

    def news(self, part: Part, verdict: Verdict) -> News | None:
        """None: the known verdict still counts."""
        known = self._known.get(part.part_id)
        is_bad = verdict.label in self._defect_labels
        if known is not None and not (is_bad if self._rule == "worst" else verdict.label != known.label):
            return None
        self._known[part.part_id] = verdict
        turned_bad = is_bad and part.part_id not in self._were_bad
        if is_bad:
            self._were_bad.add(part.part_id)
        return News(part, verdict, known is not None, turned_bad)

    def worst(self, news: Iterable[News]) -> Verdict | None:
        """The surest defect, else the verdict that is least sure; None of none."""
        bad = [each.verdict for each in news if each.verdict.label in self._defect_labels]
        if bad:
            return max(bad, key=lambda verdict: verdict.score)
        return min((each.verdict for each in news), key=lambda verdict: verdict.score, default=None)

    def forget(self, parts: Iterable[Part]) -> None:
        """Forget parts that are out of view."""
        for part in parts:
            self._known.pop(part.part_id, None)
            self._were_bad.discard(part.part_id)

    def forget_all(self) -> None:
        self._known.clear()
        self._were_bad.clear()
