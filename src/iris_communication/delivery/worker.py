"""The uploader's work: take -> carry -> settle, for every server at once, on one asyncio loop.

It asks the keeper for items, gives them to the carrier, and tells the keeper what became of each; what to do after a
failure the pure decisions say. It knows nothing of SFTP.

Rules.
- A server's lane never waits for another's.
- While its breaker is not closed a lane has one item under way at most: the probe. Each change of a breaker is kept
  on the disk, so that no crash loop knocks more often than one process would.
- A server that is paused or outside its delivery windows is sent nothing; what was claimed for it waits again.
- Draining ends for a lane when nothing is left to send or its link is down; nobody waits for a server that was found
  dead. One that the process before had found dead is asked once its time has come.
- Whatever ends the worker, every item it holds is settled: delivered, failed, or released to wait again.
- When the keeper had to be started again it ends, for another one to begin: its items wait again already.
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
from iris_communication.decisions.breaker import BreakerState
from iris_communication.delivery.batched import ARCHIVES_MAX, CLAIM_ARCHIVES_MAX, Batch, carried, gathered
from iris_communication.delivery.carrier import Carrier
from iris_communication.delivery.checks import Checks
from iris_communication.delivery.judge import CLAIM_PAUSE_S, Judge
from iris_communication.delivery.lane import Lane
from iris_communication.delivery.permission import FAR_S, Permission, permission
from iris_communication.errors import DeliveryStopped, IrisError, RemoteFailure
from iris_communication.item import Event, Item
from iris_communication.outbox.attempt import unclear
from iris_communication.outbox.keeper import Keeper
from iris_communication.outbox.messages import Settle
from iris_communication.outbox.store import Lane as Waiting
from iris_communication.outbox.store import ServerState
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
        keeper: Keeper,
        carrier: Carrier,
        settings: DeliverySettings,
        clock: Clock,
        luck: Callable[[], float] = random.random,
        configured: Callable[[], Set[str]] = frozenset,
        backlog_until: int = 0,
    ) -> None:
        """`configured`: keys of servers that are looked after though nothing was ever sent to them. `backlog_until`:
        the last sequence of what waited when the delivery was started. It is not asked for here: a worker that comes
        late, or anew after a failure, would take what came in since for a backlog, and what came after it would go
        first."""
        self._keeper = keeper
        self._carrier = carrier
        self._settings = settings
        self._clock = clock
        self._luck = luck
        self._configured = configured
        self._backlog_until = backlog_until
        self._archiving = asyncio.Lock()
        self._lanes: dict[str, Lane] = {}
        self._drain: Drain | None = None
        self._ended = False
        self._woken = False  # a wake is on its way to the loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._judge = Judge(keeper, carrier, self._lanes, settings, clock, luck, self._news.set)
        self._checks = Checks(carrier, self._known, self._judge, clock, luck)
        # What the keeper has handed out on its own thread. A call scheduled on the loop could be lost with the loop.
        self._handover = threading.Lock()
        self._arrived: deque[tuple[str, list[Item]]] = deque()
        self._gone = False
        self._incarnation = keeper.incarnation
        self._failure: BaseException | None = None  # of a task, in a way nobody foresaw

    # Called by any thread.

    def wake(self) -> None:
        loop = self._loop
        if loop is not None and not self._ended and not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop closed just now: the worker has ended
                loop.call_soon_threadsafe(self._news.set)

    def published(self) -> None:
        """The keeper has a new picture. Lanes that could make nothing of it will look by themselves, in time."""
        now_s, lanes = self._clock.monotonic_s(), self._lanes
        if self._drain is not None or any(
            (lane := lanes.get(key)) is None or not (lane.claiming or now_s < lane.claim_after_s)
            for key in self._keeper.view.lanes
        ):
            self.wake()

    def drain(self, order: Drain) -> None:
        self._drain = order
        self.wake()

    def details(self) -> dict[str, Any]:
        """Of each server: link, since when, why, waiting, in flight, when it is tried again, why nothing is sent, how
        well it is."""
        waiting, now_s = self._keeper.view.lanes, self._clock.monotonic_s()
        to_wall_s = self._clock.wall_s() - now_s  # asked anew each time: the wall clock may be set meanwhile
        lanes = dict(self._lanes)
        servers = self._keeper.view.servers
        for key in (waiting.keys() | self._configured()) - lanes.keys():
            lanes[key] = self._new_lane(key)
        return {
            key: lane.details(
                waiting.get(key, Waiting()),
                servers.get(key, ServerState()),
                now_s,
                self._permission(key).why_not,
                to_wall_s=to_wall_s,
            )
            for key, lane in lanes.items()
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
        self._keeper.subscribe(self.published, self.server_changed, self.wake)
        try:
            while True:
                self._news.clear()
                self._woken = False  # before it looks: what comes now wakes it again
                if self._failure is not None:
                    raise self._failure
                if self._keeper.incarnation != self._incarnation:
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
        waiting = self._keeper.view.lanes
        busy, wait_s = False, drain.deadline_s - now_s if drain is not None else FAR_S
        for key in self._lanes.keys() | waiting.keys() | self._configured():
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = self._new_lane(key)
            more, next_s = self._serve(key, lane, waiting.get(key, Waiting()), now_s)
            wait_s = min(wait_s, next_s)
            busy = busy or more
        return None if drain is not None and not busy else wait_s

    def _new_lane(self, key: str) -> Lane:
        """Whose breaker is as the process before left it."""
        view, clock = self._keeper.view, self._clock
        kept = view.servers.get(key, ServerState()).breaker
        boot = (clock.boot_id, clock.boot_s())
        breaker, warning = breaking.restored(kept, clock.monotonic_s(), boot, self._settings, self._luck())
        if warning:
            log.warning("%s: %s", key, warning)
        if breaker.state is BreakerState.CLOSED:
            return Lane(clock.monotonic_s(), breaker, backlog_until=self._backlog_until)
        return Lane(None, breaker, link="down", backlog_until=self._backlog_until)

    def _serve(self, key: str, lane: Lane, waiting: Waiting, now_s: float) -> tuple[bool, float]:
        """(whether draining has to wait for this lane, in how many seconds to look again)."""
        permitted = self._permission(key)
        if permitted.why_not:
            self._judge.put_back(lane)
            return bool(lane.under_way), permitted.ask_again_s
        # A link that failed under this process is not waited for; one that failed before it is asked when it may be.
        if self._drain is not None and (
            lane.found_dead
            or lane.breaker.state is BreakerState.HELD
            or not (self._drain.may_connect or self._carrier.connected(key))
        ):
            return False, FAR_S
        slots = self._carrier.slots(key)
        allowed = breaking.allowance(lane.breaker, slots, now_s)
        if lane.health.looking and lane.breaker.state is not BreakerState.CLOSED:
            allowed = 0  # the look is the probe
        if lane.link == "up" and not lane.under_way and not self._carrier.connected(key):
            lane.see("idle", self._clock.monotonic_s())
        if allowed == 0 and lane.claimed:
            self._judge.put_back(lane)
        for _ in range(min(START_MAX, len(lane.claimed), allowed - len(lane.under_way))):
            item = lane.next_up()
            if item is None:
                break
            self._start(key, lane, item, now_s)
        else:
            if lane.claimed and len(lane.under_way) < allowed:
                asyncio.get_running_loop().call_soon(self._news.set)  # the others in the loop's next turn
        busy, again_s = self._ask_for_more(key, lane, waiting, allowed, now_s)
        if self._drain is None:
            again_s = min(again_s, self._checks.consider(key, lane, work=busy, slots=slots))
        return busy, min(again_s, permitted.ask_again_s)

    def _ask_for_more(self, key: str, lane: Lane, waiting: Waiting, allowed: int, now_s: float) -> tuple[bool, float]:
        """(whether there is or will be work, in how many seconds to look again)."""
        due_in_s = FAR_S
        if waiting.next_due_s is not None:
            due_in_s = max(0.0, waiting.next_due_s - self._clock.boot_s())
        together = waiting.batched if self._carrier.takes_archives else 0
        archives = min(CLAIM_ARCHIVES_MAX, ARCHIVES_MAX - len(lane.archives))
        ready = waiting.fresh > together or (waiting.retrying > 0 and due_in_s == 0.0) or lane.falls_back
        if together and archives > 0:
            if self._drain is not None or now_s >= lane.together_after_s:
                ready = True
            else:
                due_in_s = min(due_in_s or FAR_S, lane.together_after_s - now_s)
        if ready and now_s < lane.claim_after_s:
            return True, lane.claim_after_s - now_s
        # One window ahead, so that a slow commit of the keeper does not leave the link idle. Suspects do not fill it.
        ahead = allowed + len(lane.suspicion.suspects) if allowed else 0
        room = allowed - len(lane.claimed) - len(lane.under_way)
        wanted = min(CLAIM_MAX, room + ahead)
        if ready and not lane.claiming and wanted > 0 and len(lane.claimed) <= ahead - (allowed + 1) // 2:
            lane.claiming, lane.asked, lane.asked_archives, lane.falls_back = True, wanted, archives, False
            self._keeper.claim(
                key,
                wanted,
                lambda items: self._claimed(key, items),
                lane.backlog_until,
                archives=archives if self._carrier.takes_archives else None,
                draining=self._drain is not None,
                hurried=min(waiting.fresh, room) >= HURRIED_FILES,
            )
        busy = bool(lane.claimed or lane.under_way or lane.claiming or ready)
        if lane.breaker.state is BreakerState.OPEN:
            due_in_s = max(0.0, lane.breaker.until_s - now_s)
        if now_s < lane.claim_after_s:  # what comes until then wakes nobody
            due_in_s = min(due_in_s or FAR_S, lane.claim_after_s - now_s)
        return busy, due_in_s if due_in_s > 0.0 else FAR_S

    def _known(self, key: str) -> Server | None:
        return self._keeper.servers.known(key)

    def _permission(self, key: str) -> Permission:
        state = self._keeper.view.servers.get(key, ServerState())
        return permission(self._known(key), state, self._clock.wall_s())

    def _claimed(self, key: str, items: list[Item]) -> None:
        """The keeper's reply, on the keeper's thread."""
        with self._handover:
            if not self._gone:
                self._arrived.append((key, items))
                self.wake()
                return
        self._judge.release(gathered(items))

    def _take(self, key: str, items: list[Item]) -> None:
        lane = self._lanes[key]
        now_s, uploads = self._clock.monotonic_s(), gathered(items)
        lane.claiming = False
        lane.claimed.extend(uploads)
        archives = {upload.id for upload in uploads if isinstance(upload, Batch)}
        lane.archives |= archives
        all_asked_for = len(uploads) >= lane.asked or 0 < lane.asked_archives <= len(archives)
        lane.together_after_s = 0.0 if all_asked_for else now_s + COMPANY_LOOK_S
        waiting = self._keeper.view.lanes.get(key, Waiting())
        if uploads:
            if not all_asked_for and self._drain is None:
                dense = len(uploads) >= DENSE_FILES
                lane.claim_after_s = now_s + (DENSE_PAUSE_S if dense else TRICKLE_PAUSE_S)
        elif waiting.fresh > waiting.batched or waiting.retrying or self._drain is not None or not waiting.batched:
            # The keeper could not hand any out: its disk fails, or they went elsewhere. Else they wait for company.
            lane.claim_after_s = now_s + CLAIM_PAUSE_S

    def _start(self, key: str, lane: Lane, item: Item, now_s: float) -> None:
        connects = not self._carrier.connected(key)
        self._judge.set_breaker(key, lane, breaking.on_start(lane.breaker, now_s, connects=connects))
        task = asyncio.get_running_loop().create_task(self._carry(key, lane, item))
        lane.begun(task, item)
        task.add_done_callback(lane.ended)  # also of one that was cancelled before it began
        task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        """One that failed has settled nothing: its item would be under way for ever."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._news.set()

    async def _carry(self, key: str, lane: Lane, item: Item) -> None:
        revision = lane.revision
        try:
            delivered = await carried(item, self._carrier, self._keeper.spool, self._archiving)
        except IrisError as error:
            self._judge.failed(key, lane, item, error, revision)
        except asyncio.CancelledError:
            broken_off = DeliveryStopped(f"{item.remote_path!r} was broken off", effect=unclear(item))
            self._judge.failed(key, lane, item, broken_off, revision)
            raise
        except Exception as raised:  # noqa: BLE001 - an injected carrier may raise anything; the judge logs it
            what = f"{item.remote_path!r} failed in an unforeseen way: {raised!r}"
            unforeseen = RemoteFailure(what, effect=unclear(item))
            unforeseen.__cause__, unforeseen.unforeseen = raised, type(raised)
            self._judge.failed(key, lane, item, unforeseen, revision)
        else:
            self._judge.delivered(key, lane, item, delivered)
        finally:
            task = asyncio.current_task()
            assert task is not None, "it runs as a task"
            lane.ended(task)  # before the news: whoever hears them counts what is under way
            self._news.set()

    async def _wind_down(self) -> None:
        """End what is under way; its outcome is settled by each item's own task."""
        self._ended = True
        self._keeper.subscribe(lambda: None)
        await self._checks.finish()
        try:
            await self._carrier.close()
        except Exception:
            log.exception("the carrier failed to close; what it carries is broken off")
        tasks = [task for lane in self._lanes.values() for task in lane.under_way]
        tasks += self._checks.under_way
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=CLOSE_GRACE_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        with self._handover:
            self._gone = True
        for _, items in self._arrived:
            self._judge.release(gathered(items))
        for lane in self._lanes.values():
            self._judge.put_back(lane)
            if lane.link == "up":
                lane.see("idle", self._clock.monotonic_s())


def take_back(keeper: Keeper, timeout_s: float) -> None:
    """What a worker before had under way and could not give back when it failed: nobody else would ever settle it."""
    if keeper.is_open and keeper.flush(timeout_s):  # its last claims and settlements are on record
        for item in keeper.in_flight:
            keeper.settle(Settle(item, Event.RELEASE, effect=unclear(item)))
