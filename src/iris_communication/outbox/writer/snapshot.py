"""The published snapshot of the outbox: made by the writer after each commit, replaced whole, never changed.

Reading it takes no lock and no query, so statistics never wait for the disk and are always consistent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from iris_communication.outbox.store.contract import Backlog, ServerState

DEAD_SHOWN = 20


class Stats(NamedTuple):
    """`total_queued == total_uploaded + total_failed + queue_size`, at every instant. Items found in the outbox at the
    start count as queued; `queue_size` is waiting and in flight; `total_failed` counts items, not attempts: the dead,
    and those dropped, expired or cancelled since the start."""

    total_queued: int = 0
    total_uploaded: int = 0
    total_failed: int = 0
    queue_size: int = 0


class DeadItem(NamedTuple):
    id: str
    remote_path: str
    error: str
    hint: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    stats: Stats = field(default_factory=Stats)
    backlogs: Mapping[str, Backlog] = field(default_factory=dict)  # of servers with waiting items
    dead: tuple[DeadItem, ...] = ()  # the latest
    dead_files: int = 0  # all of them
    oldest_accepted_s: float | None = None  # wall time, of the first unfinished item
    servers: Mapping[str, ServerState] = field(default_factory=dict)  # of those that were ever paused or failed
    spooled_bytes: int = 0  # of everything waiting, in flight or dead
    last_sequence: int = 0  # the highest that was accepted

    def details(self, wall_s: float, opened_s: float = 0.0, open_for_s: float = 0.0) -> dict[str, Any]:
        """For people: see `SftpUploaderThread.get_details`. `opened_s` (wall) and `open_for_s`: since when the outbox
        is open, and for how long by the monotonic clock; an item accepted since cannot have waited for longer."""
        oldest_s = self.oldest_accepted_s
        age_s = None if oldest_s is None else max(0.0, wall_s - oldest_s)
        if age_s is not None and oldest_s is not None and oldest_s >= opened_s > 0.0:
            age_s = min(age_s, open_for_s)
        return {
            "oldest_waiting_s": age_s,
            "dead": [item._asdict() for item in self.dead],
            "dead_files": self.dead_files,
            "spooled_bytes": self.spooled_bytes,
        }
