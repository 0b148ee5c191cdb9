"""Which finished files are offered next, and when: a pure decision.

Pictures of defects go before record files; each of the two is first in, first out. A file that is refused stays at the
head and is offered again after a pause. The pauses stay short, for a full outbox may have room the next moment, and
only an offer shows it; the log counts refusals and does not grow by each.

Files that are offered together share one commit. But each that is refused is a line of the log, and a picture that
comes meanwhile waits for all of them: so the number offered together grows while all are accepted, up to a limit, and
is one after a refusal.
"""

from collections import deque
from collections.abc import Iterable
from itertools import chain, islice

from iris_camera.records.evidence import FinishedPicture
from iris_camera.records.leftovers import FinishedFile

PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 2.0  # an offer is cheap, and health reports refusals until one is accepted
TOGETHER_MAX = 64  # more make a commit no cheaper


class WaitingFiles:
    """`now_s` is monotonic."""

    def __init__(self) -> None:
        self._pictures: deque[FinishedFile] = deque()
        self._records: deque[FinishedFile] = deque()
        self._offer_after_s = 0.0
        self._pause_s = PAUSE_FIRST_S
        self._together = 1

    def __len__(self) -> int:
        return len(self._pictures) + len(self._records)

    def add(self, finished: FinishedFile) -> None:
        (self._pictures if isinstance(finished, FinishedPicture) else self._records).append(finished)

    def first(self) -> list[FinishedFile]:
        """Those to offer next, whether it is time or not."""
        return list(islice(chain(self._pictures, self._records), self._together))

    def pause_s(self, now_s: float) -> float | None:
        """How long until the first may be offered; None when nothing waits."""
        return max(0.0, self._offer_after_s - now_s) if len(self) else None

    def accepted(self, files: Iterable[FinishedFile]) -> None:
        """The outbox has accepted them."""
        for finished in files:
            (self._pictures if isinstance(finished, FinishedPicture) else self._records).remove(finished)
            self._pause_s, self._offer_after_s = PAUSE_FIRST_S, 0.0
            self._together = min(TOGETHER_MAX, self._together + 1)

    def refused(self, now_s: float) -> None:
        """The outbox has refused some or all of the latest offer."""
        self._offer_after_s = now_s + self._pause_s
        self._pause_s = min(PAUSE_MAX_S, 2 * self._pause_s)
        self._together = 1
