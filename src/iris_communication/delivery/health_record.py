"""One server's health: what the latest health check found, and what decides when the next one is due."""

from dataclasses import dataclass, replace
from typing import Any

from iris_communication.decisions.health_schedule import HealthSchedule
from iris_communication.sftp.trials.probe import Health


@dataclass(slots=True)
class HealthRecord:
    schedule: HealthSchedule | None = None  # None: health checks have not begun
    latest: Health | None = None
    at_s: float = 0.0  # wall time of `latest`
    found_s: float = 0.0  # monotonic, of the same moment
    checking: bool = False

    def checked(self, health: Health | None, wall_s: float, now_s: float, jitter: float) -> None:
        """A check has ended; None: for a reason of ours, so it says nothing about the server. The next one is due at
        its usual time either way."""
        if self.schedule is not None:
            self.schedule = replace(self.schedule, checked_s=now_s, jitter=jitter)
        if health is not None:
            self.latest, self.at_s, self.found_s = health, wall_s, now_s

    def answered(self, now_s: float, *, delivered: bool) -> None:
        """An upload had an answer: a server that answers is not silent, and one that took a file takes files, whatever
        the latest check found."""
        if self.schedule is not None:
            self.schedule = replace(self.schedule, answered_s=now_s)
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
