"""The health service: a thread that looks at cameras, uploader and disks once a period and remembers the judgement.

It looks from outside, a little apart from what it judges; judging itself is in judging.py, and which changes are worth
a line of the log in change_log.py.

The rules:
- Which cameras there are is asked at each look: they come and go while Iris runs.
- Who watches the watcher: `snapshot()` says so itself when the last look is too long ago.

What goes wrong: a camera that cannot be asked costs its own word only; a disk that does not answer hangs the look,
and then the silence tells.
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
from iris_camera.health.storage import look_at
from iris_camera.health.sentences import age_text
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
class _Look:
    """The last look; replaced as a whole, so that readers need no lock."""

    judgement: Judgement
    at_monotonic_s: float
    since_s: float | None = None
    disk_free_bytes: int | None = None
    keys: frozenset[tuple[str, str]] = field(default_factory=frozenset)


class HealthService:
    """Looks once a period from a thread of its own; `snapshot()` tells the last look from any thread."""

    def __init__(  # noqa: PLR0913 - whom to look at, and what of the machine, for tests
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
        uploader names) are called at each look; of the disks behind the two folders the room is looked at."""
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
        self._last = _Look(NOT_LOOKED_YET, monotonic())

    def start(self) -> None:
        """Look once, so that there is an answer, then go on in a thread. A second call does nothing."""
        if self._thread is not None:
            return
        self.look()
        self._thread = SupervisedThread(self._run, "iris-health")
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread; returns after `timeout_s` at the latest (a look may hang on a dead disk)."""
        self._stop.set()
        if self._thread is not None:
            self._thread.let_end()
            self._thread.join(timeout_s)

    def threads(self) -> list[dict[str, Any]]:
        """See `SupervisedThread.state`."""
        return [] if self._thread is None else [self._thread.state()]

    def look(self) -> None:
        """Gather, judge, remember; log when the state is another than before."""
        free_bytes = None
        try:
            disk = DiskFacts(look_at(self._outbox_dir), look_at(self._records_dir))
            free_bytes = disk.outbox.free_bytes
            judgement = judge(self._gather(disk), self._wall(), self._limits)
        except Exception as error:
            # The uploader is other people's code: one that fails here is itself news, told once.
            judgement = failed("health silent", f"Iris could not be looked at ({type(error).__name__}: {error})")
            if ("health silent", "") not in self._last.keys:
                log.exception("health: the check of Iris itself failed")
        self._remember(judgement, free_bytes)

    def snapshot(self) -> dict[str, Any]:
        """`{"ready": bool, "severity": "working|degraded|needs you|failed", "sentence": str, "reasons": [str], ...}`.

        Besides: `state` (`ready|attention|unready`, for those that read it before there was a severity), `since_s`
        (Unix time the state began; None before the first look), `looked_age_s`, `disk_free_bytes` (of the outbox; None
        when unknown).
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
        """Its snapshot; where it fails, what can be said of it: one camera's trouble hides no other's."""
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
        self._last = _Look(judgement, now_s, since_s, disk_free_bytes, keys)
        self._log.seen(judgement, now_s)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.look()


def cannot_be_asked(name: str, error: Exception) -> dict[str, Any]:
    """What is said of a camera whose `snapshot()` raised."""
    reason = f"it could not be asked: {type(error).__name__}: {error}"
    return {"name": name, "state": "offline", "reason": reason, "since_s": None, "frame_age_s": None}
