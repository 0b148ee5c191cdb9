"""The uploader's work: claim -> carry -> settle, for every server at once, on one asyncio loop.

It claims items from the writer, gives them to the carrier, and settles each with the writer. The pure functions in
`decisions` say what to do after a failure. It knows nothing of SFTP.

Rules.
- A destination never waits for another server's.
- While its breaker is not closed a destination has one item under way at most: the probe. Each change of a breaker is
  stored, so that a crash loop probes no more often than one process would.
- A server that is paused or outside its delivery windows is sent nothing; the items claimed for it are released.
- Draining ends for a destination when nothing is left to send or its link is down: it does not wait for a server that
  this process found dead. One that an earlier process had found dead is tried once its breaker allows it.
- Whatever ends the worker, every item it holds is settled: delivered, failed, or released to wait again.
- When the writer was restarted the worker ends, and another one is started: its items wait again already.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from iris_communication.clock import Clock
from iris_communication.decisions import breaker as breaking
from iris_communication.decisions.attempt import unclear
from iris_communication.decisions.breaker import BreakerState
from iris_communication.delivery.batches import carried
from iris_communication.delivery.carrier import Carrier
from iris_communication.delivery.checks import Checks
from iris_communication.delivery.claims import Claims
from iris_communication.delivery.destination import DestinationState
from iris_communication.delivery.holds import FAR_S, Hold, hold_of
from iris_communication.delivery.outcomes import Outcomes
from iris_communication.errors import DeliveryStopped, IrisError, RemoteFailure
from iris_communication.item import Event, Upload
from iris_communication.outbox.store.contract import Backlog, ServerState
from iris_communication.outbox.writer.messages import Settle
from iris_communication.outbox.writer.writer import Writer
from iris_communication.settings import DeliverySettings, Server

log = logging.getLogger(__name__)

START_MAX = 4  # items begun in one turn of the loop: a turn is to take about a millisecond
CLOSE_GRACE_S = 1.0  # for uploads that do not end at once after the carrier was closed


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
        jitter: Callable[[], float] = random.random,
        configured: Callable[[], Set[str]] = frozenset,
        backlog_until: int = 0,
    ) -> None:
        """`configured`: keys of servers that get health checks though nothing was ever sent to them. `backlog_until`:
        the last sequence of what waited when the delivery was started. It is a parameter because a worker that starts
        late, or again after a failure, would count newer items as backlog, and what came after those would go first."""
        self._writer = writer
        self._carrier = carrier
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self._configured = configured
        self._backlog_until = backlog_until
        self._archiving = asyncio.Lock()
        self._destinations: dict[str, DestinationState] = {}
        self._drain: Drain | None = None
        self._ended = False
        self._woken = False  # a wake is on its way to the loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._outcomes = Outcomes(writer, carrier, self._destinations, settings, clock, jitter, self._news.set)
        self._claims = Claims(writer, carrier, self._outcomes, clock, self.wake)
        self._checks = Checks(carrier, self._known, self._outcomes, clock, jitter)
        self._incarnation = writer.incarnation
        self._failure: BaseException | None = None  # an unforeseen error of a task

    # Called by any thread.

    def wake(self) -> None:
        loop = self._loop
        if loop is not None and not self._ended and not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop closed just now: the worker has ended
                loop.call_soon_threadsafe(self._news.set)

    def published(self) -> None:
        """The writer has a new snapshot. A destination whose claim or pause is not over reads it when that ends."""
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
        """Of each server: link, since when, why, waiting, in flight, when it is tried again, why nothing is sent, its
        health."""
        waiting, now_s = self._writer.snapshot.backlogs, self._clock.monotonic_s()
        to_wall_s = self._clock.wall_s() - now_s  # computed each time: the wall clock may be set meanwhile
        destinations = dict(self._destinations)
        servers = self._writer.snapshot.servers
        for key in (waiting.keys() | self._configured()) - destinations.keys():
            destinations[key] = self._new_destination(key)
        return {
            key: destination.details(
                waiting.get(key, Backlog()),
                servers.get(key, ServerState()),
                now_s,
                self._hold(key).why_not,
                to_wall_s=to_wall_s,
            )
            for key, destination in destinations.items()
        }

    def server_changed(self, server_key: str) -> None:
        """New facts about a server: what only a person could mend may be mended."""
        loop = self._loop
        if loop is not None and not self._ended:
            with contextlib.suppress(RuntimeError):  # as above
                loop.call_soon_threadsafe(self._outcomes.release_breaker, server_key)

    # All below runs on the loop's thread.

    async def run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._carrier.on_change = self._news.set
        self._writer.subscribe(self.published, self.server_changed, self.wake)
        try:
            while True:
                self._news.clear()
                self._woken = False  # before the turn: a change from now on wakes it again
                if self._failure is not None:
                    raise self._failure
                if self._writer.incarnation != self._incarnation:
                    return  # what the writer handed out before is not in flight any more
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
        """Start what may start, claim more. Seconds until the next turn if nothing wakes it; None: all is done."""
        drain = self._drain
        self._claims.take(draining=drain is not None)
        now_s = self._clock.monotonic_s()
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
        """With the breaker as the previous process stored it."""
        snapshot, clock = self._writer.snapshot, self._clock
        kept = snapshot.servers.get(key, ServerState()).breaker
        boot = (clock.boot_id, clock.boot_s())
        breaker, warning = breaking.restored(kept, clock.monotonic_s(), boot, self._settings, self._jitter())
        if warning:
            log.warning("%s: %s", key, warning)
        if breaker.state is BreakerState.CLOSED:
            return DestinationState(clock.monotonic_s(), breaker, backlog_until=self._backlog_until)
        return DestinationState(None, breaker, link="down", backlog_until=self._backlog_until)

    def _serve(self, key: str, destination: DestinationState, waiting: Backlog, now_s: float) -> tuple[bool, float]:
        """Returns (whether draining has to wait for this destination, seconds until it has to be served again)."""
        hold = self._hold(key)
        if hold.why_not:
            self._outcomes.put_back(destination)
            return bool(destination.under_way), hold.ask_again_s
        # Draining does not wait for a link that failed in this process; one that failed before is tried when it may be.
        if self._drain is not None and (
            destination.found_dead
            or destination.breaker.state is BreakerState.HELD
            or not (self._drain.may_connect or self._carrier.connected(key))
        ):
            return False, FAR_S
        slots = self._carrier.slots(key)
        allowed = breaking.allowance(destination.breaker, slots, now_s)
        if destination.health.checking and destination.breaker.state is not BreakerState.CLOSED:
            allowed = 0  # the health check is the probe
        if destination.link == "up" and not destination.under_way and not self._carrier.connected(key):
            destination.see("idle", self._clock.monotonic_s())
        if allowed == 0 and destination.claimed:
            self._outcomes.put_back(destination)
        for _ in range(min(START_MAX, len(destination.claimed), allowed - len(destination.under_way))):
            upload = destination.next_up()
            if upload is None:
                break
            self._start(key, destination, upload, now_s)
        else:
            if destination.claimed and len(destination.under_way) < allowed:
                asyncio.get_running_loop().call_soon(self._news.set)  # the others in the loop's next turn
        busy, again_s = self._claims.consider(
            key, destination, waiting, allowed, now_s, draining=self._drain is not None
        )
        if self._drain is None:
            again_s = min(again_s, self._checks.consider(key, destination, work=busy, slots=slots))
        return busy, min(again_s, hold.ask_again_s)

    def _known(self, key: str) -> Server | None:
        return self._writer.servers.known(key)

    def _hold(self, key: str) -> Hold:
        state = self._writer.snapshot.servers.get(key, ServerState())
        return hold_of(self._known(key), state, self._clock.wall_s())

    def _start(self, key: str, destination: DestinationState, upload: Upload, now_s: float) -> None:
        connects = not self._carrier.connected(key)
        self._outcomes.set_breaker(key, destination, breaking.on_start(destination.breaker, now_s, connects=connects))
        task = asyncio.get_running_loop().create_task(self._carry(key, destination, upload))
        destination.begun(task, upload)
        task.add_done_callback(destination.ended)  # also of one that was cancelled before it began
        task.add_done_callback(self._note_failure)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """A task that failed has settled nothing: its upload would be in flight for ever, so the worker fails."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._news.set()

    async def _carry(self, key: str, destination: DestinationState, upload: Upload) -> None:
        revision = destination.revision
        try:
            delivered = await carried(upload, self._carrier, self._writer.held, self._archiving)
        except IrisError as error:
            self._outcomes.failed(key, destination, upload, error, revision)
        except asyncio.CancelledError:
            broken_off = DeliveryStopped(f"{upload.remote_path!r} was cancelled", effect=unclear(upload))
            self._outcomes.failed(key, destination, upload, broken_off, revision)
            raise
        except Exception as raised:  # noqa: BLE001 - an injected carrier may raise anything; `Outcomes` logs it
            what = f"{upload.remote_path!r} failed in an unforeseen way: {raised!r}"
            unforeseen = RemoteFailure(what, effect=unclear(upload))
            unforeseen.__cause__, unforeseen.unforeseen = raised, type(raised)
            self._outcomes.failed(key, destination, upload, unforeseen, revision)
        else:
            self._outcomes.delivered(key, destination, upload, delivered)
        finally:
            task = asyncio.current_task()
            assert task is not None, "it runs as a task"
            destination.ended(task)  # before `_news` is set: the next turn counts what is under way
            self._news.set()

    async def _wind_down(self) -> None:
        """End uploads under way; each task settles its own upload."""
        self._ended = True
        self._writer.subscribe(lambda: None)
        await self._checks.finish()
        try:
            await self._carrier.close()
        except Exception:
            log.exception("the carrier failed to close; its uploads are cancelled")
        tasks = [task for destination in self._destinations.values() for task in destination.under_way]
        tasks += self._checks.under_way
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=CLOSE_GRACE_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        self._claims.end()
        for destination in self._destinations.values():
            self._outcomes.put_back(destination)
            if destination.link == "up":
                destination.see("idle", self._clock.monotonic_s())


def take_back(writer: Writer, timeout_s: float) -> None:
    """Release what a failed worker left in flight: nothing else would ever settle it."""
    if writer.is_open and writer.flush(timeout_s):  # its last claims and settlements are committed
        for item in writer.in_flight:
            writer.settle(Settle(item, Event.RELEASE, effect=unclear(item)))
