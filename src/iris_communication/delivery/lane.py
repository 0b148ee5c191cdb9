"""One server's lane: its breaker, what is claimed for it and what is under way, and whether its link is up."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from iris_communication.decisions.breaker import Breaker, BreakerState
from iris_communication.item import Item
from iris_communication.outbox.store import Lane as Waiting
from iris_communication.outbox.store import ServerState


@dataclass(slots=True)
class Lane:
    since_s: float  # wall time of the last change of `link`
    breaker: Breaker = field(default_factory=Breaker)
    claimed: deque[Item] = field(default_factory=deque)  # ours, not begun
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    claiming: bool = False  # a claim is with the keeper
    asked: int = 0  # items, by that claim
    claim_after_s: float = 0.0  # monotonic; not before, after a claim that brought less than was asked for
    link: str = "idle"  # "up" | "down" | "idle"
    revision: int = 0  # of what is known about the server
    backlog_until: int = 0  # the last sequence of what an outage, or the process before, has left

    def see(self, link: str, now_s: float) -> bool:
        """Note the link's state; whether it is another one."""
        if link == self.link:
            return False
        self.link, self.since_s = link, now_s
        return True

    def details(self, waiting: Waiting, server: ServerState, now_monotonic_s: float) -> dict[str, Any]:
        """For people: see `SftpUploaderThread.get_details`."""
        failure = self.breaker.failure
        opened = self.breaker.state is BreakerState.OPEN
        return {
            "link": self.link,
            "paused": server.paused,
            "since_s": self.since_s,
            "reason": failure.message if failure else None,
            "hint": failure.hint if failure else None,
            "waiting": waiting.fresh + waiting.retrying + len(self.claimed),
            "in_flight": len(self.under_way),
            "retry_in_s": max(0.0, self.breaker.until_s - now_monotonic_s) if opened else None,
        }
