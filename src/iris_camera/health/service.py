"""The health service: a thread that checks cameras, uploader and disks once a period and keeps the judgement.

It only reads public snapshots; judging itself is in judging.py, and change_log.py decides which changes are logged.

The rules:
- The list of cameras is read at each check: they come and go while Iris runs.
- `snapshot()` itself reports when the last check is too long ago, because the health thread may hang too.

What goes wrong: a camera whose `snapshot()` raises is reported as offline, the others are judged as usual; a disk that
does not answer blocks the check, and `snapshot()` then reports that health is silent.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from iris_camera.health.change_log import ChangeLog
from iris_camera.health.facts import USUAL, Around, DiskFacts, Facts, HealthLimits
from iris_camera.health.gathering import counts_in, gather, thread_facts
from iris_camera.health.judging import NOT_LOOKED_YET, Judgement, failed, judge
from iris_camera.health.recent_counts import RecentCounts
from iris_camera.health.sentences import age_text
from iris_camera.health.storage import folder_facts
from iris_communication.runtime.supervised_thread import SupervisedThread

log = logging.getLogger(__name__)


class CameraView(Protocol):
    """What health and the page read of a camera."""

    @property
    def name(self) -> str: ...

    def snapshot(self) -> Mapping[str, Any]:
        """`{"name", "state": "online|stalled|offline|disabled", "reason", "since_s", "frame_age_s", "frame_rate",
        "live", "inspection": {"state": "running|restarting|stopped", "restarts", "reason"}, ...}`; never blocks."""


class UploaderView(Protocol):
    """What health and the page read of the uploader."""

    def get_details(self) -> Mapping[str, Any]:
        """`{"running", "state", "stats", "oldest_waiting_s", "servers", "dead", "last_error", ...}`."""


@dataclass(frozen=True, slots=True)
class _Check:
    """The last check; replaced as a whole, so that readers need no lock."""

    judgement: Judgement
    at_monotonic_s: float
    since_s: float | None = None
    disk_free_bytes: int | None = None
    keys: frozenset[tuple[str, str]] = field(default_factory=frozenset)


class HealthService:
    """Checks once a period in a thread of its own; `snapshot()` returns the last check's result, from any thread."""

    def __init__(  # noqa: PLR0913 - what to check, and the clocks and period for tests
        self,
        *,
        cameras: Callable[[], Sequence[CameraView]],
        uploader: UploaderView,
        outbox_dir: Path | None = None,
        records_dir: Path | None = None,
        around: Callable[[], Around] = Around,
        threads: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
        limits: HealthLimits = USUAL,
        period_s: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`cameras`, `around` and `threads` (`{"name", "running", "reason", "restarts"}` each, besides those that the
        uploader reports) are called at each check; the check also measures the free space of the two folders' disks."""
        self._cameras = cameras
        self._uploader = uploader
        self._outbox_dir = outbox_dir
        self._records_dir = records_dir
        self._around = around
        self._threads = threads
        self._limits = limits
        self._period_s = period_s
        self._wall = wall
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._thread: SupervisedThread | None = None
        self._counts = RecentCounts(limits.lately_s, {})
        self._log = ChangeLog(log)
        self._mute: set[str] = set()
        self._last = _Check(NOT_LOOKED_YET, monotonic())

    def start(self) -> None:
        """Check once, so that there is a result, then go on in a thread. A second call does nothing."""
        if self._thread is not None:
            return
        self.check()
        self._thread = SupervisedThread(self._run, "iris-health")
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread; returns after `timeout_s` at the latest (a check may hang on a dead disk)."""
        self._stop.set()
        if self._thread is not None:
            self._thread.let_end()
            self._thread.join(timeout_s)

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`."""
        return [] if self._thread is None else [self._thread.state()]

    def check(self) -> None:
        """One check: gather, judge, remember; log when the reasons differ from before."""
        free_bytes = None
        try:
            disk = DiskFacts(folder_facts(self._outbox_dir), folder_facts(self._records_dir))
            free_bytes = disk.outbox.free_bytes
            judgement = judge(self._gather(disk), self._wall(), self._limits)
        except Exception as error:
            # The uploader is injected: its failure is a condition of its own, logged once.
            judgement = failed("health silent", f"Iris could not be looked at ({type(error).__name__}: {error})")
            if ("health silent", "") not in self._last.keys:
                log.exception("health: the check of Iris itself failed")
        self._remember(judgement, free_bytes)

    def snapshot(self) -> dict[str, Any]:
        """`{"ready": bool, "severity": "working|degraded|needs you|failed", "sentence": str, "reasons": [str], ...}`.

        Besides: `state` (`ready|attention|unready`, for older programs), `since_s` (Unix time the state began; None
        before the first check), `looked_age_s` (age of the last check), `disk_free_bytes` (of the outbox; None when
        unknown).
        """
        last = self._last
        looked_age_s = max(0.0, self._monotonic() - last.at_monotonic_s)
        judgement = last.judgement
        if last.since_s is not None and looked_age_s > self._limits.silent_after_s:
            judgement = failed("health silent", f"health has not looked for {age_text(looked_age_s)}")
        return {
            "ready": judgement.ready,
            "state": judgement.state.value,
            "severity": judgement.severity.value,
            "sentence": judgement.sentence,
            "reasons": [reason.text for reason in judgement.reasons if reason.text],
            "since_s": last.since_s,
            "looked_age_s": round(looked_age_s, 3),
            "disk_free_bytes": last.disk_free_bytes,
        }

    def _gather(self, disk: DiskFacts) -> Facts:
        seen = [self._ask(camera) for camera in self._cameras()]
        uploader = self._uploader.get_details()
        threads = [*uploader.get("threads", ()), *self._threads()]
        self._counts = self._counts.seen(counts_in(seen, threads), self._monotonic())
        around = replace(self._around(), threads=thread_facts(threads, self._counts.lately))
        return gather(seen, uploader, disk, around, self._counts.lately)

    def _ask(self, camera: CameraView) -> Mapping[str, Any]:
        """Its snapshot, or a replacement if that raises: one camera's failure must not hide the others."""
        try:
            seen = camera.snapshot()
        except Exception as error:
            if camera.name not in self._mute:
                self._mute.add(camera.name)
                log.exception("health: camera %s did not report its state", camera.name)
            return cannot_be_asked(camera.name, error)
        self._mute.discard(camera.name)
        return seen

    def _remember(self, judgement: Judgement, disk_free_bytes: int | None) -> None:
        before, now_s = self._last, self._monotonic()
        keys = frozenset(reason.key for reason in judgement.reasons)
        changed = before.since_s is None or keys != before.keys
        since_s = self._wall() if changed else before.since_s
        self._last = _Check(judgement, now_s, since_s, disk_free_bytes, keys)
        self._log.seen(judgement, now_s)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.check()


def cannot_be_asked(name: str, error: Exception) -> dict[str, Any]:
    """The replacement for the snapshot of a camera whose `snapshot()` raised."""
    reason = f"it could not be asked: {type(error).__name__}: {error}"
    return {"name": name, "state": "offline", "reason": reason, "since_s": None, "frame_age_s": None}
