"""One camera: a thread that captures, one that inspects, one that hands files over, each of which waits for no other.

    source -> capture -> handover -> inspection -> records, evidence -> handing over -> queue_upload

The rules.
- Capturing waits for nothing but the camera; between it and inspection is a handover (latest frame, or every frame).
- Inspection owns tracker and open records; it waits for frames only.
- Handing over owns `ready/` and is the thread that calls `queue_upload`: what happens to the network, the server, the
  outbox or its disk changes nothing in the other two. A refused file waits in `ready/`.
- A camera shares nothing with another one but the uploader.

`quiesce` comes before the uploader is stopped: the source is closed, what was captured is inspected, the open records
are closed, named and queued. `stop` joins the threads.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from iris_camera.camera.capture import CameraEvent, Capture, CaptureStatus
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import Source
from iris_camera.camera.switched_off import SwitchedOff
from iris_camera.camera_parts import make_inspector, make_source
from iris_camera.controllers.evidence_writer import EvidenceWriter
from iris_camera.controllers.frame_records import FrameRecords
from iris_camera.controllers.handing_over import DeliveryTarget, HandingOver, Uploader
from iris_camera.controllers.inspecting import Inspecting
from iris_camera.controllers.observers import NOBODY, Observers
from iris_camera.controllers.tallies import Tallies
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.csv_name import new_run
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_camera.web.picture import DrawnMark, Picture
from iris_camera.web.stats import CountingUploader, stats_router
from iris_communication.sftp_uploader_thread import SftpUploaderThread, get_sftp_uploader

sftp_uploader: SftpUploaderThread  # the process's one uploader; made at the first access, see __getattr__

EVENTS_KEPT = 20


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
class CameraSetup:
    """Everything that makes a camera what it is: two that are equal make the same camera."""

    name: str
    source: SourceSettings
    inspection: InspectionSettings
    records: RecordSettings
    evidence: EvidenceSettings
    destination: DeliveryTarget
    folder: Path  # of this camera's records
    enabled: bool = True


class Camera:
    """Raises ModelError when its detector or classifier cannot be used; nothing is opened before `start()`."""

    def __init__(
        self,
        setup: CameraSetup,
        uploader: Uploader,
        *,
        observers: Observers = NOBODY,
        make: Callable[[str, SourceSettings], Source] = make_source,
        inspector: Callable[[InspectionSettings, bool], Inspector] = make_inspector,
    ) -> None:
        self.setup = setup
        self.name = setup.name
        self.run = new_run()  # of its own: a camera that is made anew counts its files anew
        self._tallies = Tallies(setup.name, setup.inspection.defect_labels)
        self._events: deque[CameraEvent] = deque(maxlen=EVENTS_KEPT)
        make_this = make if setup.enabled else SwitchedOff
        self._capture = Capture(
            setup.name, lambda: make_this(setup.name, setup.source), setup.source, on_change=self._events.append
        )
        whose = CameraRun(setup.name, self.run, setup.folder)
        evidence = EvidenceWriter(
            whose,
            setup.evidence,
            setup.records.disk_reserve_bytes,
            patient=not setup.source.live,
            on_evidence=observers.on_evidence,
        )
        self._handing_over = HandingOver(whose, uploader, setup.destination, setup.records, evidence)
        self._records = FrameRecords(setup.folder, setup.name, self.run, setup.records, self._tallies.trouble)
        self._inspecting = Inspecting(
            setup.name,
            self._capture.handover,
            lambda: inspector(setup.inspection, setup.source.are_stills),
            self._records,
            self._handing_over,
            self._tallies,
            first=inspector(setup.inspection, setup.source.are_stills) if setup.enabled else None,
            observers=observers,
        )

    @property
    def ended(self) -> bool:
        """True when its source has come to its end and everything seen of it is recorded."""
        return self._capture.ended and self._inspecting.wait_recorded(0.0)

    @property
    def ended_in_trouble(self) -> str | None:
        """Why its source ended before its time; None: it did not."""
        captured = self._capture.status()
        return captured.reason if self._capture.ended and captured.state == "offline" else None

    @property
    def being_written(self) -> int:
        """Record files that rows are being added to."""
        written: int = self._records.snapshot()["being_written"]
        return written

    @property
    def waiting_records(self) -> int:
        """Files, pictures not yet written included, that the outbox has not accepted."""
        return self._handing_over.counts().waiting

    @property
    def removed_records(self) -> int:
        """Files that were gone before the outbox had them."""
        return self._handing_over.removed

    @property
    def left_behind(self) -> str | None:
        """What earlier runs left and is not offered before the next start, as a sentence."""
        return self._handing_over.left_behind

    def start(self) -> None:
        """Queue what earlier runs left, then capture and inspect."""
        if self.setup.enabled:
            self._handing_over.start()
            self._inspecting.start()
            self._capture.start()

    def close(self) -> None:
        """Begin to end: no frame is captured any more."""
        self._capture.close()
        self._inspecting.close()
        self._handing_over.stop_waiting_for_room()

    def quiesce(self, timeout_s: float = 2.0) -> bool:
        """End capturing, and wait until what was captured is inspected, recorded and queued; whether it is."""
        if not self.setup.enabled:
            return True
        self.close()
        deadline_s = time.monotonic() + timeout_s
        recorded = self._inspecting.wait_recorded(timeout_s)
        self._handing_over.close()
        return self._handing_over.join(max(0.0, deadline_s - time.monotonic())) and recorded

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Join the threads; whether all have ended."""
        if not self.setup.enabled:
            return True
        self.close()
        self._handing_over.close()
        deadline_s = time.monotonic() + timeout_s
        ended = [
            part.join(max(0.0, deadline_s - time.monotonic()))
            for part in (self._capture, self._inspecting, self._handing_over)
        ]
        return all(ended)

    def snapshot(self) -> dict[str, Any]:
        """What health, page and `/api/state` show of it; never blocks. Times are Unix time, ages in seconds."""
        captured, handed_over = self._capture.status(), self._handing_over.counts()
        return {
            "name": self.name,
            **self._state(captured),
            "source": self.setup.source.source,
            "opening": captured.opening and self.setup.enabled,
            "ended": self._capture.ended or (self._capture.closed and self.setup.enabled),
            "live": self._capture.live,
            "frame_rate": self._capture.frame_rate,
            "captured_age_s": captured.frame_age_s,
            "skipped": captured.skipped,
            "reconnects": captured.reconnects,
            **self._tallies.snapshot(time.monotonic()),
            "evidence_files": handed_over.evidence_files,
            "evidence_skipped": handed_over.evidence_skipped,
            "evidence_trouble": self._handing_over.skipped_why,
            "not_kept": self._handing_over.not_kept,
            "waiting_records": handed_over.waiting,
            "records": self._records.snapshot(),
            "inspection": self._inspecting.snapshot(),
            "events": [
                {"at_s": event.at_s, "state": event.state, "reason": event.reason} for event in self._events.copy()
            ],
        }

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`."""
        parts = (self._capture, self._inspecting, self._handing_over) if self.setup.enabled else ()
        return [state for part in parts for state in part.threads()]

    def _state(self, captured: CaptureStatus) -> dict[str, Any]:
        if not self.setup.enabled:
            return {"state": "disabled", "reason": "it is switched off in the settings", "since_s": captured.since_s}
        return {"state": captured.state, "reason": captured.reason, "since_s": captured.since_s}

    def picture(self) -> Picture | None:
        """The latest inspected frame with its parts marked, to be drawn."""
        latest = self._inspecting.latest
        if latest is None:
            return None
        marks = []
        for part in latest.inspected.parts:
            label = latest.labels.get(part.part_id, "")
            box = part.box
            text = f"{part.part_id} {label}".strip()
            marks.append(DrawnMark(box.x, box.y, box.width, box.height, text, alarm=self._tallies.is_defect(label)))
        return Picture(latest.frame.number, latest.frame.image, tuple(marks))
