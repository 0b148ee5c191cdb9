"""Health: ages and states become one sentence and a readiness.

"The process runs" says nothing about a production line: the picture may be ten minutes old and every thread
alive. So this service looks at ages and states from outside, a little apart from what it judges, and says in
one sentence what an operator has to know.

The rules:
- Judging is a pure function of (facts, now); gathering the facts is all the thread does besides.
- Ready means: Iris records what the line produces and will deliver it. A link that is down leaves Iris ready
  (files are kept and go out later; that is what Iris is for), and the sentence says so. A camera that stands
  still, an uploader that does not run or a full disk do not.
- A change of state is logged once. Figures in a sentence may move; what is wrong with what is the state.
- Who watches the watcher: `snapshot()` says so itself when the last look is too long ago.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

log = logging.getLogger(__name__)


class CameraView(Protocol):
    """What health reads of a camera."""

    def snapshot(self) -> Mapping[str, Any]:
        """`{"name", "state": "online|stalled|offline|disabled", "frame_age_s": float | None, ...}`."""


class UploaderView(Protocol):
    """What health reads of the uploader."""

    def get_details(self) -> Mapping[str, Any]:
        """`{"running", "state", "stats", "oldest_waiting_s", "servers", "dead", "last_error", ...}`."""


class State(StrEnum):
    READY = "ready"
    ATTENTION = "attention"  # it works, and somebody should know something
    UNREADY = "unready"


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on an age or a size is worth a word."""

    stalled_after_s: float = 5.0
    waiting_long_s: float = 600.0
    disk_low_bytes: int = 200 * 1024**2
    disk_full_bytes: int = 20 * 1024**2


@dataclass(frozen=True, slots=True)
class CameraFacts:
    name: str
    state: str
    frame_age_s: float | None


@dataclass(frozen=True, slots=True)
class LinkFacts:
    server: str
    link: str
    since_s: float
    reason: str | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look found; sizes in bytes, ages in seconds, `since_s` in Unix time."""

    cameras: tuple[CameraFacts, ...]
    uploader_running: bool
    uploader_state: str
    uploader_error: str | None
    links: tuple[LinkFacts, ...]
    waiting: int
    oldest_waiting_s: float | None
    given_up: int
    disk_free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing worth a word. `key` (what is wrong with what) stays the same while only its figures move."""

    key: str
    words: str
    leaves_ready: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    state: State
    sentence: str
    reasons: tuple[Reason, ...]

    @property
    def ready(self) -> bool:
        return self.state is not State.UNREADY


NOT_LOOKED_YET = Judgement(State.UNREADY, "Iris is starting: nothing has been looked at yet.", ())


def judge(facts: Facts, now_s: float, limits: Limits = Limits()) -> Judgement:
    """One sentence and a readiness; `now_s` is Unix time, as the facts' `since_s`."""
    reasons = [
        *_camera_reasons(facts.cameras, limits),
        *_uploader_reasons(facts),
        *_link_reasons(facts.links, now_s),
        *_backlog_reasons(facts, limits),
        *_disk_reasons(facts.disk_free_bytes, limits),
    ]
    against = [reason for reason in reasons if not reason.leaves_ready]
    for_notice = [reason for reason in reasons if reason.leaves_ready]
    words = "; ".join(reason.words for reason in against + for_notice)
    if against:
        return Judgement(State.UNREADY, f"Iris is not ready: {words}.", (*against, *for_notice))
    if for_notice:
        return Judgement(State.ATTENTION, f"Iris works, but {words}.", tuple(for_notice))
    return Judgement(State.READY, _all_is_well(facts), ())


def _not_ready(key: str, words: str) -> Judgement:
    reason = Reason(key, words, leaves_ready=False)
    return Judgement(State.UNREADY, f"Iris is not ready: {words}.", (reason,))


def _all_is_well(facts: Facts) -> str:
    if facts.waiting == 0:
        return "Iris works: every file is delivered."
    return f"Iris works: {_files(facts.waiting)} on the way."


def _camera_reasons(cameras: Sequence[CameraFacts], limits: Limits) -> list[Reason]:
    reasons = []
    for camera in cameras:
        problem = _camera_problem(camera, limits)
        if problem is not None:
            kind, words = problem
            reasons.append(Reason(f"camera {camera.name} {kind}", words, leaves_ready=kind == "disabled"))
    return reasons


def _camera_problem(camera: CameraFacts, limits: Limits) -> tuple[str, str] | None:
    if camera.state == "disabled":
        return "disabled", f"camera {camera.name} is switched off"
    if camera.state == "offline":
        return "offline", f"camera {camera.name} is offline"
    if camera.frame_age_s is None:
        return "no picture", f"camera {camera.name} has given no picture yet"
    # The camera's own word is not enough: its threads may hang with the state still "online".
    if camera.state == "stalled" or camera.frame_age_s > limits.stalled_after_s:
        return "stalled", f"camera {camera.name} has given no new picture for {in_words(camera.frame_age_s)}"
    return None


def _uploader_reasons(facts: Facts) -> list[Reason]:
    if not facts.uploader_running:
        why = f": {facts.uploader_error}" if facts.uploader_error else ""
        words = f"the uploader is not running ({facts.uploader_state}{why}), nothing is delivered until it runs"
        return [Reason("uploader not running", words, leaves_ready=False)]
    if facts.uploader_state == "draining":
        return [Reason("uploader draining", "the uploader is finishing what waits and will stop", leaves_ready=True)]
    return []


def _link_reasons(links: Sequence[LinkFacts], now_s: float) -> list[Reason]:
    reasons = []
    for link in links:
        if link.link != "down":
            continue
        why = f" ({link.reason})" if link.reason else ""
        waits = f", {_files(link.waiting)} waiting until it is back" if link.waiting else ""
        age = in_words(max(0.0, now_s - link.since_s))
        words = f"the link to {link.server} has been down for {age}{why}{waits}"
        reasons.append(Reason(f"link {link.server} down", words, leaves_ready=True))
    return reasons


def _backlog_reasons(facts: Facts, limits: Limits) -> list[Reason]:
    reasons = []
    explained = not facts.uploader_running or any(link.link == "down" for link in facts.links)
    oldest_s = facts.oldest_waiting_s
    if not explained and oldest_s is not None and oldest_s > limits.waiting_long_s:
        words = f"the oldest of {_files(facts.waiting)} has waited {in_words(oldest_s)} although no link is down"
        reasons.append(Reason("backlog old", words, leaves_ready=True))
    if facts.given_up:
        words = f"{_files(facts.given_up)} could not be delivered and {_need(facts.given_up)} somebody to look"
        reasons.append(Reason("files given up", words, leaves_ready=True))
    return reasons


def _disk_reasons(free_bytes: int | None, limits: Limits) -> list[Reason]:
    if free_bytes is None or free_bytes > limits.disk_low_bytes:
        return []
    free = f"{free_bytes // 1024**2} MiB"
    if free_bytes <= limits.disk_full_bytes:
        words = f"the disk of the outbox is full ({free} left), new files cannot be accepted"
        return [Reason("disk full", words, leaves_ready=False)]
    return [Reason("disk low", f"the disk of the outbox has only {free} left", leaves_ready=True)]


def in_words(age_s: float) -> str:
    """An age as a person says it: `8 s`, `3 min`, `2 h`, `4 days`."""
    if age_s < 100:
        return f"{age_s:.0f} s"
    if age_s < 100 * 60:
        return f"{age_s / 60:.0f} min"
    if age_s < 48 * 3600:
        return f"{age_s / 3600:.0f} h"
    return f"{age_s / 86400:.0f} days"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _need(count: int) -> str:
    return "needs" if count == 1 else "need"


def gather(cameras: Sequence[CameraView], uploader: UploaderView, disk_free_bytes: int | None) -> Facts:
    """Read the states now; blocks as little as the given objects do."""
    details = uploader.get_details()
    servers: Mapping[str, Mapping[str, Any]] = details["servers"]
    return Facts(
        cameras=tuple(
            CameraFacts(seen["name"], seen["state"], seen["frame_age_s"])
            for seen in (camera.snapshot() for camera in cameras)
        ),
        uploader_running=bool(details["running"]),
        uploader_state=str(details["state"]),
        uploader_error=details.get("last_error"),
        links=tuple(
            LinkFacts(name, server["link"], server["since_s"], server["reason"], server["waiting"])
            for name, server in servers.items()
        ),
        waiting=details["stats"]["queue_size"],
        oldest_waiting_s=details["oldest_waiting_s"],
        given_up=len(details["dead"]),
        disk_free_bytes=disk_free_bytes,
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
        cameras: Sequence[CameraView],
        uploader: UploaderView,
        outbox_dir: Path | None = None,
        limits: Limits = Limits(),
        period_s: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cameras = cameras
        self._uploader = uploader
        self._outbox_dir = outbox_dir
        self._limits = limits
        self._period_s = period_s
        self._wall = wall
        self._monotonic = monotonic
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
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
        try:
            free = _free_bytes(self._outbox_dir)
            judgement = judge(gather(self._cameras, self._uploader, free), self._wall(), self._limits)
        except Exception as error:
            # Cameras and uploader are other people's code: one that fails here is itself news, told once.
            free = None
            words = f"camera and uploader could not be looked at ({type(error).__name__}: {error})"
            judgement = _not_ready("look failed", words)
            if "look failed" not in self._last.keys:
                log.exception("health: camera and uploader could not be looked at")
        self._remember(judgement, free)

    def snapshot(self) -> dict[str, Any]:
        """`{"ready": bool, "state": "ready|attention|unready", "sentence": str, "reasons": [str], ...}`.

        Besides: `since_s` (Unix time the state began; None before the first look), `looked_age_s`,
        `disk_free_bytes` (None when unknown).
        """
        last = self._last
        looked_age_s = max(0.0, self._monotonic() - last.at_monotonic_s)
        judgement = last.judgement
        if last.since_s is not None and looked_age_s > 10 * max(self._period_s, 1.0):
            judgement = _not_ready("health", f"health has not looked for {in_words(looked_age_s)}")
        return {
            "ready": judgement.ready,
            "state": judgement.state.value,
            "sentence": judgement.sentence,
            "reasons": [reason.words for reason in judgement.reasons],
            "since_s": last.since_s,
            "looked_age_s": round(looked_age_s, 3),
            "disk_free_bytes": last.disk_free_bytes,
        }

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


def _free_bytes(folder: Path | None) -> int | None:
    if folder is None:
        return None
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None  # not made yet, or gone: the uploader's own state tells which
