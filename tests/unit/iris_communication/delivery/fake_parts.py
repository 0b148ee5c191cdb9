"""What the tests of delivery stand on: a writer made of lists, and a carrier whose ends the test decides."""

import asyncio
from collections import defaultdict

from iris_communication.decisions.attempt import claimed, failed, released
from iris_communication.errors import DeliveryStopped, Effect
from iris_communication.item import Delivered, Due, Event
from iris_communication.outbox.store.contract import Backlog, ServerState
from iris_communication.outbox.writer.snapshot import Snapshot
from tests.unit.iris_communication.outbox.fake_parts import an_item

ONE, TWO = "iris@one:22", "iris@two:22"


class FakeWriter:
    """Commits at once, on the caller's thread. `answers_claims` False: a claim waits until `answer_claims`."""

    def __init__(self, clock):
        self.clock = clock
        self.waiting = defaultdict(list)
        self.accepted = 0
        self.settled = []
        self.claims = []
        self.answers_claims = True
        self.publishes_settlements = True
        self.tokens = 0
        self.servers = self
        self.held = None  # nothing here travels together
        self.settings = {}  # of servers, by key
        self.states = {}
        self.backlogs = []  # what each claim said of it
        self.urgent = []  # and whether it does not linger
        self._published = self._server_changed = lambda *_: None
        self.incarnation = 0

    def accept(self, count=1, server_key=ONE, **facts):
        first, self.accepted = self.accepted + 1, self.accepted + count
        items = [an_item(number, server_key=server_key, **facts) for number in range(first, first + count)]
        self.waiting[server_key] += items
        self._published()
        return items

    @property
    def snapshot(self):
        backlogs = {}
        for key, items in self.waiting.items():
            due = [item.due.boot_s for item in items if item.due]
            if items:
                backlogs[key] = Backlog(len(items) - len(due), len(due), min(due, default=None))
        return Snapshot(backlogs=backlogs, servers=dict(self.states), last_sequence=self.accepted)

    def known(self, server_key):
        return self.settings.get(server_key)

    def keep_breaker(self, server_key, facts):
        self.states[server_key] = self.states.get(server_key, ServerState())._replace(breaker=facts)

    def execute(self, order):
        self.states[order.server] = order.change(self.states.get(order.server, ServerState()))
        self._server_changed(order.server)

    def subscribe(self, published, server_changed=lambda key: None, failed=lambda: None):
        self._published, self._server_changed = published, server_changed

    def claim(self, server_key, limit, reply, backlog_until=0, *, archives=None, draining=False, urgent=False):
        self.urgent.append(urgent)
        self.backlogs.append(backlog_until)
        self.claims.append((server_key, limit, reply))
        if self.answers_claims:
            self.answer_claim(len(self.claims) - 1)

    def answer_claim(self, number=-1, items=None):
        server_key, limit, reply = self.claims[number]
        if items is None:
            now_s = self.clock.boot_s()
            ready = [item for item in self.waiting[server_key] if not item.due or item.due.boot_s <= now_s][:limit]
            for item in ready:
                self.waiting[server_key].remove(item)
            self.tokens += 1
            items = [claimed(item, f"token-{self.tokens}") for item in ready]
        reply(items)
        self._published()

    def settle(self, settle):
        self.settled.append(settle)
        item = settle.item
        if settle.event is Event.RELEASE:
            self.waiting[item.server_key].insert(0, released(item, settle.error, settle.effect))
        elif settle.event is Event.FAIL:
            due = Due(self.clock.boot_id, self.clock.boot_s() + settle.delay_s)
            self.waiting[item.server_key].append(failed(item, settle.event, settle.error, settle.effect, due))
        if self.publishes_settlements:
            self._published()

    def what_became(self):
        """Item id -> events, in order."""
        became = defaultdict(list)
        for settle in self.settled:
            became[settle.item.id].append(settle.event)
        return dict(became)


class FakeCarrier:
    """Carries what it is given until the test says how it ends."""

    checks_health = True
    takes_archives = False

    def __init__(self, slots=3):
        self.checking = {}
        self.checked = []  # (server key, whether with a round trip)
        self.on_change = lambda: None
        self.slots_of = defaultdict(lambda: slots)
        self.unconnected = set()
        self.started = []
        self.carrying = {}
        self.closed = False
        self.ends_on_close = True

    def slots(self, server_key):
        return self.slots_of[server_key]

    def connected(self, server_key):
        return server_key not in self.unconnected

    async def carry(self, item):
        self.started.append(item.id)
        self.carrying[item.id] = asyncio.get_running_loop().create_future()
        try:
            return await self.carrying[item.id]
        finally:
            del self.carrying[item.id]

    async def check(self, server_key, *, round_trip):
        self.checked.append((server_key, round_trip))
        self.checking[server_key] = asyncio.get_running_loop().create_future()
        try:
            return await self.checking[server_key]
        finally:
            del self.checking[server_key]

    def trace(self, server_key):
        return [f"> open on {server_key}", "< denied"]

    async def close(self):
        self.closed = True
        if self.ends_on_close:
            for end in [*self.carrying.values(), *self.checking.values()]:
                if not end.done():
                    end.set_exception(self.closing_error)

    @property
    def closing_error(self):
        return DeliveryStopped("closed", effect=Effect.UNSEEN)

    def deliver(self, *items):
        for item_id in [item.id for item in items] or list(self.carrying):
            self.carrying[item_id].set_result(Delivered("/in/x.csv", 4, "ab" * 32, None, 1.0))

    def fail(self, error, *items):
        for item_id in [item.id for item in items] or list(self.carrying):
            self.carrying[item_id].set_exception(error)


async def turns(count=20):
    """Let everything happen that happens without time passing."""
    for _ in range(count):
        await asyncio.sleep(0)
