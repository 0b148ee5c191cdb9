"""Claims a server's files from the writer: when, and how many.

Rules.
- One claim for a server is with the writer at a time. It asks for one window ahead, so that a slow commit does not
  leave the link idle.
- After a claim that brought less than it asked for, the next one waits a moment, so that files which come one by one
  are coalesced: one turn of the loop, one packet and one commit for many take far less time from the other threads.
- Files whose batch is not full yet are claimed again a few times a second; at once while the uploader drains.
- What the writer hands out after the worker has ended is released at once.
"""

import threading
from collections import deque
from collections.abc import Callable

from iris_communication.clock import Clock
from iris_communication.decisions.breaker import BreakerState
from iris_communication.delivery.carrier import Carrier
from iris_communication.delivery.destination import DestinationState
from iris_communication.delivery.holds import FAR_S
from iris_communication.delivery.outcomes import CLAIM_PAUSE_S, Outcomes
from iris_communication.item import Archive, Upload
from iris_communication.outbox.store.contract import Backlog
from iris_communication.outbox.writer.writer import Writer

CLAIM_MAX = 64
URGENT_FILES = 16  # ready, with room on the link for them: the writer does not let their claim linger
TRICKLE_PAUSE_S = 0.01  # after a claim that brought less than was asked for
# Where many files come all the same, larger groups save more than the wait costs: see decision 0039.
DENSE_FILES = 4
DENSE_PAUSE_S = 0.05
BATCH_LOOK_S = 0.25  # between two claims of files whose batch is not full
ARCHIVES_MAX = 8  # of one server, claimed or under way: bounds their disk space, enough for a high round-trip time
CLAIM_ARCHIVES_MAX = 2  # a commit of hundreds of rows delays the acceptance of files for as long


class Claims:
    """`wake`, which any thread may call, starts the worker's next turn."""

    def __init__(
        self, writer: Writer, carrier: Carrier, outcomes: Outcomes, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._carrier = carrier
        self._outcomes = outcomes
        self._clock = clock
        self._wake = wake
        # What the writer has handed out on its own thread. A call scheduled on the loop could be lost with the loop.
        self._handover = threading.Lock()
        self._arrived: deque[tuple[str, DestinationState, list[Upload]]] = deque()
        self._ended = False

    def consider(
        self, key: str, destination: DestinationState, waiting: Backlog, allowed: int, now_s: float, *, draining: bool
    ) -> tuple[bool, float]:
        """Claim if there is reason to; `allowed` uploads may be under way at once. Returns (whether there is or will be
        work, seconds until the next call)."""
        archives = min(CLAIM_ARCHIVES_MAX, ARCHIVES_MAX - len(destination.archives))
        ready, due_in_s = self._ready(destination, waiting, archives, now_s, draining=draining)
        if ready and now_s < destination.claim_after_s:
            return True, destination.claim_after_s - now_s
        ahead = allowed + len(destination.poison_watch.suspects) if allowed else 0  # suspected files do not fill it
        room = allowed - len(destination.claimed) - len(destination.under_way)
        wanted = min(CLAIM_MAX, room + ahead)
        if ready and not destination.claiming and wanted > 0 and len(destination.claimed) <= ahead - (allowed + 1) // 2:
            destination.claiming, destination.falls_back = True, False
            destination.asked, destination.asked_archives = wanted, archives
            self._writer.claim(
                key,
                wanted,
                lambda uploads: self._claimed(key, destination, uploads),
                destination.backlog_until,
                archives=archives if self._carrier.takes_archives else None,
                draining=draining,
                urgent=min(waiting.fresh, room) >= URGENT_FILES,
            )
        busy = bool(destination.claimed or destination.under_way or destination.claiming or ready)
        if destination.breaker.state is BreakerState.OPEN:
            due_in_s = max(0.0, destination.breaker.until_s - now_s)
        if now_s < destination.claim_after_s:  # what comes until then does not wake the worker
            due_in_s = min(due_in_s or FAR_S, destination.claim_after_s - now_s)
        return busy, due_in_s if due_in_s > 0.0 else FAR_S

    def _ready(
        self, destination: DestinationState, waiting: Backlog, archives: int, now_s: float, *, draining: bool
    ) -> tuple[bool, float]:
        """Returns (whether the writer may have something to send now, seconds until time alone changes that)."""
        due_in_s = FAR_S
        if waiting.next_due_s is not None:
            due_in_s = max(0.0, waiting.next_due_s - self._clock.boot_s())
        batched = waiting.batched if self._carrier.takes_archives else 0
        ready = waiting.fresh > batched or (waiting.retrying > 0 and due_in_s == 0.0) or destination.falls_back
        if batched and archives > 0:
            if draining or now_s >= destination.batch_after_s:
                return True, due_in_s
            due_in_s = min(due_in_s or FAR_S, destination.batch_after_s - now_s)
        return ready, due_in_s

    def _claimed(self, key: str, destination: DestinationState, uploads: list[Upload]) -> None:
        """The writer's reply, on the writer's thread."""
        with self._handover:
            if not self._ended:
                self._arrived.append((key, destination, uploads))
                self._wake()
                return
        self._outcomes.release(uploads)

    def take(self, *, draining: bool) -> None:
        """Give what the writer has handed out meanwhile to its destination."""
        while self._arrived:
            self._taken(*self._arrived.popleft(), draining=draining)

    def _taken(self, key: str, destination: DestinationState, uploads: list[Upload], *, draining: bool) -> None:
        now_s = self._clock.monotonic_s()
        destination.claiming = False
        destination.claimed.extend(uploads)
        archives = {upload.id for upload in uploads if isinstance(upload, Archive)}
        destination.archives |= archives
        all_asked_for = len(uploads) >= destination.asked or 0 < destination.asked_archives <= len(archives)
        destination.batch_after_s = 0.0 if all_asked_for else now_s + BATCH_LOOK_S
        waiting = self._writer.snapshot.backlogs.get(key, Backlog())
        if uploads:
            if not all_asked_for and not draining:
                dense = len(uploads) >= DENSE_FILES
                destination.claim_after_s = now_s + (DENSE_PAUSE_S if dense else TRICKLE_PAUSE_S)
        elif waiting.fresh > waiting.batched or waiting.retrying or draining or not waiting.batched:
            # The writer could not hand any out: its disk fails, or they are gone. Else their batch is not full.
            destination.claim_after_s = now_s + CLAIM_PAUSE_S

    def end(self) -> None:
        """Release what was handed out and not taken, and from now on what is still handed out."""
        with self._handover:
            self._ended = True
        for _, _, uploads in self._arrived:
            self._outcomes.release(uploads)
