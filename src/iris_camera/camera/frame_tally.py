"""Counters of one camera's frames: written by the thread that reads the camera, read by any."""

import logging
from collections import deque

from iris_camera.camera.frame import Frame
from iris_communication.runtime.repeats import is_one_to_log

log = logging.getLogger(__name__)

RATE_OVER_S = 3.0


def rate_per_s(times_s: deque[float], now_s: float) -> float:
    """How often a second something happened, over the last three seconds; 0 if it did not."""
    recent_s = [at_s for at_s in times_s.copy() if now_s - at_s <= RATE_OVER_S]
    if len(recent_s) < 2:
        return 0.0
    return round((len(recent_s) - 1) / max(recent_s[-1] - recent_s[0], 1e-9), 2)


class FrameTally:
    """`gaps` counts numbers the source left out; `next_number` and `next_opening` follow the last frame's."""

    def __init__(self, camera: str) -> None:
        self._camera = camera
        self.frames = self.gaps = self.next_number = self.next_opening = 0
        self._shape: tuple[int, ...] | None = None
        self._size_changes = 0
        self._latest_s: float | None = None
        self._recent: deque[float] = deque(maxlen=512)

    def count(self, frame: Frame, now_s: float) -> None:
        """Count a frame that is handed over now."""
        if self.frames and frame.opening == self.next_opening - 1:
            self.gaps += max(0, frame.number - self.next_number)
        self.frames += 1
        self.next_number, self.next_opening = frame.number + 1, frame.opening + 1
        if frame.image.shape != self._shape:
            self._size_changed(frame.image.shape)
        self._latest_s = now_s
        self._recent.append(now_s)

    def age_s(self, now_s: float) -> float | None:
        """Seconds since the latest frame; None before the first."""
        latest_s = self._latest_s
        return None if latest_s is None else max(0.0, now_s - latest_s)

    def rate(self, now_s: float) -> float:
        """Frames a second over the last seconds; 0 when there are none."""
        return rate_per_s(self._recent, now_s)

    def _size_changed(self, shape: tuple[int, ...]) -> None:
        """Logged ever more seldom: each picture of a folder may have another size."""
        before, self._shape = self._shape, shape
        if before is None:
            return
        self._size_changes += 1
        if is_one_to_log(self._size_changes):
            log.warning(
                "camera %s changed its picture from %dx%d to %dx%d pixels (change %d)",
                self._camera,
                before[1],
                before[0],
                shape[1],
                shape[0],
                self._size_changes,
            )
