"""Which finished file is offered next, and when: a pure decision.

Pictures of defects go before record files; within each, the first come is the first to go. A file that is refused
stays at the head and is offered again after a pause; the pauses grow while refusals follow each other, so that an
outbox that is full for hours does not fill the log.
"""

from collections import deque

from iris_camera.records.evidence import FinishedPicture
from iris_camera.records.leftovers import FinishedFile

PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 30.0


class WaitingFiles:
    """`now_s` is monotonic."""

    def __init__(self) -> None:
        self._pictures: deque[FinishedFile] = deque()
        self._records: deque[FinishedFile] = deque()
        self._offer_after_s = 0.0
        self._pause_s = PAUSE_FIRST_S

    def __len__(self) -> int:
        return len(self._pictures) + len(self._records)

    def add(self, finished: FinishedFile) -> None:
        (self._pictures if isinstance(finished, FinishedPicture) else self._records).append(finished)

    def first(self) -> FinishedFile | None:
        """The one to offer next, whether it is time or not."""
        lane = self._pictures or self._records
        return lane[0] if lane else None

    def pause_s(self, now_s: float) -> float | None:
        """How long until `first` may be offered; None when nothing waits."""
        return max(0.0, self._offer_after_s - now_s) if len(self) else None

    def accepted(self) -> None:
        """`first` is the outbox's now."""
        (self._pictures or self._records).popleft()
        self._pause_s, self._offer_after_s = PAUSE_FIRST_S, 0.0

    def refused(self, now_s: float) -> None:
        """`first` was offered and stays."""
        self._offer_after_s = now_s + self._pause_s
        self._pause_s = min(PAUSE_MAX_S, 2 * self._pause_s)
