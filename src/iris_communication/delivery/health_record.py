"""One server's health: what was found when it was last looked at, and what the next look hangs on."""

from dataclasses import dataclass, replace
from typing import Any

from iris_communication.decisions.health_schedule import HealthSchedule
from iris_communication.sftp.trials.probe import Health


@dataclass(slots=True)
class HealthRecord:
    checkup: HealthSchedule | None = None  # None: it is not looked after yet
    latest: Health | None = None
    at_s: float = 0.0  # wall time of that
    found_s: float = 0.0  # monotonic, of the same moment
    looking: bool = False

    def looked(self, health: Health | None, wall_s: float, now_s: float, jitter: float) -> None:
        """A look has ended; None: for a reason of ours, so it tells nothing. The next one comes in its time either
        way."""
        if self.checkup is not None:
            self.checkup = replace(self.checkup, checked_s=now_s, jitter=jitter)
        if health is not None:
            self.latest, self.at_s, self.found_s = health, wall_s, now_s

    def answered(self, now_s: float, *, delivered: bool) -> None:
        """Work had an answer, which is news: a server that answers is not silent, and one that took a file takes
        files, whatever was found before."""
        if self.checkup is not None:
            self.checkup = replace(self.checkup, answered_s=now_s)
        if self.latest is not None and self.latest.text and (delivered or not self.latest.done):
            self.latest = replace(self.latest, ok=True, text="", hint="")

    def details(self, now_s: float) -> dict[str, Any] | None:
        health = self.latest
        if health is None:
            return None
        return {
            "ok": health.ok,
            "done": list(health.done),
            "words": health.text,
            "hint": health.hint,
            "latency_s": health.latency_s,
            "free_bytes": health.free_bytes,
            "total_bytes": health.total_bytes,
            "at_s": self.at_s,
            "age_s": max(0.0, now_s - self.found_s),
        }
