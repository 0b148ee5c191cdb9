"""The health service: a thread that looks at cameras, uploader and disks once a period and remembers the judgement.

It looks from outside, a little apart from what it judges; judging itself is in judging.py.

The rules:
- Which cameras there are is asked at each look: they come and go while Iris runs.
- A change of state is logged once. Figures in a sentence may move; what is wrong with what is the state.
- Who watches the watcher: `snapshot()` says so itself when the last look is too long ago.

What goes wrong: a camera that cannot be asked costs its own word only; a disk that does not answer hangs the look,
and then the silence tells.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from iris_camera.health.judging import (
    NOT_LOOKED_YET,
    USUAL,
    CameraFacts,
    DiskFacts,
    Facts,
    Judgement,
    Limits,
    LinkFacts,
    State,
    in_words,
    judge,
    not_ready,
)
from iris_camera.health.recent_restarts import RecentRestarts

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


def gather(
    cameras: Sequence[Mapping[str, Any]], uploader: Mapping[str, Any], disk: DiskFacts, restarts: RecentRestarts
) -> Facts:
    """From the snapshots of the cameras and the details of the uploader."""
    servers: Mapping[str, Mapping[str, Any]] = uploader["servers"]
    return Facts(
        cameras=tuple(_camera_facts(seen, restarts) for seen in cameras),
        uploader_running=bool(uploader["running"]),
        uploader_state=str(uploader["state"]),
        uploader_error=uploader.get("last_error"),
        links=tuple(
            LinkFacts(name, server["link"], server["since_s"], server["reason"], server["waiting"])
            for name, server in servers.items()
        ),
        waiting=uploader["stats"]["queue_size"],
        oldest_waiting_s=uploader["oldest_waiting_s"],
        given_up=len(uploader["dead"]),
        disk=disk,
    )


def _camera_facts(seen: Mapping[str, Any], restarts: RecentRestarts) -> CameraFacts:
    """A camera may leave out what it has not: the reason, its inspection."""
    inspection = seen.get("inspection") or {}
    return CameraFacts(
        name=seen["name"],
        state=seen["state"],
        reason=seen.get("reason"),
        since_s=seen.get("since_s"),
        frame_age_s=seen["frame_age_s"],
        frame_rate=seen.get("frame_rate"),
        live=seen.get("live", True),
        inspection=inspection.get("state", "running"),
        inspection_reason=inspection.get("reason"),
        restarts_lately=restarts.lately(seen["name"]),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """The last look; replaced as a whole, so that readers need no lock."""

    judgement: Judgement
    at_monotonic_s: float
    since_s: float | None = None
    disk_free_bytes: int | None = None
    keys: frozenset[str] = field(default_factory=frozenset)


class HealthService:
    """Looks once a period from a thread of its own; `snapshot()` tells the last look from any thread."""

    def __init__(
        self,
        *,
        cameras: Callable[[], Sequence[CameraView]],
        uploader: UploaderView,
        outbox_dir: Path | None = None,
        records_dir: Path | None = None,
        limits: Limits = USUAL,
        period_s: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`cameras` is called at each look; of the disks behind the two folders the free space is looked at."""
        self._cameras = cameras
        self._uploader = uploader
        self._outbox_dir = outbox_dir
        self._records_dir = records_dir
        self._limits = limits
        self._period_s = period_s
        self._wall = wall
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._restarts = RecentRestarts(limits.lately_s, {})
        self._mute: set[str] = set()
        self._last = _Look(NOT_LOOKED_YET, monotonic())

    def start(self) -> None:
        """Look once, so that there is an answer, then go on in a thread. A second call does nothing."""
        if self._thread is not None:
            return
        self.look()
        self._thread = threading.Thread(target=self._run, name="iris-health", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """End the thread; returns after `timeout_s` at the latest (a look may hang on a dead disk)."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def look(self) -> None:
        """Gather, judge, remember; log when the state is another than before. Raises nothing."""
        free_bytes = None
        try:
            disk = self._disk()
            free_bytes = disk.outbox_free_bytes
            judgement = judge(self._gather(disk), self._wall(), self._limits)
        except Exception as error:
            # The uploader is other people's code: one that fails here is itself news, told once.
            judgement = not_ready("look failed", f"Iris could not be looked at ({type(error).__name__}: {error})")
            if "look failed" not in self._last.keys:
                log.exception("health: Iris could not be looked at")
        self._remember(judgement, free_bytes)

    def snapshot(self) -> dict[str, Any]:
        """`{"ready": bool, "state": "ready|attention|unready", "sentence": str, "reasons": [str], ...}`.

        Besides: `since_s` (Unix time the state began; None before the first look), `looked_age_s`,
        `disk_free_bytes` (of the outbox; None when unknown).
        """
        last = self._last
        looked_age_s = max(0.0, self._monotonic() - last.at_monotonic_s)
        judgement = last.judgement
        if last.since_s is not None and looked_age_s > 10 * max(self._period_s, 1.0):
            judgement = not_ready("health", f"health has not looked for {in_words(looked_age_s)}")
        return {
            "ready": judgement.ready,
            "state": judgement.state.value,
            "sentence": judgement.sentence,
            "reasons": [reason.words for reason in judgement.reasons],
            "since_s": last.since_s,
            "looked_age_s": round(looked_age_s, 3),
            "disk_free_bytes": last.disk_free_bytes,
        }

    def _gather(self, disk: DiskFacts) -> Facts:
        seen = [self._ask(camera) for camera in self._cameras()]
        counts = {camera["name"]: (camera.get("inspection") or {}).get("restarts", 0) for camera in seen}
        self._restarts = self._restarts.seen(counts, self._monotonic())
        return gather(seen, self._uploader.get_details(), disk, self._restarts)

    def _ask(self, camera: CameraView) -> Mapping[str, Any]:
        """Its snapshot; where it fails, what can be said of it: one camera's trouble hides no other's."""
        try:
            seen = camera.snapshot()
        except Exception as error:
            if camera.name not in self._mute:
                self._mute.add(camera.name)
                log.exception("health: camera %s could not be asked for its state", camera.name)
            return cannot_be_asked(camera.name, error)
        self._mute.discard(camera.name)
        return seen

    def _disk(self) -> DiskFacts:
        return DiskFacts(_free_bytes(self._outbox_dir), _free_bytes(self._records_dir))

    def _remember(self, judgement: Judgement, disk_free_bytes: int | None) -> None:
        before = self._last
        keys = frozenset(reason.key for reason in judgement.reasons)
        changed = before.since_s is None or keys != before.keys
        since_s = self._wall() if changed else before.since_s
        self._last = _Look(judgement, self._monotonic(), since_s, disk_free_bytes, keys)
        if changed:
            # At the first look cameras have had no time to give a picture: that is no warning.
            calm = judgement.state is State.READY or before.since_s is None
            level = logging.INFO if calm else logging.WARNING
            log.log(level, "health: %s", judgement.sentence)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.look()


def cannot_be_asked(name: str, error: Exception) -> dict[str, Any]:
    """What is said of a camera whose `snapshot()` raised."""
    reason = f"it could not be asked: {type(error).__name__}: {error}"
    return {"name": name, "state": "offline", "reason": reason, "since_s": None, "frame_age_s": None}


def _free_bytes(folder: Path | None) -> int | None:
    if folder is None:
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None  # not made yet, or gone: the uploader's own state tells which
