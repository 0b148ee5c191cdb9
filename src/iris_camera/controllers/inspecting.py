"""The inspection thread of one camera: frames in, rows and evidence out.

The rules.
- It waits for frames and for nothing else: another thread takes finished files and defects.
- Anything that a model raises (its memory is gone, its runtime fails) costs the frame it was given. The inspector is
  released and made anew after a pause that grows while it fails again and again: counted, logged, and visible. The
  camera goes on capturing meanwhile; a file waits, a live line loses frames to newer ones.
- Records that cannot be written are counted and logged, and the next rows are tried again: a full disk is no reason
  to stop inspecting.
- At the end the captured frames are inspected, and the open records are closed and handed on.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from iris_camera.camera.frame import Frame
from iris_camera.camera.handover import Handover
from iris_camera.controllers.frame_records import FrameRecords
from iris_camera.controllers.observers import NOBODY, Observers
from iris_camera.controllers.tallies import Tallies
from iris_camera.inspection.findings import Part, Verdict
from iris_camera.inspection.inspector import Inspected, Inspector
from iris_camera.records.csv_file import FinishedCsv
from iris_communication.runtime.amounts import counted
from iris_communication.runtime.supervised_thread import SupervisedThread

log = logging.getLogger(__name__)

LOOK_S = 0.2  # how often it checks for an end, and for records that are due, when no frame comes
RESTART_FIRST_S = 1.0
RESTART_MAX_S = 60.0
LABELS_KEPT = 50


def restart_pause_s(failures: int) -> float:
    """How long to wait before an inspector that failed so many times in a row is made anew: 1, 2, 4 ... 60 s."""
    return min(RESTART_MAX_S, RESTART_FIRST_S * 2.0 ** min(failures - 1, 10))


class Defects(Protocol):
    def add(self, finished: FinishedCsv) -> None: ...
    def add_defect(self, frame: Frame, part: Part, verdict: Verdict) -> None: ...


class Seen(NamedTuple):
    """The latest inspected frame, with the verdict on each part in view that has one."""

    frame: Frame
    inspected: Inspected
    labels: dict[int, str]


class Inspecting:
    """`make` gives a new inspector; `first` is one that was made already, so that a bad model is known before the
    start."""

    def __init__(
        self,
        name: str,
        handover: Handover,
        make: Callable[[], Inspector],
        records: FrameRecords,
        handing_over: Defects,
        tallies: Tallies,
        *,
        first: Inspector | None = None,
        observers: Observers = NOBODY,
    ) -> None:
        self.name = name
        self.latest: Seen | None = None
        self._handover = handover
        self._make = make
        self._records = records
        self._handing_over = handing_over
        self._tallies = tallies
        self._inspector = first
        self._observers = observers
        self._state = "running"
        self._reason: str | None = None
        self._restarts = self._failures = 0
        self._next_id = 1  # of parts, for an inspector that is made anew
        self._recorded = threading.Event()
        self._closing = threading.Event()
        self._thread = SupervisedThread(self._work, f"iris-inspect-{name}", on_end=self._over)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop waiting for a new inspector; the present one inspects the frames that the handover still holds."""
        self._closing.set()
        self._thread.let_end()

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`."""
        return [self._thread.state()]

    def wait_recorded(self, timeout_s: float) -> bool:
        """Wait until the last frame is inspected and its records are closed and handed on; whether they are."""
        return self._recorded.wait(timeout_s)

    def join(self, timeout_s: float) -> bool:
        return self._thread.has_ended(timeout_s)

    def snapshot(self) -> dict[str, Any]:
        """`{"state": "running|restarting|stopped", "restarts": int, "reason", "inference_ms", "provider"}`."""
        inspector = self._inspector
        return {
            "state": self._state,
            "restarts": self._restarts,
            "reason": self._reason,
            "inference_ms": self._tallies.inference_ms(),
            "provider": inspector.provider if inspector is not None else "",
            "detector": inspector.detector if inspector is not None else "",
        }

    def _work(self) -> None:
        while not self._handover.drained:
            pause_s = None
            try:
                self._inspect_frames()
            except Exception as error:  # noqa: BLE001 - a model may raise anything; logged with its traceback
                pause_s = self._failed(error)
            if pause_s is not None:
                self._pause(pause_s)

    def _over(self) -> None:
        try:
            self._finish(self._records.close())
        finally:
            self._state = "stopped"
            self._recorded.set()

    def _inspect_frames(self) -> None:
        """Until the frames end. Raises whatever the model raises."""
        if self._inspector is None:
            self._inspector = self._make()
            self._inspector.count_from(self._next_id)
        while not self._handover.drained:
            frame = self._handover.get(LOOK_S)
            if frame is not None:
                self._inspect(frame, self._inspector)
            self._finish(self._records.rotate(time.monotonic()))

    def _inspect(self, frame: Frame, inspector: Inspector) -> None:
        if self.latest is not None and self.latest.frame.opening != frame.opening:
            inspector.reset()  # the source was reopened: other parts, perhaps in a picture of another size
        inspected = inspector.inspect(frame.image, frame.number)
        self._state, self._reason, self._failures = "running", None, 0
        self._tallies.count(inspected, time.monotonic())
        self.latest = Seen(frame, inspected, self._labels(inspected))
        # Evidence is offered before the row that it belongs to, so that it is delivered first.
        for news in inspected.news:
            if news.turned_bad:
                self._handing_over.add_defect(frame, news.part, news.verdict)
        self._finish(self._records.record(frame, inspected, time.monotonic()))
        self._observe(self._observers.on_inspected, frame, inspected)

    def _failed(self, error: Exception) -> float:
        """Release the inspector, so that another is made; how long to wait before that."""
        self._failures += 1
        self._restarts += 1
        pause_s = restart_pause_s(self._failures)
        text = f"{type(error).__name__}: {error}"
        if self._inspector is not None:
            self._next_id = self._inspector.next_id
        self._inspector = None  # frees its memory
        self._state, self._reason = "restarting", text
        self._tallies.trouble(f"inspection failed and restarts in {pause_s:.0f} s: {text}", traceback=True)
        return pause_s

    def _pause(self, pause_s: float) -> None:
        gc.collect()  # an error and its model may be a reference cycle of hundreds of megabytes
        if self._closing.wait(pause_s):
            self._give_up_frames()

    def _give_up_frames(self) -> None:
        """At the end there is no time to make a new inspector: the frames left are counted and logged."""
        left = 0
        while not self._handover.drained:
            left += self._handover.get(LOOK_S) is not None
        if left:
            frames = counted(left, "frame that was", "frames that were")
            log.warning("camera %s ends with %s not inspected", self.name, frames)

    def _labels(self, inspected: Inspected) -> dict[int, str]:
        """The verdicts on the parts in view, the newest included."""
        known = self.latest.labels if self.latest is not None else {}
        known = known | {part.part_id: verdict.label for part, verdict in inspected.verdicts}
        # Parts leave in the order they came; a few more are kept, for one the detector has just missed.
        return dict(list(known.items())[-max(LABELS_KEPT, 2 * len(inspected.parts)) :])

    def _finish(self, files: list[FinishedCsv]) -> None:
        for finished in files:
            self._tallies.csv_files += 1
            self._observe(self._observers.on_finished, finished)
            self._handing_over.add(finished)

    def _observe(self, observer: Callable[..., None], *news: Any) -> None:
        try:
            observer(*news)
        except Exception:  # noqa: BLE001 - injected code; logged with its traceback
            self._tallies.trouble("an observer failed; the camera goes on", traceback=True)
