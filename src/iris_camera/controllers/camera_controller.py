"""One camera: a thread that captures, a thread that inspects, and the way from a rotated file to the uploader.

The rules.
- Capturing waits for nothing but the camera; between it and inspection is a handover (latest frame, or every frame).
- Inspection owns tracker, recorders and `ready/`; it is the thread that calls `queue_upload`.
- What happens to the network, the server or the outbox changes nothing in either: a refused file waits in `ready/`.
- An inspection that raises costs that frame, is logged, and is tried again with the next one.

`quiesce` comes before the uploader is stopped: the source is closed, what was captured is inspected, the open records
are closed, named and queued. `stop` joins the threads.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from iris_camera.camera.frame import Frame
from iris_camera.camera.handover import EveryFrame, Handover, LatestFrame
from iris_camera.camera.source import Source
from iris_camera.controllers.record_delivery import Destination, RecordDelivery, Uploader
from iris_camera.inspection.inspector import Inspected, Inspector
from iris_camera.records.csv_file import ClassifierRow, FinishedCsv, ModelRow
from iris_camera.records.leftovers import Leftovers, recover
from iris_camera.records.recorder import Recorder, RecordsError
from iris_camera.records.rotation import RotationLimits
from iris_camera.web.picture import Mark, Picture
from iris_camera.web.stats import CountingUploader, stats_router
from iris_communication.sftp_uploader_thread import SftpUploaderThread, get_sftp_uploader

log = logging.getLogger(__name__)

sftp_uploader: SftpUploaderThread  # the process's one uploader; made at the first look, see __getattr__

RATE_OVER_S = 3.0  # frames a second are counted over so long
STALLED_AFTER_S = 5.0
LOOK_S = 0.2  # how often inspection looks up when no frame comes
DEFECT = "defect"
LABELS_KEPT = 50


def __getattr__(name: str) -> Any:
    """`sftp_uploader` is the process's one uploader. It is not fetched at import: that would fix its options before
    the application could give any."""
    if name == "sftp_uploader":
        return get_sftp_uploader()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def routes(uploader: CountingUploader | None = None) -> APIRouter:
    """This controller's routes: `GET /sftp-uploader-stats`, by default of the process's uploader."""
    return stats_router(uploader or get_sftp_uploader())


@dataclass(frozen=True, slots=True)
class RecordSettings:
    folder: Path
    run: str  # of this run of the program, see records.csv_name.new_run
    limits: RotationLimits


class Camera:
    """`observers` are called on the inspection thread, with each inspected frame and with each finished file; they
    must not block. One that raises is logged and costs nothing else."""

    def __init__(
        self,
        source: Source,
        inspector: Inspector,
        uploader: Uploader,
        destination: Destination,
        records: RecordSettings,
        *,
        on_inspected: Callable[[Frame, Inspected], None] = lambda frame, inspected: None,
        on_finished: Callable[[FinishedCsv], None] = lambda finished: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = source.name
        self._source = source
        self._inspector = inspector
        self._delivery = RecordDelivery(uploader, destination, monotonic)
        self._records = records
        self._on_inspected = on_inspected
        self._on_finished = on_finished
        self._monotonic = monotonic
        self._handover: Handover = LatestFrame() if source.live else EveryFrame()
        self._recorders = {
            kind: Recorder(records.folder, source.name, kind, records.run, records.limits)
            for kind in ("model", "classifier")
        }
        self._capture = threading.Thread(target=self._capturing, name=f"iris-capture-{self.name}", daemon=True)
        self._inspection = threading.Thread(target=self._inspecting, name=f"iris-inspect-{self.name}", daemon=True)
        self._recorded = threading.Event()  # records are closed and queued
        self._tallies = _Tallies()
        self._offline: str | None = "not started"
        self._ending = False
        self._latest: tuple[Frame, Inspected, dict[int, str]] | None = None

    def start(self) -> None:
        """Queue what earlier runs left, then capture and inspect."""
        self._capture.start()
        self._inspection.start()

    def quiesce(self, timeout_s: float = 2.0) -> bool:
        """End capturing, and wait until what was captured is inspected, recorded and queued; whether it is."""
        self._ending = True
        self._source.close()
        self._handover.close()
        return self._recorded.wait(timeout_s)

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Join the threads; whether both have ended."""
        self._source.close()
        self._handover.close()
        deadline_s = self._monotonic() + timeout_s
        for thread in (self._capture, self._inspection):
            if thread.is_alive():
                thread.join(max(0.0, deadline_s - self._monotonic()))
        return not (self._capture.is_alive() or self._inspection.is_alive())

    def snapshot(self) -> dict[str, Any]:
        """Counts, rate and state; blocks nobody."""
        tallies, now_s = self._tallies, self._monotonic()
        age_s = None if tallies.last_frame_s is None else max(0.0, now_s - tallies.last_frame_s)
        return {
            "name": self.name,
            "state": self._state(age_s),
            "frames": tallies.frames,
            "frames_per_s": tallies.rate(now_s),
            "frame_age_s": age_s,
            "skipped": self._handover.skipped,
            "parts": tallies.parts,
            "defects": tallies.defects,
            "csv_files": tallies.csv_files,
            "waiting_records": self._delivery.waiting,
            "errors": tallies.errors,
        }

    def picture(self) -> Picture | None:
        """The latest inspected frame with its parts marked, for whoever draws it."""
        latest = self._latest
        if latest is None:
            return None
        frame, inspected, labels = latest
        marks = []
        for part in inspected.parts:
            label = labels.get(part.part_id, "")
            box = part.box
            words = f"{part.part_id} {label}".strip()
            marks.append(Mark(box.x, box.y, box.width, box.height, words, alarm=label == DEFECT))
        return Picture(frame.number, frame.image, tuple(marks))

    def _state(self, frame_age_s: float | None) -> str:
        if self._ending:
            return "disabled"
        if self._offline is not None:
            return "offline"
        return "stalled" if frame_age_s is not None and frame_age_s > STALLED_AFTER_S else "online"

    # The capture thread.

    def _capturing(self) -> None:
        try:
            self._source.open()
            self._offline = None
            while not self._handover.closed and (frame := self._source.read()) is not None:
                self._handover.put(frame)
            self._offline = "the source has ended"
        except Exception as error:
            self._offline = f"{type(error).__name__}: {error}"
            log.exception("camera %s failed; it captures no more", self.name)
        finally:
            self._handover.close()
            self._source.close()

    # The inspection thread.

    def _inspecting(self) -> None:
        try:
            self._queue_leftovers()
            while not self._handover.drained:
                frame = self._handover.get(LOOK_S)
                if frame is not None:
                    self._inspect(frame)
                self._rotate_and_offer()
        except Exception:
            log.exception("the inspection of camera %s failed; it inspects no more", self.name)
            self._offline = "inspection failed, see the log"
        finally:
            self._close_records()
            self._recorded.set()

    def _queue_leftovers(self) -> None:
        try:
            found = recover(self._records.folder, self._records.run)
        except OSError as error:
            log.error("what earlier runs left in %s cannot be looked at: %s", self._records.folder, error)
            return
        _tell(found)
        for finished in found.finished:
            self._finished(finished)

    def _inspect(self, frame: Frame) -> None:
        try:
            inspected = self._inspector.inspect(frame.image, frame.number)
        except Exception:  # noqa: BLE001 - a model may raise anything; logged with its traceback
            self._trouble(f"frame {frame.number} could not be inspected", traceback=True)
            return
        labels = self._labels(inspected)
        self._latest = (frame, inspected, labels)
        self._tallies.count(inspected, self._monotonic())
        self._record(frame, inspected)
        self._observe(self._on_inspected, frame, inspected)

    def _labels(self, inspected: Inspected) -> dict[int, str]:
        """The verdicts on the parts in view, the newest included."""
        known = self._latest[2] if self._latest is not None else {}
        known = known | {part.part_id: verdict.label for part, verdict in inspected.verdicts}
        # Parts leave in the order they came; a few more are kept, for one the detector has just missed.
        return dict(list(known.items())[-LABELS_KEPT:])

    def _record(self, frame: Frame, inspected: Inspected) -> None:
        model = [
            ModelRow(frame.number, p.part_id, p.box.x, p.box.y, p.box.width, p.box.height, p.score)
            for p in inspected.parts
        ]
        judged = [ClassifierRow(frame.number, p.part_id, v.label, v.score) for p, v in inspected.verdicts]
        self._append("model", model, frame)
        self._append("classifier", judged, frame)

    def _append(self, kind: str, rows: list[Any], frame: Frame) -> None:
        try:
            finished = self._recorders[kind].append(rows, frame.wall_s, frame.monotonic_s)
        except RecordsError as error:
            self._records_failed(error)
        else:
            self._finished(finished)

    def _rotate_and_offer(self) -> None:
        """Age rotates too, without a new row; and what was refused is offered again."""
        for recorder in self._recorders.values():
            try:
                self._finished(recorder.rotate_if_due(self._monotonic()))
            except RecordsError as error:
                self._records_failed(error)
        self._delivery.offer()

    def _finished(self, finished: FinishedCsv | None) -> None:
        if finished is None:
            return
        self._tallies.csv_files += 1
        self._observe(self._on_finished, finished)
        self._delivery.add(finished)

    def _records_failed(self, error: RecordsError) -> None:
        self._trouble(f"{error} ({error.rows_lost} rows lost)")

    def _trouble(self, what: str, *, traceback: bool = False) -> None:
        """Count it, and log the 1st, 2nd, 4th, 8th ...: what is broken is mostly broken on every frame."""
        self._tallies.errors += 1
        if self._tallies.errors.bit_count() == 1:
            log.error("camera %s, error %d: %s", self.name, self._tallies.errors, what, exc_info=traceback)

    def _close_records(self) -> None:
        for recorder in self._recorders.values():
            try:
                self._finished(recorder.close())
            except RecordsError as error:
                self._records_failed(error)
        self._delivery.offer(now=True)

    def _observe(self, observer: Callable[..., None], *news: Any) -> None:
        try:
            observer(*news)
        except Exception:  # noqa: BLE001 - injected code; logged with its traceback
            self._trouble("an observer failed; the camera goes on", traceback=True)


class _Tallies:
    """Counted by the inspection thread, read by any."""

    def __init__(self) -> None:
        self.frames = self.parts = self.defects = self.csv_files = self.errors = 0
        self.last_frame_s: float | None = None
        self._recent: deque[float] = deque(maxlen=512)

    def count(self, inspected: Inspected, now_s: float) -> None:
        self.frames += 1
        self.parts += len(inspected.verdicts)
        self.defects += sum(verdict.label == DEFECT for _, verdict in inspected.verdicts)
        self.last_frame_s = now_s
        self._recent.append(now_s)

    def rate(self, now_s: float) -> float:
        """Frames a second over the last seconds."""
        times = [at_s for at_s in self._recent.copy() if now_s - at_s <= RATE_OVER_S]
        if len(times) < 2:
            return 0.0
        return round((len(times) - 1) / max(times[-1] - times[0], 1e-9), 2)


def _tell(found: Leftovers) -> None:
    if found.finished:
        log.info("%d record files of earlier runs are queued", len(found.finished))
    for cut in found.cut:
        log.warning("%s lost its torn end, %d bytes that were no whole row", cut.path, cut.bytes_lost)
    for path in found.removed:
        log.info("%s held no row and was removed", path)
    for left in found.left_alone:
        log.warning("%s is left alone: %s", left.path, left.reason)
