"""Judging: ages and states become one sentence and a readiness.

"The process runs" says nothing about a production line: the picture may be ten minutes old and every thread alive.
So what is judged is what an operator would look at, and the answer is what an operator has to know.

The rules:
- A pure function of (facts, now, limits).
- Ready means: Iris records what the line produces and will deliver it. A link that is down leaves Iris ready (files
  are kept and go out later; that is what Iris is for), and the sentence says so. A camera that stands still, an
  inspection that keeps failing, an uploader that does not run or a full disk do not.
- Trouble names whose it is and why, and beside it stands how many cameras work: one of twelve is another day than all.
- What somebody wanted (a camera switched off, a film that came to its end) is a remark, not a warning; unless it
  leaves nothing at work.
- Short blips are the camera's part: its state has settled before it is seen here.

What goes wrong: a camera whose threads hang says "online" for ever, so the age of its picture is looked at as well;
where pictures come when they come (a folder), age says nothing and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    READY = "ready"
    ATTENTION = "attention"  # it works, and somebody should know something
    UNREADY = "unready"


WORST_FIRST = (State.UNREADY, State.ATTENTION, State.READY)
# With twelve cameras behind one dead switch the sentence would fill the page; all reasons stand in the list.
SAID_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on an age, a size or a count is worth a word."""

    stalled_after_s: float = 5.0
    stalled_after_frames: float = 3.0  # of a camera whose frames are further apart than that
    waiting_long_s: float = 600.0
    disk_low_bytes: int = 200 * 1024**2
    disk_full_bytes: int = 20 * 1024**2
    disk_reserve_bytes: int = 0  # of the records' disk: with less, no evidence is written
    restarts_lately: int = 3  # of an inspection, within `lately_s`: it restarts again and again
    lately_s: float = 300.0


USUAL = Limits()


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """One camera at one look. `since_s`: Unix time its state began; `frame_rate`: aimed at, None when nobody said."""

    name: str
    state: str = "online"
    reason: str | None = None
    since_s: float | None = None
    frame_age_s: float | None = None
    frame_rate: float | None = None
    live: bool = True
    inspection: str = "running"
    inspection_reason: str | None = None
    restarts_lately: int = 0


@dataclass(frozen=True, slots=True)
class LinkFacts:
    server: str
    link: str
    since_s: float
    reason: str | None
    waiting: int


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Free bytes of the disks behind the two folders; None where they cannot be told."""

    outbox_free_bytes: int | None = None
    records_free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look found; ages in seconds, `since_s` in Unix time."""

    cameras: tuple[CameraFacts, ...]
    uploader_running: bool
    uploader_state: str
    uploader_error: str | None
    links: tuple[LinkFacts, ...]
    waiting: int
    oldest_waiting_s: float | None
    given_up: int
    disk: DiskFacts = DiskFacts()


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing worth a word, and what it makes of the whole. `key` (what is wrong with what) stays the same while
    only its figures move."""

    key: str
    words: str
    makes: State


@dataclass(frozen=True, slots=True)
class Judgement:
    state: State
    sentence: str
    reasons: tuple[Reason, ...]

    @property
    def ready(self) -> bool:
        return self.state is not State.UNREADY


NOT_LOOKED_YET = Judgement(State.UNREADY, "Iris is starting: nothing has been looked at yet.", ())


def judge(facts: Facts, now_s: float, limits: Limits = USUAL) -> Judgement:
    """One sentence and a readiness; `now_s` is Unix time, as the facts' `since_s`."""
    reasons = [
        *_camera_reasons(facts.cameras, now_s, limits),
        *_uploader_reasons(facts),
        *_link_reasons(facts.links, now_s),
        *_backlog_reasons(facts, limits),
        *_disk_reasons(facts.disk, limits),
    ]
    in_order = tuple(reason for state in WORST_FIRST for reason in reasons if reason.makes is state)
    said = [reason.words for reason in in_order[:SAID_AT_MOST]]
    if len(in_order) > SAID_AT_MOST:
        said.append(f"and {len(in_order) - SAID_AT_MOST} more")
    words, state = "; ".join(said), in_order[0].makes if in_order else State.READY
    if state is State.UNREADY:
        return Judgement(state, f"Iris is not ready: {words}.", in_order)
    if state is State.ATTENTION:
        return Judgement(state, f"Iris works, but {words}.", in_order)
    return Judgement(state, "; ".join([_all_is_well(facts), *said]) + ".", in_order)


def not_ready(key: str, words: str) -> Judgement:
    """For what keeps health itself from looking."""
    return Judgement(State.UNREADY, f"Iris is not ready: {words}.", (Reason(key, words, State.UNREADY),))


def _all_is_well(facts: Facts) -> str:
    if facts.waiting == 0:
        return "Iris works: every file is delivered"
    return f"Iris works: {_files(facts.waiting)} on the way"


# Cameras.


def _camera_reasons(cameras: Sequence[CameraFacts], now_s: float, limits: Limits) -> list[Reason]:
    if not cameras:
        return [Reason("no camera", "there is no camera to inspect", State.ATTENTION)]
    off = [camera for camera in cameras if camera.state == "disabled"]
    if len(off) == len(cameras):
        return [Reason("all cameras disabled", _all_off(off), State.ATTENTION)]
    troubles = {camera: _troubles(camera, now_s, limits) for camera in cameras}
    wanted = len(cameras) - len(off)
    at_work = wanted - sum(any(found.makes is State.UNREADY for found in troubles[camera]) for camera in cameras)
    reasons = []
    if at_work < wanted > 1:
        words = f"{at_work or 'none'} of {wanted} cameras {'works' if at_work <= 1 else 'work'}"
        reasons.append(Reason("cameras at work", words, State.UNREADY))
    reasons += [reason for found in troubles.values() for reason in found]
    return reasons + [Reason(f"camera {camera.name} disabled", _is_off(camera), State.READY) for camera in off]


def _all_off(off: Sequence[CameraFacts]) -> str:
    if len(off) == 1:
        return f"{_is_off(off[0])} and nothing is inspected"
    reasons = {camera.reason for camera in off}
    shared = reasons.pop() if len(reasons) == 1 else None
    return f"all {len(off)} cameras are disabled{_because(shared)} and nothing is inspected"


def _is_off(camera: CameraFacts) -> str:
    return f"camera {camera.name} is disabled{_because(camera.reason)}"


def _troubles(camera: CameraFacts, now_s: float, limits: Limits) -> list[Reason]:
    if camera.state == "disabled":
        return []
    found = [_no_picture(camera, now_s, limits), _no_inspection(camera, limits)]
    return [
        Reason(f"camera {camera.name} {kind}", f"camera {camera.name} {words}", makes)
        for kind, words, makes in filter(None, found)
    ]


def _no_picture(camera: CameraFacts, now_s: float, limits: Limits) -> tuple[str, str, State] | None:
    because, age_s = _because(camera.reason), camera.frame_age_s
    if camera.state == "offline":
        since = "is offline" if camera.since_s is None else f"has been offline for {_age(now_s, camera.since_s)}"
        return "offline", f"{since}{because}", State.UNREADY
    if camera.state == "stalled":
        stands_s = age_s if age_s is not None else max(0.0, now_s - (camera.since_s or now_s))
        return "stalled", f"has given no new picture for {in_words(stands_s)}{because}", State.UNREADY
    if age_s is None:
        waits = State.UNREADY if camera.live else State.ATTENTION
        return "no picture", f"has given no picture yet{because}", waits
    # The camera's own word is not enough: its threads may hang with the state still "online".
    limit_s = _stalled_after_s(camera, limits)
    if limit_s is not None and age_s > limit_s:
        return "stalled", f"has given no new picture for {in_words(age_s)}{because}", State.UNREADY
    return None


def _stalled_after_s(camera: CameraFacts, limits: Limits) -> float | None:
    """None for a source that gives a picture whenever there is one."""
    if camera.frame_rate:
        return max(limits.stalled_after_s, limits.stalled_after_frames / camera.frame_rate)
    return limits.stalled_after_s if camera.live else None


def _no_inspection(camera: CameraFacts, limits: Limits) -> tuple[str, str, State] | None:
    because = _because(camera.inspection_reason)
    if camera.inspection == "stopped":
        return "inspection stopped", f"is not inspected: its inspection has stopped{because}", State.UNREADY
    if camera.restarts_lately >= limits.restarts_lately:
        within = in_words(limits.lately_s)
        words = f"is not inspected reliably: its inspection restarted {camera.restarts_lately} times in {within}"
        return "inspection failing", f"{words}{because}", State.UNREADY
    if camera.inspection == "restarting":
        return "inspection restarting", f"restarts its inspection{because}", State.ATTENTION
    return None


# The rest.


def _uploader_reasons(facts: Facts) -> list[Reason]:
    if not facts.uploader_running:
        why = f": {facts.uploader_error}" if facts.uploader_error else ""
        words = f"the uploader is not running ({facts.uploader_state}{why}), nothing is delivered until it runs"
        return [Reason("uploader not running", words, State.UNREADY)]
    if facts.uploader_state == "draining":
        return [Reason("uploader draining", "the uploader is finishing what waits and will stop", State.ATTENTION)]
    return []


def _link_reasons(links: Sequence[LinkFacts], now_s: float) -> list[Reason]:
    reasons = []
    for link in links:
        if link.link != "down":
            continue
        waits = f", {_files(link.waiting)} waiting until it is back" if link.waiting else ""
        age = _age(now_s, link.since_s)
        words = f"the link to {link.server} has been down for {age}{_because(link.reason)}{waits}"
        reasons.append(Reason(f"link {link.server} down", words, State.ATTENTION))
    return reasons


def _backlog_reasons(facts: Facts, limits: Limits) -> list[Reason]:
    reasons = []
    explained = not facts.uploader_running or any(link.link == "down" for link in facts.links)
    oldest_s = facts.oldest_waiting_s
    if not explained and oldest_s is not None and oldest_s > limits.waiting_long_s:
        words = f"the oldest of {_files(facts.waiting)} has waited {in_words(oldest_s)} although no link is down"
        reasons.append(Reason("backlog old", words, State.ATTENTION))
    if facts.given_up:
        words = f"{_files(facts.given_up)} could not be delivered and {_need(facts.given_up)} somebody to look"
        reasons.append(Reason("files given up", words, State.ATTENTION))
    return reasons


def _disk_reasons(disk: DiskFacts, limits: Limits) -> list[Reason]:
    return [*_outbox_disk(disk.outbox_free_bytes, limits), *_records_disk(disk.records_free_bytes, limits)]


def _outbox_disk(free_bytes: int | None, limits: Limits) -> list[Reason]:
    if free_bytes is None or free_bytes > limits.disk_low_bytes:
        return []
    free = _mebibytes(free_bytes)
    if free_bytes <= limits.disk_full_bytes:
        words = f"the disk of the outbox is full ({free} left), new files cannot be accepted"
        return [Reason("disk full", words, State.UNREADY)]
    return [Reason("disk low", f"the disk of the outbox has only {free} left", State.ATTENTION)]


def _records_disk(free_bytes: int | None, limits: Limits) -> list[Reason]:
    if free_bytes is None:
        return []
    if free_bytes <= limits.disk_full_bytes:
        words = f"the disk of the records is full ({_mebibytes(free_bytes)} left), no new rows can be written"
        return [Reason("records disk full", words, State.UNREADY)]
    if free_bytes < limits.disk_reserve_bytes:
        left = f"the disk of the records has {_mebibytes(free_bytes)} left, less than the reserve of"
        words = f"{left} {_mebibytes(limits.disk_reserve_bytes)}: no evidence pictures are written until there is room"
        return [Reason("disk reserve reached", words, State.ATTENTION)]
    return []


# Words.


def in_words(age_s: float) -> str:
    """An age as a person says it: `8 s`, `3 min`, `2 h`, `4 days`."""
    if age_s < 100:
        return f"{age_s:.0f} s"
    if age_s < 100 * 60:
        return f"{age_s / 60:.0f} min"
    if age_s < 48 * 3600:
        return f"{age_s / 3600:.0f} h"
    return f"{age_s / 86400:.0f} days"


def _age(now_s: float, since_s: float) -> str:
    return in_words(max(0.0, now_s - since_s))


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _need(count: int) -> str:
    return "needs" if count == 1 else "need"


def _mebibytes(size_bytes: int) -> str:
    return f"{size_bytes // 1024**2} MiB"
