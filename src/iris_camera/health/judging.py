"""Judging: all facts become one sentence, a severity and a readiness.

"The process runs" says nothing about a production line: the picture may be ten minutes old and every thread alive.
So the judgement uses what an operator would check, and states what an operator has to know.

The rules:
- A pure function of (facts, now, limits). The severity of each condition stands in `conditions`.
- The gravest comes first. A reason that waits for a person is marked, and says what to do.
- Short blips are filtered by the camera: its state has settled before it is read here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from iris_camera.health.cameras import camera_reasons
from iris_camera.health.conditions import CONDITIONS, WORST_FIRST, Reason, Severity
from iris_camera.health.delivery import all_files, delivery_reasons
from iris_camera.health.facts import USUAL, Facts, HealthLimits, ThreadFacts
from iris_camera.health.sentences import age_text, because
from iris_camera.health.storage import storage_reasons
from iris_communication.runtime.amounts import counted

# With twelve cameras behind one dead switch the sentence would fill the page; the list has all reasons.
NAMED_AT_MOST = 5
HEADS = {
    Severity.FAILED: "Iris is not ready: ",
    Severity.NEEDS_YOU: "Iris ",  # "needs you: ..."
    Severity.DEGRADED: "Iris works, but ",
    Severity.WORKING: "Iris is starting: ",  # all is well, and something is not ready yet
}


class Readiness(StrEnum):
    """For older programs; the severity has more levels."""

    READY = "ready"
    ATTENTION = "attention"
    UNREADY = "unready"


@dataclass(frozen=True, slots=True)
class Judgement:
    severity: Severity
    ready: bool
    sentence: str
    reasons: tuple[Reason, ...]

    @property
    def state(self) -> Readiness:
        if not self.ready:
            return Readiness.UNREADY
        return Readiness.READY if self.severity is Severity.WORKING else Readiness.ATTENTION


NOT_LOOKED_YET = Judgement(Severity.WORKING, CONDITIONS["starting"].ready, "Iris is starting.", ())


def judge(facts: Facts, now_s: float, limits: HealthLimits = USUAL) -> Judgement:
    """`now_s` is Unix time, as the facts' `since_s`."""
    if facts.around.stopping:
        return _judgement([Reason("stopping", "", "")], f"Iris is stopping: {all_files(facts)}")
    reasons = [
        *camera_reasons(facts.cameras, now_s, limits),
        *_thread_reasons(facts, limits),
        *delivery_reasons(facts, now_s, limits),
        *storage_reasons(facts.disk, limits, outbox_is_open=facts.uploader_running),
    ]
    reasons.sort(key=lambda reason: (WORST_FIRST.index(reason.severity), reason.ready))
    return _judgement(reasons, f"Iris works: {all_files(facts)}")


def failed(kind: str, text: str) -> Judgement:
    """For a fault that keeps health itself from checking."""
    return _judgement([Reason(kind, "", text)], "")


def _judgement(reasons: Sequence[Reason], well: str) -> Judgement:
    """`well` is the sentence when nothing is wrong."""
    severity = reasons[0].severity if reasons else Severity.WORKING
    ready = all(reason.ready for reason in reasons)
    named = [reason for reason in reasons[:NAMED_AT_MOST] if reason.text]
    texts = [_marked(reason, named) for reason in named]
    if len(reasons) > NAMED_AT_MOST:
        texts.append(f"and {len(reasons) - NAMED_AT_MOST} more")
    if severity is Severity.WORKING and (ready or not texts):
        return Judgement(severity, ready, f"{'; '.join([well, *texts])}.", tuple(reasons))
    return Judgement(severity, ready, f"{HEADS[severity]}{'; '.join(texts)}.", tuple(reasons))


def _marked(reason: Reason, named: Sequence[Reason]) -> str:
    """The first reason that waits for a person is marked: graver ones may precede it."""
    first = next((each for each in named if each.severity is Severity.NEEDS_YOU), None)
    return f"needs you: {reason.text}" if reason is first else reason.text


def _thread_reasons(facts: Facts, limits: HealthLimits) -> list[Reason]:
    return [reason for thread in facts.around.threads if (reason := _thread(thread, limits)) is not None]


def _thread(thread: ThreadFacts, limits: HealthLimits) -> Reason | None:
    if not thread.running:
        text = f"the thread {thread.name} has ended{because(thread.reason)} and is to be started again"
        return Reason("thread ended", thread.name, text)
    if thread.restarts_lately:
        times = "once" if thread.restarts_lately == 1 else counted(thread.restarts_lately, "time")
        text = f"the thread {thread.name} had to be started again {times} in {age_text(limits.lately_s)}"
        return Reason("thread restarted", thread.name, text + because(thread.reason))
    return None
