"""`iris demo`: everything once, from the synthetic line to a real SFTP server, with an outage in the middle.

Everything but the line is real: models, record files, outbox, SSH and SFTP over loopback to another process. In the
middle third of the run that process resets the connection and refuses new ones, and every few uploads it refuses one,
which is then tried again. Record files travel together in archives; pictures of defects travel alone, and first. The
figures of the summary are measured in this run, against the record files as they were written, not against the
uploader's own counters; only the order of arrival and the repeated attempts are read from its ledger.
"""

import contextlib
import dataclasses
import functools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from iris_camera import app
from iris_camera.application import Application
from iris_camera.camera.synthetic import SyntheticLine
from iris_camera.config import CameraSettings, Config, OutboxSettings, ServerSettings, WebSettings
from iris_camera.controllers.observers import Observers
from iris_camera.demo.audit import DemoAudit
from iris_camera.demo.deliveries import Deliveries, Outage, deliveries_from
from iris_camera.demo.display import Display
from iris_camera.demo.keys import wait_for_the_user
from iris_camera.demo.score import Rates, Score
from iris_camera.demo.sftp_server import DemoServer
from iris_camera.demo.story import Story, phase_at
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.settings import RecordSettings
from iris_camera.signals import listening_to_signals
from iris_communication.admin.audit import Audit as OutboxAudit
from iris_communication.settings import DeliverySettings, Rule

CAMERA = "line-1"
ROTATE_AFTER_S = 1.5  # short, so that many files are delivered
# The classifier is right for 98 of 100 pictures: the worst of twenty verdicts on a good part is too often a wrong one.
JUDGED_ONCE = InspectionSettings(verdict="first")
DELIVERY = DeliverySettings(  # all of it short, as a demo's outage is
    retry_base_s=0.5,
    breaker_base_s=0.5,
    breaker_cap_s=2.0,
    lower_share=0.0,  # its backlog is a dozen uploads: a tenth of them would be half of the tables
    # Longer than a record file grows: so archives hold several files also without an outage.
    rules={"tables": Rule(pattern="*.csv", batch="zip", batch_wait_s=2.0)},
)
ROUND_S = 45.0  # an endless run has an outage in the middle third of each of these
LOOK_S = 0.1
FIRST_FRAME_S = 10.0
QUIESCE_S = 2.0
DRAIN_S = 30.0  # for the backlog, after the last frame
PAGE_SHOWS_S = 0.6  # the final state, before the server stops: the page gets four states a second


@dataclass(frozen=True, slots=True)
class DemoOptions:
    seconds: float = ROUND_S  # 0: until stopped
    seed: int = 1
    port: int | None = None  # None: 5000, or a free one when that is in use
    outbox_dir: Path | None = None  # None: a temporary one
    as_json: bool = False
    stays: bool = False  # on a terminal, with the final figures, until the user ends it


def run_demo(options: DemoOptions, out: TextIO, display: Display, story: Story) -> int:
    """The exit status: 0 only if nothing is lost, nothing partial was ever visible, and the backlog drained.

    Raises CannotServe, DemoServerError, IrisError before anything runs.
    """
    with _folders(options.outbox_dir) as (work, outbox_dir):
        received = work / "received"
        score, audit = Score(SyntheticLine(options.seed, name=CAMERA)), DemoAudit(received)
        server = DemoServer(received, refuses=True)
        try:
            config = Config(
                cameras={CAMERA: CameraSettings(source="synthetic", seed=options.seed)},
                inspection=JUDGED_ONCE,
                records=RecordSettings(folder=work / "records", age_s_max=ROTATE_AFTER_S),
                servers={"demo": ServerSettings(**server.start().server_info("/incoming"))},
                delivery=DELIVERY,
                outbox=OutboxSettings(folder=outbox_dir),
                web=_web(options.port),
            )
            observers = Observers(score.count, audit.written, audit.written)
            application = Application(config, observers=observers, notice=lambda: f"Demo, {story.sentence}.")
            with listening_to_signals(application.request_stop), _running(application):
                # With --json standard output is for a program, and holds only the JSON.
                stream = sys.stderr if options.as_json else out
                print(f"The page is at {application.web_address}", file=stream, flush=True)
                run = _Run(options.seconds, application, server, score, display, story)
                with display:
                    summary = run.carry_out()
                    verified, lost, partial = audit.finish()
                    summary |= {"csv_files": audit.csv_files, "evidence_files": audit.evidence_files}
                    summary |= {"delivered_verified": verified, "lost": lost, "partial_visible": partial}
                    ledger = OutboxAudit(outbox_dir).ledger()
                    summary |= dataclasses.asdict(deliveries_from(ledger, config.records_dir, run.outages))
                    good = not (lost or partial or summary["queue_size"] or summary["total_failed"])
                    story.sentence = _end_sentence(summary, good=good)
                    stays = options.stays and display.is_terminal and not run.was_stopped
                    if stays:
                        wait_for_the_user(application.wait, functools.partial(display.stay, summary, good=good))
                    else:
                        time.sleep(PAGE_SHOWS_S)
                    app.cleanup_threads()
        finally:
            server.stop()
        if not stays:
            display.summary(summary, good=good)
        if options.as_json:
            print(json.dumps({key: summary[key] for key in SUMMARY_KEYS}), file=out, flush=True)
        return 0 if good else 1


SUMMARY_KEYS = (
    *("seconds", "frames", "camera_fps", "camera_fps_during_outage", "parts", "defects", "csv_files", "evidence_files"),
    *("total_queued", "total_uploaded", "total_failed", "queue_size", "outage_seconds"),
    *("delivered_verified", "lost", "partial_visible", "detector_recall", "classifier_accuracy"),
    *(each.name for each in dataclasses.fields(Deliveries)),
)


def _end_sentence(summary: dict[str, Any], *, good: bool) -> str:
    written = summary["csv_files"] + summary["evidence_files"]
    proof = f"the end: {summary['delivered_verified']} of {written} files are on the server, whole, compared by SHA-256"
    return proof if good else f"{proof}; lost {summary['lost']}, partial {summary['partial_visible']}"


def _web(port: int | None) -> WebSettings:
    if port is None:
        return WebSettings(port_falls_back=True, page_required=True)
    return WebSettings(port=port, page_required=True)


class _Run:
    """The timeline: up, outage, up again; then the end in order."""

    def __init__(
        self, seconds: float, application: Application, server: DemoServer, score: Score, display: Display, story: Story
    ) -> None:
        self._seconds = seconds
        self._application = application
        self._server = server
        self._score = score
        self._display = display
        self._story = story
        self.was_stopped = False  # before its time, by the user
        self._outage_seconds = 0.0
        self._down_since_s: float | None = None
        self._went_down_at_s = 0.0  # wall time
        self.outages: list[Outage] = []

    def carry_out(self) -> dict[str, Any]:
        score = self._score
        self._wait_for_first_frame()
        start_s, frames, frames_in_outage = time.monotonic(), score.frames, score.frames_in_outage
        while not self.was_stopped:
            elapsed_s = time.monotonic() - start_s
            if self._seconds and elapsed_s >= self._seconds:
                break
            self._follow_plan(elapsed_s)
            self._display.update(self._application.snapshot())
            self.was_stopped = self._application.wait(LOOK_S)
        self._set_outage(down=False)
        rates = Rates(
            time.monotonic() - start_s,
            self._outage_seconds,
            score.frames - frames,
            score.frames_in_outage - frames_in_outage,
        )
        self._end()
        return {
            "seconds": round(rates.seconds, 1),
            "frames": rates.frames,
            "camera_fps": rates.outside,
            "camera_fps_during_outage": rates.during_outage,
            "parts": score.parts,
            "defects": score.defects,
            "outage_seconds": round(rates.outage_seconds, 1),
            "detector_recall": score.detector_recall,
            "classifier_accuracy": score.classifier_accuracy,
            **self._application.uploader.get_stats(),
        }

    def _wait_for_first_frame(self) -> None:
        """So that the rates exclude the loading of models."""
        deadline_s = time.monotonic() + FIRST_FRAME_S
        while not self._score.frames and time.monotonic() < deadline_s and not self._application.wait(0.01):
            pass

    def _follow_plan(self, elapsed_s: float) -> None:
        phase = phase_at(elapsed_s, self._seconds or ROUND_S)
        announcement = self._story.enter(phase)
        if announcement is not None:
            self._display.say(announcement)
        self._set_outage(down=phase.is_outage)

    def _set_outage(self, *, down: bool) -> None:
        if down == (self._down_since_s is not None):
            return
        if down:
            self._server.outage()
            self._down_since_s, self._went_down_at_s = time.monotonic(), time.time()
        else:
            assert self._down_since_s is not None, "it was down"
            self._outage_seconds += time.monotonic() - self._down_since_s
            self._down_since_s = None
            self.outages.append(Outage(self._went_down_at_s, time.time()))
            self._server.recover()
        self._score.in_outage = down

    def _end(self) -> None:
        """Close the records, and let the backlog drain; the page still shows it."""
        self._story.end()
        self._application.lineup.quiesce(QUIESCE_S)
        deadline_s = time.monotonic() + DRAIN_S
        uploader = self._application.uploader
        while uploader.get_stats()["queue_size"] and time.monotonic() < deadline_s and uploader.running:
            self._display.update(self._application.snapshot())
            time.sleep(LOOK_S)
        self._display.update(self._application.snapshot())


@contextlib.contextmanager
def _running(application: Application) -> Iterator[None]:
    """Stops the application in order before its folders are removed, also if the demo fails."""
    app.start(application)
    try:
        yield
    finally:
        app.cleanup_threads()


@contextlib.contextmanager
def _folders(outbox_dir: Path | None) -> Iterator[tuple[Path, Path]]:
    """A fresh working folder, and the outbox's: within it unless one was given. A given one is kept."""
    work = Path(tempfile.mkdtemp(prefix="iris-demo-"))
    try:
        yield work, outbox_dir or work / "outbox"
    finally:
        shutil.rmtree(work, ignore_errors=True)
