"""The outbox beside a simple model: whatever is asked of it, in whatever order, both have to agree.

The writer is the real one on the real store and a real folder; crashes, clock jumps and disks that refuse come between
any two steps. What failed is printed as the steps that led to it.
"""

import asyncio
import contextlib
import functools
import math
import shutil
import tempfile
from itertools import groupby
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from iris_communication.errors import Effect, OutboxFull, OutboxStorageError, RemoteFailure, SourceMissing
from iris_communication.item import Archive, Delivered, Event, State, Take
from iris_communication.outbox.orders import CancelItems, DropItems, RetryAllDead, SetPriority
from iris_communication.outbox.recovery.recovery import recover
from iris_communication.outbox.store import ledger
from iris_communication.outbox.writer.messages import Accept, Destination, Settle, SettleArchive
from iris_communication.settings import Secret, Server
from tests.simulation.machine import MachineClock, ProcessKilled, SimulatedDisk, SteppedWriter
from tests.thorough import examples

SERVERS = [Server("one.example", "iris"), Server("two.example", "iris")]
SECRET = Secret(password="open sesame")
OUTBOX_MAX = 6
DELAY_S = 50.0
FOR_GOOD = ("delivered", "dropped", "expired", "cancelled")


class OutboxMachine(RuleBasedStateMachine):
    """The model: `state` is what each accepted id is now, `due_s` when a failed one may be claimed again, `expires_s`
    when one that waits is given up."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.loop = asyncio.new_event_loop()  # where the writer sets its timers; it never runs here
        self.clock = MachineClock()
        self.disk = SimulatedDisk(self.folder, Random(1))
        self.disk.small_max_bytes = 1  # of the first nine files; the bytes of the others are in the spool
        self.tokens = Random(2)
        self.state = {}
        self.attempts = {}
        self.due_s = {}
        self.expires_s = {}
        self.lives = {}  # wall time of acceptance and time to live: all that a reboot leaves to go by
        self.server_of = {}
        self.claimed = {}
        self.delivered = []  # ids, in order
        self.sources = 0
        self.queued = self.uploaded = self.ended = 0  # since this process began
        self.writer = None
        self.start()

    def teardown(self):
        if not self.writer.dead:
            self.writer.abandon()
        self.loop.close()
        shutil.rmtree(self.folder)

    def start(self):
        self.disk.answers_lost = 0  # together with a full disk it could keep a process from starting
        self.writer = SteppedWriter(
            self.disk, self.clock, OUTBOX_MAX, lambda: f"{self.tokens.getrandbits(64):016x}", print, lambda: None
        )
        self.on_loop(self.writer.open)
        self.claimed = {}
        for item_id, state in self.state.items():
            if state == "in_flight":
                self.state[item_id] = "waiting"
        self.queued = sum(state not in FOR_GOOD for state in self.state.values())
        self.uploaded = self.ended = 0
        self.step()

    def on_loop(self, call, *arguments):
        """The writer asks for the running loop to set its timers; here every step is made by hand."""
        asyncio._set_running_loop(self.loop)  # asyncio has no public way to name a loop that does not run
        try:
            return call(*arguments)
        finally:
            asyncio._set_running_loop(None)
            if self.writer is not None and not self.writer.dead:
                self.note_what_expired()

    def accept_of(self, server, take, exists=True, batch="", **facts):
        path = self.folder / f"{self.sources}.csv"
        self.sources += 1
        if exists:
            path.write_bytes(b"%d" % self.sources)
        destination = Destination(server, SECRET, f"/in/{path.name}", batch)
        return path, Accept((destination,), str(path), {}, "model", take, **facts)

    def in_state(self, *states):
        return sorted(item_id for item_id, state in self.state.items() if state in states)

    def step(self):
        """A settlement that a full disk refuses is recorded in the next turn, in the room that was kept back."""
        self.on_loop(self.writer.step)
        if self.writer.unfinished:
            self.on_loop(self.writer.step)
        assert not self.over() or self.disk.full or self.writer.unfinished

    # -- rules

    def over(self):
        """Ids that wait, and whose time is over."""
        return [
            item_id
            for item_id in self.in_state("waiting")
            if self.expires_s.get(item_id, math.inf) <= self.clock.boot_s()
        ]

    def note_what_expired(self):
        for item_id in self.over():
            if self.writer.store.state(item_id) == "expired":
                self.state[item_id] = "expired"
                self.ended += 1

    @rule(
        server=st.sampled_from(SERVERS),
        take=st.sampled_from(Take),
        priority=st.sampled_from([-1, 0, 0, 3]),
        ttl_s=st.sampled_from([None, None, DELAY_S / 2]),
        batch=st.sampled_from(["", "zip:/in", "zip:/in"]),
    )
    def accept(self, server, take, priority, ttl_s, batch):
        path, accept = self.accept_of(server, take, priority=priority, ttl_s=ttl_s, batch=batch)
        self.step()
        full = len(self.in_state("waiting", "in_flight")) >= OUTBOX_MAX
        try:
            (receipt,) = self.on_loop(self.writer.accept, accept)
        except OutboxFull:
            assert full
            assert path.exists()
        except OutboxStorageError:
            assert self.disk.full
            assert path.exists()
        else:
            assert not full
            assert path.exists() == (take is Take.COPY)
            self.state[receipt.id] = "waiting"
            self.attempts[receipt.id] = 0
            self.server_of[receipt.id] = server.key
            if ttl_s is not None:
                self.expires_s[receipt.id] = self.clock.boot_s() + ttl_s
                self.lives[receipt.id] = (self.clock.wall_s(), ttl_s)
            self.queued += 1

    @precondition(lambda self: not self.disk.full and len(self.in_state("waiting", "in_flight")) < OUTBOX_MAX)
    @rule(server=st.sampled_from(SERVERS))
    def accept_a_missing_file(self, server):
        _, accept = self.accept_of(server, Take.COPY, exists=False)
        with contextlib.suppress(OutboxStorageError):  # the disk has been full, and the reserve is not back yet
            (receipt,) = self.on_loop(self.writer.accept, accept)
            assert isinstance(receipt.outcome, SourceMissing)
            self.state[receipt.id] = "dead for good"
            self.server_of[receipt.id] = server.key
            self.queued += 1
        self.step()

    @rule(server=st.sampled_from(SERVERS), limit=st.integers(1, 4))
    def claim(self, server, limit):
        found, may_go = self.found_by_a_claim(server, limit)
        assert len(found) == min(limit, len(may_go)) or (self.disk.full and not found)

    @rule(server=st.sampled_from(SERVERS), limit=st.integers(1, 4), archives=st.integers(0, 2))
    def claim_together(self, server, limit, archives):
        found, _ = self.found_by_a_claim(server, limit, archives=archives, draining=True)
        together = [list(items) for archive, items in groupby(found, lambda item: item.batch_id) if archive]
        assert len(together) <= archives
        for items in together:
            assert items[0].batch_id.endswith(f"-{len(items)}")
            assert len({(item.token, item.earlier_tokens, item.batch, item.effect) for item in items}) == 1
        alone = [item for item in found if item.batch_id is None]
        assert len({item.token for item in alone}) == len(alone)

    @precondition(lambda self: any(item.batch_id for item in self.claimed.values()))
    @rule(
        data=st.data(),
        event=st.sampled_from([Event.DELIVER, Event.RELEASE, Event.RELEASE]),
        effect=st.sampled_from(Effect),
        unbatched=st.booleans(),
    )
    def settle_together(self, data, event, effect, unbatched):
        archive = data.draw(st.sampled_from(sorted({item.batch_id for item in self.claimed.values() if item.batch_id})))
        items = [item for item in self.claimed.values() if item.batch_id == archive]
        settles = [Settle(item, Event.RELEASE, effect=effect, unbatched=unbatched) for item in items]
        if event is Event.DELIVER:
            settles = [Settle(item, event, delivered=_proof(item)) for item in items]
            self.delivered += [item.id for item in items]
            self.uploaded += len(items)
        self.on_loop(self.writer.settle, SettleArchive(tuple(settles)))
        self.step()
        for item in items:
            del self.claimed[item.id]
            self.state[item.id] = "delivered" if event is Event.DELIVER else "waiting"

    def found_by_a_claim(self, server, limit, **facts):
        """What is handed out, which is under way then, and everything that might have been."""
        self.step()
        uploads = []
        self.on_loop(functools.partial(self.writer.claim, server.key, limit, uploads.extend, **facts))
        self.step()
        found = [item for upload in uploads for item in (upload.members if isinstance(upload, Archive) else (upload,))]
        may_go = {
            item_id
            for item_id in self.in_state("waiting")
            if self.server_of[item_id] == server.key and self.due_s.get(item_id, 0.0) <= self.clock.boot_s()
        }
        assert len({item.id for item in found}) == len(found)
        assert {item.id for item in found} <= may_go
        for item in found:
            assert item.attempts == self.attempts[item.id]
            self.state[item.id] = "in_flight"
            self.claimed[item.id] = item
        return found, may_go

    def settle(self, data, event, state, **facts):
        item = self.claimed.pop(data.draw(st.sampled_from(sorted(self.claimed))))
        self.on_loop(self.writer.settle, Settle(item, event, **facts))
        self.step()
        self.state[item.id] = state
        return item.id

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data, twice):
        item = self.claimed.pop(data.draw(st.sampled_from(sorted(self.claimed))))
        for _ in range(1 + twice):
            self.on_loop(self.writer.settle, Settle(item, Event.DELIVER, delivered=_proof(item)))
        self.step()
        self.state[item.id] = "delivered"
        self.delivered.append(item.id)
        self.uploaded += 1

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def fail(self, data):
        item_id = self.settle(data, Event.FAIL, "waiting", error=RemoteFailure("no"), delay_s=DELAY_S)
        self.attempts[item_id] += 1
        self.due_s[item_id] = self.clock.boot_s() + DELAY_S

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def release(self, data):
        self.settle(data, Event.RELEASE, "waiting")

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def give_up(self, data):
        item_id = self.settle(data, Event.GIVE_UP, "dead", error=RemoteFailure("never"))
        self.attempts[item_id] += 1
        self.due_s.pop(item_id, None)

    @rule()
    def retry_the_dead(self):
        self.step()
        dead = self.in_state("dead")
        try:
            assert self.on_loop(self.writer.execute, RetryAllDead()) == dict.fromkeys(dead, "")
        except OutboxStorageError:
            assert self.disk.full
            return
        for item_id in dead:
            self.state[item_id], self.attempts[item_id] = "waiting", 0
        self.step()

    @precondition(lambda self: self.state)
    @rule(data=st.data(), kind=st.sampled_from([DropItems, CancelItems]))
    def give_up_by_hand(self, data, kind):
        item_id = data.draw(st.sampled_from(sorted(self.state)))
        self.step()
        may = self.state[item_id] in ("waiting", "dead", "dead for good") and item_id not in self.over()
        try:
            outcomes = self.on_loop(self.writer.execute, kind([item_id], "by hand"))
        except OutboxStorageError:
            assert self.disk.full
            return
        assert (outcomes == {item_id: ""}) == may
        if may:
            self.state[item_id] = {DropItems: "dropped", CancelItems: "cancelled"}[kind]
            self.ended += 1

    @precondition(lambda self: self.state)
    @rule(data=st.data(), priority=st.integers(-9, 9))
    def change_a_priority(self, data, priority):
        item_id = data.draw(st.sampled_from(sorted(self.state)))
        self.step()
        may = self.state[item_id] in ("waiting", "dead", "dead for good") and item_id not in self.over()
        with contextlib.suppress(OutboxStorageError):
            outcomes = self.on_loop(self.writer.execute, SetPriority((item_id,), priority))
            assert (outcomes == {item_id: ""}) == may
            if may:
                assert self.writer.store.item(item_id).priority == priority
        self.step()

    @rule()
    def crash_and_come_back(self):
        self.writer.abandon()
        self.start()

    @rule(steps=st.integers(1, 12), server=st.sampled_from(SERVERS))
    def crash_while_accepting(self, steps, server):
        """No answer came, so it may be there or not: the store counts, and has to be consistent."""
        if self.disk.full:
            return
        path, accept = self.accept_of(server, Take.COPY)
        self.disk.kill_in = steps
        with contextlib.suppress(ProcessKilled, OutboxFull, OutboxStorageError):
            self.on_loop(self.writer.accept, accept)
        self.disk.kill_in = None
        self.writer.abandon()
        self.start()
        for item in self.writer.store.unfinished():
            if item.source_path == str(path):
                self.state[item.id], self.attempts[item.id] = "waiting", 0
                self.server_of[item.id] = server.key
                self.queued += 1

    @rule()
    def reboot_after_a_power_cut(self):
        self.writer.abandon()
        self.disk.lose_power()
        self.clock.reboot()
        self.due_s.clear()
        for item_id, (accepted_s, ttl_s) in self.lives.items():
            left_s = min(ttl_s, max(0.0, accepted_s + ttl_s - self.clock.wall_s()))
            self.expires_s[item_id] = self.clock.boot_s() + left_s
        self.start()

    @rule(seconds=st.sampled_from([-86_400.0 * 30, -1.0, 3600.0, 86_400.0 * 30]))
    def the_wall_clock_jumps(self, seconds):
        self.clock.jump_wall(seconds)

    @rule(seconds=st.sampled_from([0.5, DELAY_S / 2, DELAY_S]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def the_disk_fills_up(self):
        self.disk.full = True

    @rule()
    def there_is_room_again(self):
        self.disk.full = False

    @rule()
    def a_commit_happens_and_says_that_it_failed(self):
        self.disk.answers_lost = 1

    # -- what both have to agree on

    @invariant()
    def the_store_says_what_the_model_says(self):
        recorded = {
            item.id: item.state.value for item in (*self.writer.store.unfinished(), *self.writer.store.dead(999))
        }
        owed = {id_: state.removesuffix(" for good") for id_, state in self.state.items() if state not in FOR_GOOD}
        assert recorded == owed
        for item_id in self.in_state(*FOR_GOOD):
            assert self.writer.store.state(item_id) == self.state[item_id]

    @invariant()
    def every_id_is_counted_in_exactly_one_state(self):
        tally = self.writer.store.tally()
        assert tally._asdict() == {
            state.value: len(self.in_state(state.value, f"{state.value} for good")) for state in State
        }
        assert sum(tally) == self.writer.store.last_sequence()

    @invariant()
    def the_numbers_agree(self):
        stats, dead = self.writer.snapshot.stats, len(self.in_state("dead", "dead for good"))
        queue_size = len(self.in_state("waiting", "in_flight"))
        assert stats == (self.queued, self.uploaded, dead + self.ended, queue_size)
        assert stats.total_queued == stats.total_uploaded + stats.total_failed + stats.queue_size

    @invariant()
    def the_ledger_has_a_line_for_each_delivery(self):
        lines = list(self.writer.store.ledger())
        assert ledger.first_broken(lines) is None
        assert [f'"id":"{item_id}"' in line.text for item_id, line in zip(self.delivered, lines, strict=True)] == [
            True
        ] * len(lines)

    @invariant()
    def the_bytes_of_all_that_is_owed_are_held(self):
        items = [
            item
            for item_id in self.in_state("waiting", "in_flight", "dead")
            if (item := self.writer.store.item(item_id))
        ]
        stored = self.writer.store.contents(items).keys()
        assert all(item.in_store is (item.id in stored) for item in items)
        held = stored | self.writer.spool.sizes().keys()
        assert held == set(self.in_state("waiting", "in_flight", "dead"))

    @invariant()
    def going_over_it_again_changes_nothing(self):
        if not self.in_state("in_flight"):
            before = self.writer.store.tally()
            recover(self.writer.store.real, self.writer.spool)
            assert self.writer.store.tally() == before


def _proof(item):
    return Delivered(item.remote_path, item.fingerprint.size_bytes, item.fingerprint.sha256, None, 1.0)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=examples(100),
    stateful_step_count=40,
    derandomize=True,
    phases=(Phase.generate,),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
