"""One server's destination: its breaker, what is claimed for it and what is under way, whether its link is up, and what
the latest health check found."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from iris_communication.decisions.breaker import Breaker, BreakerState
from iris_communication.decisions.poison import PoisonWatch, next_up
from iris_communication.delivery.health_record import HealthRecord
from iris_communication.delivery.refusals import ServerRefusals
from iris_communication.errors import Scope, scope_of
from iris_communication.item import Archive, Item, Upload
from iris_communication.outbox.store.contract import Backlog, ServerState


@dataclass(slots=True)
class DestinationState:
    since_s: float | None  # monotonic, of the last change of `link`; None: unchanged since before this process began
    breaker: Breaker = field(default_factory=Breaker)
    claimed: deque[Upload] = field(default_factory=deque)  # not begun
    under_way: dict[asyncio.Task[None], Upload] = field(default_factory=dict)
    alone_id: str = ""  # id of the upload that has been under way alone since it began
    poison_watch: PoisonWatch = field(default_factory=PoisonWatch)
    claiming: bool = False  # a claim is with the writer
    asked: int = 0  # items, by that claim
    asked_archives: int = 0
    claim_after_s: float = 0.0  # monotonic; not before, after a claim that brought less than was asked for
    batch_after_s: float = 0.0  # monotonic; files whose batch is not full are claimed again then
    archives: set[str] = field(default_factory=set)  # of what is claimed and under way
    falls_back: bool = False  # the files of an archive are on their way back to the writer, to be claimed again
    link: str = "idle"  # "up" | "down" | "idle"
    found_dead: bool = False  # by this process, without an answer since
    revision: int = 0  # of what is known about the server
    backlog_until: int = 0  # the last sequence of what an outage, or the process before, has left
    health: HealthRecord = field(default_factory=HealthRecord)
    refusals: ServerRefusals = field(default_factory=ServerRefusals)

    def next_up(self) -> Upload | None:
        """Take the claimed upload that may begin now; None: there is none."""
        if not self.poison_watch.suspects:
            return self.claimed.popleft() if self.claimed else None
        place = next_up(
            self.poison_watch, [upload.id for upload in self.claimed], [upload.id for upload in self.under_way.values()]
        )
        if place is None:
            return None
        upload = self.claimed[place]
        del self.claimed[place]
        return upload

    def begun(self, task: asyncio.Task[None], upload: Upload) -> None:
        self.alone_id = "" if self.under_way else upload.id
        self.under_way[task] = upload

    def ended(self, task: asyncio.Task[None]) -> None:
        """May be called twice."""
        self.under_way.pop(task, None)

    def see(self, link: str, now_s: float) -> bool:
        """Set the link's state; whether that changed it."""
        if link == self.link and self.since_s is not None:
            return False
        self.link, self.since_s = link, now_s
        return True

    def details(
        self,
        waiting: Backlog,
        server: ServerState,
        now_monotonic_s: float,
        why_not: str = "",
        *,
        to_wall_s: float = 0.0,
    ) -> dict[str, Any]:
        """For people: see `SftpUploaderThread.get_details`. `why_not`: see `Hold`. `to_wall_s`: added to monotonic
        time it gives wall time by the clock as it is set now, so that setting the clock changes no duration."""
        failure = self.breaker.failure
        opened = self.breaker.state is BreakerState.OPEN
        handed_out = [*self.claimed, *self.under_way.values()]
        refused = waiting.retrying + sum(isinstance(each, Item) and each.attempts > 0 for each in handed_out)
        claimed = sum(len(each.members) if isinstance(each, Archive) else 1 for each in self.claimed.copy())
        return {
            "link": self.link,
            "paused": server.paused,
            "held_back": why_not or None,
            "since_s": None if self.since_s is None else round(self.since_s + to_wall_s, 3),
            "reason": failure.message if failure else None,
            "hint": failure.hint if failure else None,
            "waiting": waiting.fresh + waiting.retrying + claimed,
            "in_flight": len(self.under_way),
            "retry_in_s": max(0.0, self.breaker.until_s - now_monotonic_s) if opened else None,
            "held": self.breaker.state is BreakerState.HELD,
            "takes_nothing": failure is not None and Scope.SERVER is scope_of(failure.error),
            "refused": refused,
            "refusal": self.refusals.details() if refused else None,
            "health": self.health.details(now_monotonic_s),
        }
