"""Every condition that health distinguishes: its severity, and whether Iris is ready under it.

One table, so that page, `/api/health`, log and command line say the same. A test compares docs/health.md with it, and
for each row a test makes the condition.

Ready means: Iris records what the line produces, and will deliver it without help. With a link down Iris is ready,
because files are kept and go out later; with a server that waits for a person it is not.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    WORKING = "working"
    DEGRADED = "degraded"  # it works, with a fault that the operator should know
    NEEDS_YOU = "needs you"  # something stands still until a person acts
    FAILED = "failed"


WORST_FIRST = (Severity.FAILED, Severity.NEEDS_YOU, Severity.DEGRADED, Severity.WORKING)


class Condition(NamedTuple):
    severity: Severity
    ready: bool


_WORKING = Condition(Severity.WORKING, ready=True)
_WORKING_NOT_READY = Condition(Severity.WORKING, ready=False)
_DEGRADED = Condition(Severity.DEGRADED, ready=True)
_NEEDS_YOU = Condition(Severity.NEEDS_YOU, ready=True)
_NEEDS_YOU_NOT_READY = Condition(Severity.NEEDS_YOU, ready=False)
_FAILED = Condition(Severity.FAILED, ready=False)

CONDITIONS: Mapping[str, Condition] = {
    # Iris as a whole.
    "all is well": _WORKING,
    "starting": _WORKING_NOT_READY,
    "stopping": _WORKING_NOT_READY,
    "health silent": _FAILED,
    "thread ended": _FAILED,
    "thread restarted": _DEGRADED,
    # Cameras and their inspection.
    "camera starting": _WORKING_NOT_READY,
    "camera offline": _FAILED,
    "camera stalled": _FAILED,
    "camera without picture": _FAILED,
    "folder without picture": _DEGRADED,
    "camera disabled": _WORKING,
    "sources ended": _WORKING,
    "cameras disabled": _DEGRADED,
    "no camera": _DEGRADED,
    "cameras at work": _FAILED,
    "inspection stopped": _FAILED,
    "inspection failing": _FAILED,
    "inspection restarting": _DEGRADED,
    "frames skipped": _DEGRADED,
    "errors": _DEGRADED,
    # Records and evidence.
    "rows lost now": _FAILED,
    "rows lost": _DEGRADED,
    "records not finished": _DEGRADED,
    "evidence skipped": _DEGRADED,
    "records not kept": _DEGRADED,
    "files removed": _DEGRADED,
    "files left behind": _DEGRADED,
    # Delivery.
    "no server": _DEGRADED,
    "outbox in use": _NEEDS_YOU_NOT_READY,
    "outbox not open": _FAILED,
    "uploader not running": _FAILED,
    "uploader draining": _DEGRADED,
    "outbox full": _DEGRADED,
    "outbox refuses": _FAILED,
    "server needs a person": _NEEDS_YOU_NOT_READY,
    "server takes nothing": _NEEDS_YOU_NOT_READY,
    "server refuses everything": _NEEDS_YOU_NOT_READY,
    "server refuses files": _DEGRADED,
    "server paused": _DEGRADED,
    "server outside its window": _WORKING,
    "server fails a check": _DEGRADED,
    "link down": _DEGRADED,
    "backlog old": _DEGRADED,
    "outbox log long": _DEGRADED,
    "dead files": _NEEDS_YOU,
    "files given up": _WORKING,
    # The two folders.
    "folder not writable": _FAILED,
    "disk full": _FAILED,
    "disk nearly full": _NEEDS_YOU,
    "disk low": _DEGRADED,
    "disk reserve reached": _DEGRADED,
    "no inodes": _FAILED,
    "inodes low": _DEGRADED,
}


class Reason(NamedTuple):
    """One condition found now. `kind` is its name in `CONDITIONS`, `about` the camera, server or folder it concerns;
    both stay the same while figures change."""

    kind: str
    about: str
    text: str

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.about

    @property
    def severity(self) -> Severity:
        return CONDITIONS[self.kind].severity

    @property
    def ready(self) -> bool:
        return CONDITIONS[self.kind].ready
