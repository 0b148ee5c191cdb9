"""What the worker does with files that travel together: when it asks for them, how many archives it has at once, and
what becomes of each file. The writer is made of lists; what it hands out, the test says."""

import asyncio
import contextlib
import hashlib
from collections import defaultdict

import pytest

from iris_communication.delivery.claims import ARCHIVES_MAX, BATCH_LOOK_S, CLAIM_ARCHIVES_MAX
from iris_communication.delivery.worker import Drain, Worker
from iris_communication.errors import Effect, LinkLost, RemoteRefused
from iris_communication.item import Event, Fingerprint
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.store.contract import Backlog
from iris_communication.outbox.writer.batching import archive_of
from iris_communication.outbox.writer.held_bytes import HeldBytes
from iris_communication.outbox.writer.messages import SettleArchive
from iris_communication.outbox.writer.snapshot import Snapshot
from iris_communication.settings import DeliverySettings, Server
from iris_communication.testing.clock import FakeClock
from tests.unit.iris_communication.delivery.fake_parts import ONE, FakeCarrier, FakeWriter, turns
from tests.unit.iris_communication.outbox.fake_parts import an_item
from tests.virtual_time import run as run_in_virtual_time

BATCH = "zip:/in"
NO_CHECKS = Server("one", "iris", health_interval_s=0.0)


class BatchingWriter(FakeWriter):
    """Hands out what is in `ready` by itself or together, as the test has put it there."""

    def __init__(self, clock, held):
        super().__init__(clock)
        self.held = held
        self.settings = {ONE: NO_CHECKS}
        self.batched = 0  # waiting, and not ready yet
        self.ready = []  # lists of items
        self.asked = []  # (archives, draining) of each claim
        self.together = []

    @property
    def snapshot(self):
        single = sum(len(items) for items in self.ready if items[0].batch == "")
        together = self.batched + sum(len(items) for items in self.ready if items[0].batch)
        backlogs = {ONE: Backlog(fresh=single + together, batched=together)} if single + together else {}
        return Snapshot(backlogs=backlogs, last_sequence=100)

    def claim(self, server_key, limit, reply, backlog_until=0, *, archives=None, draining=False, urgent=False):
        self.asked.append((archives, draining))
        found, kept = [], []
        for items in self.ready:
            if len(items) > 1 and not archives:
                kept.append(items)
                continue
            archives = archives - 1 if len(items) > 1 else archives
            found.append(archive_of(tuple(items)) if len(items) > 1 else items[0])
        self.ready = kept
        reply(found)
        self._published()

    def settle(self, settle):
        if isinstance(settle, SettleArchive):
            self.together.append(settle)
            self.settled += settle.settles
        else:
            self.settled.append(settle)
        self._published()

    def gets_ready(self, *lists):
        self.ready += lists
        self._published()


class TravellingLine:
    def __init__(self, tmp_path):
        self.clock = FakeClock()
        self.spool = Spool(tmp_path / "spool")
        self.writer = BatchingWriter(self.clock, HeldBytes(self.spool, lambda items: {}))
        self.carrier = FakeCarrier(slots=100)
        self.carrier.takes_archives = True
        self.number = 0

    def item(self, **facts):
        self.number += 1
        content = f"{self.number}".encode()
        self.spool.path(f"item-{self.number}").write_bytes(content)
        mark = Fingerprint(1, self.number, len(content), 0, hashlib.sha256(content).hexdigest())
        return an_item(self.number, server_key=ONE, token="token", fingerprint=mark, **facts)

    def named(self, count=3, **facts):
        """The members of one archive."""
        name = f"archive-{self.number}-{count}"
        return [self.item(batch=BATCH, batch_id=name, **facts) for _ in range(count)]

    async def pass_time(self, seconds):
        """The virtual clock's, which jumps."""
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.call_later(seconds, over.set_result, None)
        await over

    def events(self):
        became = defaultdict(list)
        for settle in self.writer.settled:
            became[settle.item.id].append((settle.event, settle.unbatched))
        return dict(became)


@pytest.fixture
def run_story(tmp_path):
    def run(story):
        line = TravellingLine(tmp_path)

        async def main():
            line.worker = Worker(line.writer, line.carrier, DeliverySettings(), line.clock, jitter=lambda: 0.5)
            line.task = asyncio.get_running_loop().create_task(line.worker.run())
            await turns()
            try:
                await story(line)
            finally:
                line.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await line.task

        run_in_virtual_time(main(), line.clock, 3600.0)

    return run


def test_an_archive_is_carried_once_and_all_its_members_are_settled_by_one_message(run_story):
    async def story(line):
        members = line.named()
        line.writer.gets_ready(members)
        await turns()
        assert line.carrier.started == [members[0].batch_id]
        line.carrier.deliver()
        await turns()
        assert line.events() == {item.id: [(Event.DELIVER, False)] for item in members}
        assert len(line.writer.together) == 1

    run_story(story)


def test_a_claim_says_how_many_archives_more_there_may_be(run_story):
    async def story(line):
        line.writer.gets_ready(*(line.named() for _ in range(ARCHIVES_MAX + 2)))
        await turns()
        assert len(line.carrier.started) == ARCHIVES_MAX
        await line.pass_time(10.0)
        assert len(line.carrier.started) == ARCHIVES_MAX
        line.carrier.deliver()
        await line.pass_time(1.0)
        assert len(line.carrier.started) == ARCHIVES_MAX + 2

    run_story(story)


def test_a_carrier_that_takes_no_archives_is_given_none(run_story):
    async def story(line):
        line.carrier.takes_archives = False
        line.writer.gets_ready([line.item(batch=BATCH)])
        await turns()
        assert line.writer.asked[0] == (None, False)
        assert line.carrier.started == ["item-1"]

    run_story(story)


def test_a_batch_that_is_not_full_is_asked_for_again_soon_and_not_all_the_time(run_story):
    async def story(line):
        line.writer.batched = 2
        line.worker.wake()
        await line.pass_time(10 * BATCH_LOOK_S + 0.01)
        assert 9 <= len(line.writer.asked) <= 11

    run_story(story)


def test_a_file_that_goes_by_itself_does_not_wait_for_a_batch_to_fill(run_story):
    async def story(line):
        line.writer.batched = 2
        line.worker.wake()
        await turns()
        line.writer.gets_ready([line.item()])
        await turns()
        assert line.carrier.started == ["item-1"]

    run_story(story)


def test_no_batch_waits_for_more_files_while_draining(run_story):
    async def story(line):
        line.writer.batched = 2
        line.worker.wake()
        await turns()
        line.worker.drain(Drain(line.clock.monotonic_s() + 10.0, may_connect=True))
        await turns()
        assert line.writer.asked[-1] == (CLAIM_ARCHIVES_MAX, True)

    run_story(story)


def test_a_refused_archive_lets_its_files_go_by_themselves_and_draining_waits_for_them(run_story):
    async def story(line):
        members = line.named()
        line.writer.gets_ready(members)
        await turns()
        line.worker.drain(Drain(line.clock.monotonic_s() + 10.0, may_connect=True))
        claims = len(line.writer.asked)
        line.carrier.fail(RemoteRefused("no archives here", effect=Effect.UNSEEN))
        await line.pass_time(0.1)
        assert line.events() == {item.id: [(Event.RELEASE, True)] for item in members}
        assert len(line.writer.asked) > claims
        assert line.worker.details()[ONE]["link"] != "down"

    run_story(story)


def test_a_lost_link_lets_the_members_of_an_archive_wait_together(run_story):
    async def story(line):
        members = line.named()
        line.writer.gets_ready(members)
        await turns()
        line.carrier.fail(LinkLost("cut", effect=Effect.UNKNOWN))
        await turns()
        assert line.events() == {item.id: [(Event.RELEASE, False)] for item in members}
        assert {settle.effect for settle in line.writer.settled} == {Effect.UNKNOWN}
        assert line.worker.details()[ONE]["link"] == "down"

    run_story(story)


def test_a_broken_member_dies_alone_and_opens_no_breaker(run_story):
    async def story(line):
        members = line.named()
        line.spool.path(members[1].id).write_bytes(b"?")
        line.writer.gets_ready(members)
        await turns()
        first, broken, last = (line.events()[item.id] for item in members)
        assert first == last == [(Event.RELEASE, False)]
        assert broken == [(Event.GIVE_UP, False)]
        assert line.carrier.started == []
        assert line.worker.details()[ONE]["link"] == "idle"

    run_story(story)


def test_an_archive_that_was_broken_off_by_the_end_may_have_arrived(run_story):
    async def story(line):
        line.carrier.ends_on_close = False
        members = line.named()
        line.writer.gets_ready(members)
        await turns()
        line.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await line.task
        assert line.events() == {item.id: [(Event.RELEASE, False)] for item in members}
        assert {settle.effect for settle in line.writer.settled} == {Effect.UNSEEN}

    run_story(story)


def test_files_in_a_claimed_archive_count_as_waiting(run_story):
    async def story(line):
        line.carrier.slots_of[ONE] = 1
        line.writer.gets_ready(line.named(), line.named())
        await turns()
        assert line.worker.details()[ONE]["waiting"] == 3
        assert line.worker.details()[ONE]["in_flight"] == 1

    run_story(story)
