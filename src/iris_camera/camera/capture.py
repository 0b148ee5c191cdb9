"""The capture of one camera: its source opened, read, watched, and opened again for ever.

Two threads. One reads the source and hands its frames over (`reading.py`); the other watches it, so that a read which
never returns blocks only its own thread. The rules:

- Any exception of a source means a lost camera, no more: the watcher opens it again on the ladder of `reconnect.py`,
  and logs the reason. Capture ends only when it is closed, or when a file has ended.
- A call into a live source that hangs is given up, and a fresh source is read in a fresh thread. Threads left behind
  cannot be ended; there are at most `HUNG_MAX` of them, and the log and the status say so.
- A folder goes on where it was, so its source is kept over failures; only a live one is made anew.
- Frame numbers never go back: a source opened again goes on after the last number.
- Nothing here is shared between cameras.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from iris_camera.camera.camera_state import (
    THE_END,
    CameraLimits,
    CameraLost,
    Closed,
    Ended,
    Happening,
    Looked,
    Pictures,
    State,
    after,
    first_state,
)
from iris_camera.camera.clock import SYSTEM_CLOCK, CameraClock
from iris_camera.camera.frame import Frame
from iris_camera.camera.frame_tally import FrameTally
from iris_camera.camera.handover import EveryFrame, Handover, LatestFrame
from iris_camera.camera.reading import CameraReading
from iris_camera.camera.reconnect import failures_after, pause_s
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import Source, SourceError
from iris_camera.logs import without_secrets
from iris_communication.runtime.repeats import Repeats
from iris_communication.runtime.supervised_thread import SupervisedThread

log = logging.getLogger(__name__)

LOOK_S = 0.2  # between two checks of the watching thread
HUNG_MAX = 4
LOGGED_EVERY_S = 600.0  # the same trouble of a camera, which may be switched off over the weekend


@dataclass(frozen=True, slots=True)
class CameraEvent:
    """A camera's state changed, at `at_s` (Unix time)."""

    at_s: float
    camera: str
    state: State
    reason: str | None


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """`since_s` is Unix time; `opening`: the first opening, which has neither worked nor failed yet. `frames` were
    taken from the source, `skipped` of its frames are never inspected; `reconnects` counts how often it was lost and
    came back, `hung` the threads left behind in a call that hangs."""

    state: State
    reason: str | None
    since_s: float
    opening: bool
    frames: int
    frames_per_s: float
    frame_age_s: float | None
    skipped: int
    reconnects: int
    hung: int


def jittered_pause_s(failures: int) -> float:
    """The ladder's pause with jitter."""
    return pause_s(failures, random.random())  # noqa: S311 - spreads the reconnections of many cameras; no secret


class Capture:
    """`make` gives a fresh source; it is called once here, and again after a live one hung or raised anything but
    SourceError. `on_change` is called on the watching thread and must not block; if it raises, that is logged. Raises
    what `make` raises."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Source],
        settings: SourceSettings,
        *,
        on_change: Callable[[CameraEvent], None] = lambda event: None,
        clock: CameraClock = SYSTEM_CLOCK,
        pause_s: Callable[[int], float] = jittered_pause_s,
    ) -> None:
        self.name = name
        self._make, self._settings = make, settings
        self._on_change, self._clock, self._pause_s = on_change, clock, pause_s
        self._source: Source | None = make()
        self._frame_rate = self._source.frame_rate
        self.live = self._source.live
        self.handover: Handover = LatestFrame() if self.live else EveryFrame()
        self._tally = FrameTally(name)
        self._limits = CameraLimits(settings.offline_after_s, settings.stalled_after_s if self.live else None)
        self._shown = first_state(clock.monotonic()), clock.monotonic()  # the state, and since when
        self._reading: CameraReading | None = None
        self._hung: list[CameraReading] = []
        self._reported_s: float | None = None  # of the latest frame that the state includes
        self._reading_came = False  # whether this reading gave anything
        self._failures = self._reconnects = 0
        self._came_before = False  # whether an earlier reading did
        self._retry_at_s = clock.monotonic()
        self._repeats = Repeats(log, clock.monotonic, every_s=LOGGED_EVERY_S)
        self._ended = False
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread = SupervisedThread(self._watching, f"iris-watch-{name}", on_end=self._over)

    def start(self) -> None:
        """Begin to open and read; once."""
        self._thread.start()

    def close(self) -> None:
        """End capturing, from any thread and more than once; the handover is closed when this returns."""
        self._closing.set()
        self._thread.let_end()
        self.handover.close()
        reading = self._reading
        if reading is not None:
            reading.stop()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Whether its threads ended within the time; those that hang in a call and were left behind do not count."""
        deadline_s = self._clock.monotonic() + timeout_s
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        reading = self._reading
        return reading is None or reading.join(max(0.0, deadline_s - self._clock.monotonic()))

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`. Only the watching thread: it replaces the reading one with its source."""
        return [self._thread.state()]

    @property
    def ended(self) -> bool:
        """Whether a finite source came to its end, as opposed to being closed or lost."""
        return self._ended

    @property
    def closed(self) -> bool:
        """Whether Iris itself ended it."""
        return self._closing.is_set()

    @property
    def frame_rate(self) -> float | None:
        """Frames a second the source aims at; None while that is not known."""
        return self._frame_rate

    def status(self) -> CaptureStatus:
        """From any thread; never blocks."""
        now_s = self._clock.monotonic()
        shown, since_s = self._shown
        tally = self._tally
        return CaptureStatus(
            state=shown.state,
            reason=shown.reason,
            since_s=round(self._clock.wall() - (now_s - since_s), 3),  # by the clock as it is set now
            opening=shown.state == "offline" and not shown.reported,
            frames=tally.frames,
            frames_per_s=tally.rate(now_s),
            frame_age_s=tally.age_s(now_s),
            skipped=self.handover.skipped + tally.gaps,
            reconnects=self._reconnects,
            hung=sum(reading.alive for reading in self._hung),
        )

    # The reading thread.

    def _take(self, frame: Frame, base: tuple[int, int]) -> None:
        """`base` is the number and the opening this opening of the source begins with."""
        numbered = replace(frame, number=base[0] + frame.number, opening=base[1] + frame.opening)
        self._tally.count(numbered, self._clock.monotonic())
        self.handover.put(numbered)

    # The watching thread.

    def _watching(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                self._look(self._clock.monotonic())
            except Exception:
                log.exception("camera %s: watching it failed; the watch starts again", self.name)
            self._clock.wait(self._wake, LOOK_S)

    def _over(self) -> None:
        self.handover.close()
        if self._reading is not None:
            self._reading.stop()
        self._happened(Closed())

    def _look(self, now_s: float) -> None:
        reading = self._reading
        if reading is not None:
            self._report(reading)
            if reading.finished.is_set():
                self._finish(reading)
            elif self.live and reading.hangs_for_s(now_s) > self._settings.hung_after_s:
                self._leave_behind(reading)
        elif not self._ended and now_s >= self._retry_at_s:
            self._begin()
        self._happened(Looked())

    def _begin(self) -> None:
        self._hung = [reading for reading in self._hung if reading.alive]
        if len(self._hung) >= HUNG_MAX:
            reason = f"{HUNG_MAX} calls into its driver hang; it is opened again when one comes back"
            self._lost(SourceError(reason, "Restart Iris, or the machine if that does not help."), 0.0)
            return
        try:
            source = self._source if self._source is not None else self._make()
            self._source = source
            base = self._tally.next_number, self._tally.next_opening
            reading = CameraReading(
                self.name, source, lambda frame: self._take(frame, base), self._wake.set, self._clock
            )
            reading.start()
        except Exception as error:  # noqa: BLE001 - injected code, or no thread could start; logged with its traceback
            self._lost(error, 0.0)
            return
        self._reading = reading
        if self._closing.is_set():  # closed meanwhile, without having seen this reading
            reading.stop()

    def _report(self, reading: CameraReading) -> None:
        """Take over what the reading did since the last check: frames, or, of a file or folder, that it is open."""
        at_s = reading.latest_frame_s
        if at_s is None and not self.live:
            at_s = reading.opened_s
        if at_s is None or at_s == self._reported_s:
            return
        if not self._reading_came:
            self._reading_came = True
            self._reconnects += self._came_before
            self._came_before = True
        self._reported_s = at_s
        self._frame_rate = reading.source.frame_rate
        self._happened(Pictures(at_s))

    def _finish(self, reading: CameraReading) -> None:
        self._reading, self._reading_came = None, False
        error = reading.error
        if self._closing.is_set():
            return
        if isinstance(error, SourceError) and error.final:
            self._end(error.reason)
        elif error is not None:
            self._lost(error, reading.gave_frames_s())
        elif self.live:
            self._lost(SourceError("it has stopped sending pictures"), reading.gave_frames_s())
        else:
            self._end(None)

    def _end(self, reason: str | None) -> None:
        self._ended = True
        self.handover.close()
        if reason is not None:
            log.warning("camera %s: %s", self.name, reason)
        self._happened(Ended(reason))

    def _leave_behind(self, reading: CameraReading) -> None:
        reading.give_up()
        self._hung.append(reading)
        self._reading, self._reading_came = None, False
        self._source = None
        hung = sum(left.alive for left in self._hung)
        reason = f"a call into its driver hangs for more than {self._settings.hung_after_s:g} s"
        self._lost(SourceError(reason, f"It is left behind, {hung} of at most {HUNG_MAX}."), reading.gave_frames_s())

    def _lost(self, error: BaseException, gave_frames_s: float) -> None:
        """Schedule the next try, and log why."""
        self._failures = failures_after(self._failures, gave_frames_s)
        wait_s = self._pause_s(self._failures)
        self._retry_at_s = self._clock.monotonic() + wait_s
        known = isinstance(error, SourceError)
        reason = error.reason if isinstance(error, SourceError) else f"{type(error).__name__}: {error}"
        reason = without_secrets(reason)  # the page shows the text of any exception
        if not known and self.live:
            self._source = None
        hint = error.hint if isinstance(error, SourceError) else "This is a bug."
        self._repeats.log(
            reason,
            logging.WARNING,
            "camera %s: %s. %s Iris keeps trying, next in %.1f s",
            self.name,
            reason,
            hint,
            wait_s,
            exc_info=None if known else error,
        )
        self._happened(CameraLost(reason))

    def _happened(self, happening: Happening) -> None:
        before, since_s = self._shown
        shown, is_event = after(before, happening, self._limits, self._clock.monotonic())
        if not is_event:
            self._shown = shown, since_s
            return
        at_s = self._clock.wall()
        self._shown = shown, self._clock.monotonic()
        self._publish(CameraEvent(at_s, self.name, shown.state, shown.reason))

    def _publish(self, event: CameraEvent) -> None:
        text = f"is {event.state}: {event.reason}" if event.reason else f"is {event.state}"
        if event.reason == THE_END:
            text = "has come to its end"
        elif self._closing.is_set():
            text = "is closed"  # by Iris: nobody has switched it off
        self._repeats.log(("is", event.state), logging.INFO, "camera %s %s", self.name, text)
        try:
            self._on_change(event)
        except Exception:
            log.exception("camera %s: reporting that it is %s failed; it keeps running", self.name, event.state)
