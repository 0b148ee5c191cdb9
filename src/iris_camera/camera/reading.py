"""One opening of a source, in a thread of its own: opened, read to its end or failure, closed.

It is a thread apart from the one that watches it because a call into a camera's driver may never return. Then the
watcher gives it up: from that instant none of its frames is handed over, and should the call return after all, it
closes its source and ends. A thread that hangs in C cannot be ended, only left behind.

The thread writes its result once, before it sets `finished`; the watcher reads it afterwards.
"""

import logging
import threading
from collections.abc import Callable

from iris_camera.camera.clock import CameraClock
from iris_camera.camera.frame import Frame
from iris_camera.camera.source import Source, SourceError

log = logging.getLogger(__name__)


class CameraReading:
    """`hand_over` is called on this thread with each frame, `on_news` when it is opened, at its first frame and at its
    end; neither may raise."""

    def __init__(
        self,
        camera: str,
        source: Source,
        hand_over: Callable[[Frame], None],
        on_news: Callable[[], None],
        clock: CameraClock,
    ) -> None:
        self.source = source
        self.finished = threading.Event()
        self.error: BaseException | None = None  # why it finished; None: the source came to its end
        self.opened_s: float | None = None
        self.first_frame_s: float | None = None
        self.latest_frame_s: float | None = None
        self._camera, self._hand_over, self._on_news, self._clock = camera, hand_over, on_news, clock
        self._called_s: float | None = None  # when the call into the source that is in progress was made
        self._over = threading.Event()
        self._handing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"iris-capture-{camera}", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it soon; from any thread."""
        self._over.set()
        self._close_source()

    def give_up(self) -> None:
        """After this returns, it hands nothing over. Only for a handover that never waits."""
        with self._handing:
            self._over.set()
        self._close_source()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended within the time."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def hangs_for_s(self, now_s: float) -> float:
        """How long the call into the source in progress has lasted; 0 when there is none."""
        called_s = self._called_s
        return 0.0 if called_s is None else now_s - called_s

    def gave_frames_s(self) -> float:
        """From its first frame to its latest."""
        if self.first_frame_s is None or self.latest_frame_s is None:
            return 0.0
        return self.latest_frame_s - self.first_frame_s

    def _run(self) -> None:
        try:
            self._read()
        except SourceError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001 - a thread's end; the watching thread logs the traceback
            self.error = error
        finally:
            self._called_s = None
            self._close_source()
            self.finished.set()
            self._on_news()

    def _read(self) -> None:
        self._called_s = self._clock.monotonic()
        self.source.open()
        self._called_s = None
        self.opened_s = self._clock.monotonic()
        self._on_news()
        while not self._over.is_set():
            self._called_s = self._clock.monotonic()
            frame = self.source.read()
            self._called_s = None
            if frame is None:
                return
            with self._handing:
                if self._over.is_set():
                    return
                self._hand_over(frame)
            self.latest_frame_s = self._clock.monotonic()
            if self.first_frame_s is None:
                self.first_frame_s = self.latest_frame_s
                self._on_news()

    def _close_source(self) -> None:
        try:
            self.source.close()
        except Exception:  # a source may raise anything; it is not used again either way
            log.exception("camera %s: its source could not be closed", self._camera)
