"""Holds the frames of defects until their pictures are written, so that inspection does not wait for that.

Encoding a picture takes 5 to 15 ms and its disk as long as it likes. So inspection hands a defect with its frame over,
and the thread that hands files over writes the pictures.

What goes wrong.
- Defects come faster than pictures can be written, or that thread is stuck: a limited number of frames is held.
  Skipped evidence is counted and logged, and the row of the defect is written all the same.
- The disk has less left than its reserve, or refuses: no pictures until there is room again; logged once.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from iris_camera.camera.frame import Frame
from iris_camera.inspection.findings import Part, Verdict
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.evidence import Area, Defect, Evidence, FinishedPicture, NoPictureError
from iris_camera.records.evidence_name import View
from iris_camera.records.kept_files import free_bytes
from iris_camera.records.settings import EvidenceSettings
from iris_camera.records.trouble import Trouble
from iris_communication.runtime.amounts import counted, size
from iris_communication.runtime.repeats import Repeats, is_one_to_log

log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # for room for one more frame, where the camera can wait


class Machine(NamedTuple):
    """The clock and the free disk space; replaced in tests."""

    monotonic: Callable[[], float] = time.monotonic
    free_bytes: Callable[[Path], int] = free_bytes


ON_THIS_MACHINE = Machine()


class HeldDefect(NamedTuple):
    """A defect whose frame is held for its pictures; `is_new`: the defect before it was on another frame."""

    defect: Defect
    is_new: bool


class EvidenceWriter:
    """`take` is called by one thread, and returns at once unless the writer is `patient`: then the camera can wait, so
    that a defect waits for its pictures rather than go without. `hold` and `write_next` are called by another thread;
    `on_evidence` is called there with each picture before it is handed over."""

    def __init__(
        self,
        whose: CameraRun,
        settings: EvidenceSettings,
        disk_reserve_bytes: int,
        *,
        patient: bool = False,
        on_evidence: Callable[[FinishedPicture], None] = lambda finished: None,
        machine: Machine = ON_THIS_MACHINE,
    ) -> None:
        self._camera = whose.camera
        self._folder = whose.folder
        self._evidence = Evidence(whose.folder, whose.camera, whose.run, settings)
        self._frames_held_max = settings.frames_held_max
        self._disk_reserve_bytes = disk_reserve_bytes
        self._patience_s = PATIENCE_S if patient else 0.0
        self._on_evidence = on_evidence
        self._machine = machine
        self._frame_freed = threading.Condition()
        self._trouble = Trouble(log)
        self._repeats = Repeats(log, machine.monotonic)
        # Written by the thread that takes.
        self._defects = self._frames_taken = self._skipped_at_once = 0
        self._last_frame: tuple[int, float] | None = None
        # Written by the thread that writes.
        self._held: list[HeldDefect] = []
        self._frames_done = self._skipped_later = 0
        self.pictures = 0
        self.skipped_why: str | None = None  # why a defect was left without pictures the last time

    @property
    def skipped(self) -> int:
        """Defects that have not all of their pictures."""
        return self._skipped_at_once + self._skipped_later

    @property
    def holds_some(self) -> bool:
        return bool(self._held)

    def take(self, frame: Frame, part: Part, verdict: Verdict) -> HeldDefect | None:
        """The defect with its frame, to be held; None when it gets no pictures."""
        if not self._evidence.views:
            return None
        this_frame = (frame.number, frame.monotonic_s)
        is_new = this_frame != self._last_frame
        if is_new and not self._wait_for_room():
            self._skipped_at_once += 1
            wait = counted(self._frames_held_max, "frame waits", "frames wait")
            self._log_skipped(self._skipped_at_once, f"{wait} for theirs already")
            return None
        self._defects += 1
        self._frames_taken += is_new
        self._last_frame = this_frame
        box = part.box
        defect = Defect(
            frame.image,
            frame.number,
            frame.wall_s,
            part.part_id,
            Area(box.x, box.y, box.width, box.height),
            verdict.label,
            verdict.score,
            self._defects,
            frame.file,
        )
        return HeldDefect(defect, is_new)

    def stop_waiting_for_room(self) -> None:
        """From any thread."""
        with self._frame_freed:
            self._patience_s = 0.0
            self._frame_freed.notify_all()

    def hold(self, held: HeldDefect) -> None:
        self._held.append(held)

    def write_next(self, hand_over: Callable[[FinishedPicture], None]) -> None:
        """Write the pictures of one defect, and release its frame."""
        held = self._held.pop(0)
        try:
            views = self._evidence.views if self._has_room() else ()
            written = [view for view in views if self._write(held.defect, view, hand_over)]
            self._skipped_later += len(written) < len(self._evidence.views)
        finally:
            with self._frame_freed:
                self._frames_done += held.is_new
                self._frame_freed.notify_all()

    def _wait_for_room(self) -> bool:
        """Whether one more frame may be held."""

        def has_room() -> bool:
            return self._frames_taken - self._frames_done < self._frames_held_max

        with self._frame_freed:
            self._frame_freed.wait_for(lambda: has_room() or not self._patience_s, self._patience_s)
        return has_room()

    def _has_room(self) -> bool:
        try:
            free = self._machine.free_bytes(self._folder)
        except OSError:
            return True  # writing will raise the error
        if free >= self._disk_reserve_bytes:
            self._trouble.is_over("room", f"pictures of defects are written into {self._folder} again")
            return True
        short = f"less than {size(self._disk_reserve_bytes)} are free, the disk's reserve"
        self.skipped_why = short
        self._trouble.begins("room", f"no pictures of defects are written into {self._folder}: {short}")
        return False

    def _write(self, defect: Defect, view: View, hand_over: Callable[[FinishedPicture], None]) -> bool:
        try:
            finished = self._evidence.write(defect, view)
        except (NoPictureError, OSError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self._log_skipped(self._skipped_later + 1, text)
            return False
        self.pictures += 1
        try:
            self._on_evidence(finished)
        except Exception as error:  # noqa: BLE001 - injected code; logged with its traceback
            text = "an observer of camera %s failed at a picture; it is handed over all the same"
            self._repeats.log(("observer", type(error)), logging.ERROR, text, self._camera, exc_info=error)
        hand_over(finished)
        return True

    def _log_skipped(self, count: int, why: str) -> None:
        """Ever more rarely: what prevents one picture mostly prevents all."""
        self.skipped_why = why
        if is_one_to_log(count):
            log.warning("camera %s: %d defects are without pictures: %s", self._camera, count, why)
