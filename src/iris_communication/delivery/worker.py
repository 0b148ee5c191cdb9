"""The uploader's work: take -> carry -> settle, for every server at once, on one asyncio loop.

It asks the writer for items, gives them to the carrier, and tells the writer what became of each; what to do after a
failure the pure decisions say. It knows nothing of SFTP.

Rules.
- A server's destination never waits for another's.
- While its breaker is not closed a destination has one item under way at most: the probe. Each change of a breaker is
  kept on the disk, so that no crash loop knocks more often than one process would.
- A server that is paused or outside its delivery windows is sent nothing; what was claimed for it waits again.
- Draining ends for a destination when nothing is left to send or its link is down; nobody waits for a server that was
  found dead. One that the process before had found dead is asked once its time has come.
- Whatever ends the worker, every item it holds is settled: delivered, failed, or released to wait again.
- When the writer had to be started again it ends, for another one to begin: its items wait again already.
"""

import asyncio
import contextlib
import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from iris_communication.clock import Clock
from iris_communication.decisions import breaker as breaking
from iris_communication.decisions.attempt import unclear
from iris_communication.decisions.breaker import BreakerState
from iris_communication.delivery.batches import ARCHIVES_MAX, CLAIM_ARCHIVES_MAX, carried
from iris_communication.delivery.carrier import Carrier
from iris_communication.delivery.checks import Checks
from iris_communication.delivery.destination import DestinationState
from iris_communication.delivery.holds import FAR_S, Hold, permission
from iris_communication.delivery.outcomes import CLAIM_PAUSE_S, Outcomes
from iris_communication.errors import DeliveryStopped, IrisError, RemoteFailure
from iris_communication.item import Archive, Event, Upload
from iris_communication.outbox.store.contract import Backlog, ServerState
from iris_communication.outbox.writer.messages import Settle
from iris_communication.outbox.writer.writer import Writer
from iris_communication.settings import DeliverySettings, Server

log = logging.getLogger(__name__)

CLAIM_MAX = 64
HURRIED_FILES = 16  # ready, with room on the link for them: a claim does not wait for company
START_MAX = 4  # items begun in one turn of the loop: a turn is to take about a millisecond
# After one that brought less than was asked for, so that files which come one by one are claimed and sent by the
# handful: one turn of the loop, one packet and one commit for many costs the threads beside us far less.
TRICKLE_PAUSE_S = 0.01
# Where they come thick and fast all the same, larger handfuls save more than the wait costs: see decision 0039.
DENSE_FILES = 4
DENSE_PAUSE_S = 0.05
COMPANY_LOOK_S = 0.25  # between two looks whether what waits for company has enough of it
CLOSE_GRACE_S = 1.0  # for a carrier that does not end at once, after it was told to


@dataclass(frozen=True, slots=True)
class Drain:
    """Stop once all that can be delivered is delivered, at the latest at `deadline_s` (monotonic)."""

    deadline_s: float
    may_connect: bool


class Worker:
    def __init__(
        self,
        writer: Writer,
        carrier: Carrier,
        settings: DeliverySettings,
        clock: Clock,
        luck: Callable[[], float] = random.random,
        configured: Callable[[], Set[str]] = frozenset,
    ) -> None:
        """`configured`: keys of servers that are looked after though nothing was ever sent to them."""
        self._writer = writer
        self._carrier = carrier
        self._settings = settings
        self._clock = clock
        self._luck = luck
        self._configured = configured
        self._archiving = asyncio.Lock()
        self._destinations: dict[str, DestinationState] = {}
        self._drain: Drain | None = None
        self._ended = False
        self._woken = False  # a wake is on its way to the loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._judge = Outcomes(writer, carrier, self._destinations, settings, clock, luck, self._news.set)
        self._checks = Checks(carrier, self._known, self._judge, clock, luck)
        # What the writer has handed out on its own thread. A call scheduled on the loop could be lost with the loop.
        self._handover = threading.Lock()
        self._arrived: deque[tuple[str, list[Upload]]] = deque()
        self._gone = False
        self._incarnation = writer.incarnation
        self._failure: BaseException | None = None  # of a task, in a way nobody foresaw

    # Called by any thread.

    def wake(self) -> None:
        loop = self._loop
        if loop is not None and not self._ended and not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop closed just now: the worker has ended
                loop.call_soon_threadsafe(self._news.set)

    def published(self) -> None:
        """The writer has a new snapshot. Destinations that could make nothing of it look by themselves, in time."""
        now_s, destinations = self._clock.monotonic_s(), self._destinations
        if self._drain is not None or any(
            (destination := destinations.get(key)) is None
            or not (destination.claiming or now_s < destination.claim_after_s)
            for key in self._writer.snapshot.backlogs
        ):
            self.wake()

    def drain(self, order: Drain) -> None:
        self._drain = order
        self.wake()

    def details(self) -> dict[str, Any]:
        """Of each server: link, since when, why, waiting, in flight, when it is tried again, why nothing is sent, how
        well it is."""
        waiting, now_s = self._writer.snapshot.backlogs, self._clock.monotonic_s()
        to_wall_s = self._clock.wall_s() - now_s  # asked anew each time: the wall clock may be set meanwhile
        destinations = dict(self._destinations)
        servers = self._writer.snapshot.servers
        for key in (waiting.keys() | self._configured()) - destinations.keys():
            destinations[key] = self._new_destination(key)
        return {
            key: destination.details(
                waiting.get(key, Backlog()),
                servers.get(key, ServerState()),
                now_s,
                self._permission(key).why_not,
                to_wall_s=to_wall_s,
            )
            for key, destination in destinations.items()
        }

    def server_changed(self, server_key: str) -> None:
        """New facts about a server: what only a person could mend may be mended."""
        loop = self._loop
        if loop is not None and not self._ended:
            with contextlib.suppress(RuntimeError):  # as above
                loop.call_soon_threadsafe(self._judge.release_breaker, server_key)

    # All below runs on the loop's thread.

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._carrier.on_change = self._news.set
        self._writer.subscribe(self.published, self.server_changed, self.wake)
        try:
            while True:
                self._news.clear()
                self._woken = False  # before it looks: what comes now wakes it again
                if self._failure is not None:
                    raise self._failure
                if self._writer.incarnation != self._incarnation:
                    return  # what it has handed out before is not in flight any more
                wait_s = self._turn()
                if wait_s is None:
                    return
                try:
                    async with asyncio.timeout(wait_s):
                        await self._news.wait()
                except TimeoutError:
                    pass
        finally:
            await self._wind_down()

    def _turn(self) -> float | None:
        """Start what may start, ask for more; how long nothing will change by itself, or None: all is done."""
        while self._arrived:
            self._take(*self._arrived.popleft())
        now_s, drain = self._clock.monotonic_s(), self._drain
        if drain is not None and now_s >= drain.deadline_s:
            return None
        waiting = self._writer.snapshot.backlogs
        busy, wait_s = False, drain.deadline_s - now_s if drain is not None else FAR_S
        for key in self._destinations.keys() | waiting.keys() | self._configured():
            destination = self._destinations.get(key)
            if destination is None:
                destination = self._destinations[key] = self._new_destination(key)
            more, next_s = self._serve(key, destination, waiting.get(key, Backlog()), now_s)
            wait_s = min(wait_s, next_s)
            busy = busy or more
        return None if drain is not None and not busy else wait_s

    def _new_destination(self, key: str) -> DestinationState:
        """Whose breaker is as the process before left it; what waits already is a backlog."""
        view, clock = self._writer.snapshot, self._clock
        kept = view.servers.get(key, ServerState()).breaker
        boot = (clock.boot_id, clock.boot_s())
        breaker, warning = breaking.restored(kept, clock.monotonic_s(), boot, self._settings, self._luck())
        if warning:
            log.warning("%s: %s", key, warning)
        if breaker.state is BreakerState.CLOSED:
            return DestinationState(clock.monotonic_s(), breaker, backlog_until=view.last_sequence)
        return DestinationState(None, breaker, link="down", backlog_until=view.last_sequence)

    def _serve(self, key: str, destination: DestinationState, waiting: Backlog, now_s: float) -> tuple[bool, float]:
        """(whether draining has to wait for this destination, in how many seconds to look again)."""
        permitted = self._permission(key)
        if permitted.why_not:
            self._judge.put_back(destination)
            return bool(destination.under_way), permitted.ask_again_s
        # A link that failed under this process is not waited for; one that failed before it is asked when it may be.
        if self._drain is not None and (
            destination.found_dead
            or destination.breaker.state is BreakerState.HELD
            or not (self._drain.may_connect or self._carrier.connected(key))
        ):
            return False, FAR_S
        slots = self._carrier.slots(key)
        allowed = breaking.allowance(destination.breaker, slots, now_s)
        if destination.health.looking and destination.breaker.state is not BreakerState.CLOSED:
            allowed = 0  # the look is the probe
        if destination.link == "up" and not destination.under_way and not self._carrier.connected(key):
            destination.see("idle", self._clock.monotonic_s())
        if allowed == 0 and destination.claimed:
            self._judge.put_back(destination)
        for _ in range(min(START_MAX, len(destination.claimed), allowed - len(destination.under_way))):
            upload = destination.next_up()
            if upload is None:
                break
            self._start(key, destination, upload, now_s)
        else:
            if destination.claimed and len(destination.under_way) < allowed:
                asyncio.get_running_loop().call_soon(self._news.set)  # the others in the loop's next turn
        busy, again_s = self._ask_for_more(key, destination, waiting, allowed, now_s)
        if self._drain is None:
            again_s = min(again_s, self._checks.consider(key, destination, work=busy, slots=slots))
        return busy, min(again_s, permitted.ask_again_s)

    def _ask_for_more(
        self, key: str, destination: DestinationState, waiting: Backlog, allowed: int, now_s: float
    ) -> tuple[bool, float]:
        """(whether there is or will be work, in how many seconds to look again)."""
        due_in_s = FAR_S
        if waiting.next_due_s is not None:
            due_in_s = max(0.0, waiting.next_due_s - self._clock.boot_s())
        together = waiting.batched if self._carrier.takes_archives else 0
        archives = min(CLAIM_ARCHIVES_MAX, ARCHIVES_MAX - len(destination.archives))
        ready = waiting.fresh > together or (waiting.retrying > 0 and due_in_s == 0.0) or destination.falls_back
        if together and archives > 0:
            if self._drain is not None or now_s >= destination.together_after_s:
                ready = True
            else:
                due_in_s = min(due_in_s or FAR_S, destination.together_after_s - now_s)
        if ready and now_s < destination.claim_after_s:
            return True, destination.claim_after_s - now_s
        # One window ahead, so that a slow commit of the writer does not leave the link idle. Suspects do not fill it.
        ahead = allowed + len(destination.suspicion.suspects) if allowed else 0
        room = allowed - len(destination.claimed) - len(destination.under_way)
        wanted = min(CLAIM_MAX, room + ahead)
        if ready and not destination.claiming and wanted > 0 and len(destination.claimed) <= ahead - (allowed + 1) // 2:
            destination.claiming, destination.asked, destination.asked_archives, destination.falls_back = (
                True,
                wanted,
                archives,
                False,
            )
            self._writer.claim(
                key,
                wanted,
                lambda uploads: self._claimed(key, uploads),
                destination.backlog_until,
                archives=archives if self._carrier.takes_archives else None,
                draining=self._drain is not None,
                hurried=min(waiting.fresh, room) >= HURRIED_FILES,
            )
        busy = bool(destination.claimed or destination.under_way or destination.claiming or ready)
        if destination.breaker.state is BreakerState.OPEN:
            due_in_s = max(0.0, destination.breaker.until_s - now_s)
        if now_s < destination.claim_after_s:  # what comes until then wakes nobody
            due_in_s = min(due_in_s or FAR_S, destination.claim_after_s - now_s)
        return busy, due_in_s if due_in_s > 0.0 else FAR_S

    def _known(self, key: str) -> Server | None:
        return self._writer.servers.known(key)

    def _permission(self, key: str) -> Hold:
        state = self._writer.snapshot.servers.get(key, ServerState())
        return permission(self._known(key), state, self._clock.wall_s())

    def _claimed(self, key: str, uploads: list[Upload]) -> None:
        """The writer's reply, on the writer's thread."""
        with self._handover:
            if not self._gone:
                self._arrived.append((key, uploads))
                self.wake()
                return
        self._judge.release(uploads)

    def _take(self, key: str, uploads: list[Upload]) -> None:
        destination, now_s = self._destinations[key], self._clock.monotonic_s()
        destination.claiming = False
        destination.claimed.extend(uploads)
        archives = {upload.id for upload in uploads if isinstance(upload, Archive)}
        destination.archives |= archives
        all_asked_for = len(uploads) >= destination.asked or 0 < destination.asked_archives <= len(archives)
        destination.together_after_s = 0.0 if all_asked_for else now_s + COMPANY_LOOK_S
        waiting = self._writer.snapshot.backlogs.get(key, Backlog())
        if uploads:
            if not all_asked_for and self._drain is None:
                dense = len(uploads) >= DENSE_FILES
                destination.claim_after_s = now_s + (DENSE_PAUSE_S if dense else TRICKLE_PAUSE_S)
        elif waiting.fresh > waiting.batched or waiting.retrying or self._drain is not None or not waiting.batched:
            # The writer could not hand any out: its disk fails, or they went elsewhere. Else they wait for company.
            destination.claim_after_s = now_s + CLAIM_PAUSE_S

    def _start(self, key: str, destination: DestinationState, upload: Upload, now_s: float) -> None:
        connects = not self._carrier.connected(key)
        self._judge.set_breaker(key, destination, breaking.on_start(destination.breaker, now_s, connects=connects))
        task = asyncio.get_running_loop().create_task(self._carry(key, destination, upload))
        destination.begun(task, upload)
        task.add_done_callback(destination.ended)  # also of one that was cancelled before it began
        task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        """One that failed has settled nothing: its upload would be under way for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._news.set()

    async def _carry(self, key: str, destination: DestinationState, upload: Upload) -> None:
        revision = destination.revision
        try:
            delivered = await carried(upload, self._carrier, self._writer.spool, self._archiving)
        except IrisError as error:
            self._judge.failed(key, destination, upload, error, revision)
        except asyncio.CancelledError:
            broken_off = DeliveryStopped(f"{upload.remote_path!r} was broken off", effect=unclear(upload))
            self._judge.failed(key, destination, upload, broken_off, revision)
            raise
        except Exception as raised:  # noqa: BLE001 - an injected carrier may raise anything; the judge logs it
            what = f"{upload.remote_path!r} failed in an unforeseen way: {raised!r}"
            unforeseen = RemoteFailure(what, effect=unclear(upload))
            unforeseen.__cause__, unforeseen.unforeseen = raised, type(raised)
            self._judge.failed(key, destination, upload, unforeseen, revision)
        else:
            self._judge.delivered(key, destination, upload, delivered)
        finally:
            task = asyncio.current_task()
            assert task is not None, "it runs as a task"
            destination.ended(task)  # before the news: whoever hears them counts what is under way
            self._news.set()

    async def _wind_down(self) -> None:
        """End what is under way; its outcome is settled by each item's own task."""
        self._ended = True
        self._writer.subscribe(lambda: None)
        await self._checks.finish()
        try:
            await self._carrier.close()
        except Exception:
            log.exception("the carrier failed to close; what it carries is broken off")
        tasks = [task for destination in self._destinations.values() for task in destination.under_way]
        tasks += self._checks.under_way
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=CLOSE_GRACE_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        with self._handover:
            self._gone = True
        for _, uploads in self._arrived:
            self._judge.release(uploads)
        for destination in self._destinations.values():
            self._judge.put_back(destination)
            if destination.link == "up":
                destination.see("idle", self._clock.monotonic_s())


def take_back(writer: Writer, timeout_s: float) -> None:
    """What a worker before had under way and could not give back when it failed: nobody else would ever settle it."""
    if writer.is_open and writer.flush(timeout_s):  # its last claims and settlements are on record
        for item in writer.in_flight:
            writer.settle(Settle(item, Event.RELEASE, effect=unclear(item)))
