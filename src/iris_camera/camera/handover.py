"""From the capture thread to the inspection thread: the latest frame, or every frame.

A camera that is read late hands out stale pictures, so capture must never wait for inspection: `LatestFrame` holds
one frame and a newer one replaces it, counted. A file loses nothing by waiting, so `EveryFrame` makes capture wait.

Both end the same way. Any thread may call `close`; it wakes every waiting thread. A frame put before it can still be
taken, one put after it is ignored. `get` returns None both when time ran out and at the end; the reader is done when
`drained` is true, not when `closed` is: a frame may have come between its time-out and the close.
"""

import threading
from collections import deque
from typing import Protocol

from iris_camera.camera.frame import Frame


class Handover(Protocol):
    """One writer, one reader, and anyone who closes."""

    @property
    def closed(self) -> bool:
        """True once `close` was called."""

    @property
    def drained(self) -> bool:
        """True once it is closed and nothing is left to take: the reader's sign to end."""

    @property
    def skipped(self) -> int:
        """Frames put that nobody will ever take, because a newer one came."""

    def put(self, frame: Frame) -> None:
        """Hand a frame over; without effect after `close`."""

    def get(self, timeout_s: float) -> Frame | None:
        """The next frame, waited for at most `timeout_s` seconds; None when there is none."""

    def close(self) -> None:
        """End the handover and wake all waiting threads."""


class LatestFrame:
    """For a live source: `put` never waits and replaces the frame that was not taken.

    The lock is held for the exchange of one reference only, never while a frame is worked on.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._frame: Frame | None = None
        self._closed = False
        self._skipped = 0

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def drained(self) -> bool:
        with self._changed:
            return self._closed and self._frame is None

    @property
    def skipped(self) -> int:
        return self._skipped

    def put(self, frame: Frame) -> None:
        """Make `frame` the one that is taken next."""
        with self._changed:
            if self._closed:
                return
            if self._frame is not None:
                self._skipped += 1
            self._frame = frame
            self._changed.notify()

    def get(self, timeout_s: float) -> Frame | None:
        """The latest frame not yet taken, waited for at most `timeout_s` seconds; None when there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._closed, timeout_s)
            frame, self._frame = self._frame, None
            return frame

    def close(self) -> None:
        """End the handover; a frame not yet taken can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class EveryFrame:
    """For a file: `put` waits while `capacity` frames are not yet taken, and none is lost.

    A `put` that waits when the handover is closed returns without its frame having been handed over.
    Raises ValueError for a capacity below 1.
    """

    def __init__(self, capacity: int = 4) -> None:
        if capacity < 1:
            raise ValueError(f"a handover must hold at least 1 frame, not {capacity}")
        self._capacity = capacity
        self._changed = threading.Condition(threading.Lock())
        self._frames: deque[Frame] = deque()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def drained(self) -> bool:
        with self._changed:
            return self._closed and not self._frames

    @property
    def skipped(self) -> int:
        return 0

    def put(self, frame: Frame) -> None:
        """Hand `frame` over behind the others, waiting for room as long as it takes or until `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._frames) < self._capacity)
            if self._closed:
                return
            self._frames.append(frame)
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Frame | None:
        """The oldest frame not yet taken, waited for at most `timeout_s` seconds; None when there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._closed, timeout_s)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """End the handover; frames not yet taken can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
