"""Large files: going on after a cut, and several streams."""

import asyncio
import hashlib
import os
from itertools import count

import pytest

from iris_communication.delivery import in_parts
from iris_communication.errors import (
    Effect,
    LinkLost,
    OutboxStorageError,
    RemoteDiskFull,
    RemoteRefused,
    SourceChanged,
    SpoolMissing,
)
from iris_communication.sftp import wire
from iris_communication.testing import MemoryServer, MemoryTransport
from iris_communication.testing.memory_server import DENIED, FAILURE, ServerDies
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.spoiling_servers import ClosesBeforeItHasWritten
from tests.unit.iris_communication.delivery.carrier_line import IDLE_S, SERVER, Line, pass_time, tell

MIB = 1024 * 1024
LARGE = hashlib.sha256(b"large").digest() * (6 * MIB // 32)
REMOTE = b"/in/1.csv"


class DiesAfterBytes(MemoryServer):
    """Dies at the first write after so many bytes, over all connections; None: never. Lives again at once."""

    def __init__(self, left_bytes, **manners):
        super().__init__(**manners)
        self.left_bytes = left_bytes

    def answer(self, session, request):
        if isinstance(request, WriteData) and self.left_bytes is not None:
            self.left_bytes -= len(request.data)
            if self.left_bytes < 0:
                self.left_bytes = None
                raise ServerDies
        return super().answer(session, request)

    def written(self):
        """(offset, size) of each WRITE."""
        return [(asked.offset, len(asked.data)) for asked in self.asked if isinstance(asked, WriteData)]


class ReadsNothingBack(DiesAfterBytes):
    """A drop box: files may be put, not read."""

    def answer(self, session, request):
        if isinstance(request, wire.Open) and request.flags & wire.READ:
            return DENIED
        return super().answer(session, request)


class RefusesToGoOn(DiesAfterBytes):
    """Lets nobody open a file that exists for writing."""

    def answer(self, session, request):
        going_on = isinstance(request, wire.Open) and request.flags == wire.WRITE
        return DENIED if going_on else super().answer(session, request)


class WritesAtTheEndOnly(DiesAfterBytes):
    """Refuses a WRITE to a file that was there when it was opened, without a reason, as rclone does of a second one."""

    def answer(self, session, request):
        opened = session.handles.get(getattr(request, "handle", None))
        going_on = isinstance(request, WriteData) and not opened.flags & wire.CREATE
        return FAILURE if going_on else super().answer(session, request)


class EmptiesWhatIsOpened(DiesAfterBytes):
    """Empties a file at each OPEN for writing, asked or not."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        if isinstance(request, wire.Open) and request.flags == wire.WRITE:
            self.files[self.place(request.path)].clear()
        return reply


class DiesAt(DiesAfterBytes):
    """Dies once more, at the request that `dies_at` is true of: before it does it, or right after."""

    dies_at, done = None, False

    def answer(self, session, request):
        if self.dies_at is None or not self.dies_at(request):
            return super().answer(session, request)
        self.dies_at = None
        if self.done:
            super().answer(session, request)
        raise ServerDies


class EmptiesAndDies(EmptiesWhatIsOpened, DiesAt):
    """Empties a file at each OPEN for writing, and dies when it is told to."""


def at(server, folder, **settings):
    line = Line(folder, server, **settings)
    line.transport = MemoryTransport(server)
    return line


async def cut_off(line, **facts):
    """The first attempt, which ends with its link."""
    (error,) = await line.carry(line.item(content=LARGE, **facts))
    assert isinstance(error, LinkLost)
    assert error.effect is Effect.UNSEEN
    return error


def next_attempt(line, number, content=LARGE):
    earlier = tuple(f"token{each}" for each in range(1, number))
    return line.item(content=content, token=f"token{number}", earlier_tokens=earlier, effect=Effect.UNSEEN)


def is_closing(request):
    return isinstance(request, wire.Close)


def is_going_on(request):
    return isinstance(request, wire.Open) and request.flags == wire.WRITE


def nth(number, kind):
    """Of a request: whether it is the one of this kind with this number, from 1 on."""
    numbers = count(1)
    return lambda request: isinstance(request, kind) and next(numbers) == number


class DiesAndClosesFirst(ClosesBeforeItHasWritten, DiesAfterBytes):
    """Dies after so many bytes; and works at several requests at once, so that a CLOSE overtakes WRITEs and READs."""


@pytest.mark.parametrize("kind", [DiesAfterBytes, DiesAndClosesFirst])
def test_the_file_goes_on_from_what_was_acknowledged_after_a_cut(kind, tmp_path):
    line = at(server := kind(3 * MIB), tmp_path)

    async def story():
        error = await cut_off(line)
        reached = error.acknowledged_bytes
        assert reached >= MIB
        before = len(server.written())
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}
        again = server.written()[before:]
        assert again[0][0] == reached
        assert sum(size for _, size in again) == len(LARGE) - reached

    tell(line, story)


def test_the_temp_file_bears_the_new_attempts_name_before_anything_else_is_asked_of_it(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        before = len(server.asked)
        await line.carry(next_attempt(line, 2))
        asked = [request for request in server.asked[before:] if not isinstance(request, wire.Extended)]
        assert asked[0] == wire.Rename(b"/in/.iris-token1", b"/in/.iris-token2")

    tell(line, story)


def test_a_file_that_is_cut_off_again_and_again_arrives_and_no_piece_is_sent_twice_in_vain(tmp_path):
    line = at(server := DiesAfterBytes(2 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        for number in (2, 3):
            server.left_bytes = 2 * MIB
            (error,) = await line.carry(next_attempt(line, number))
            assert isinstance(error, LinkLost)
        (delivered,) = await line.carry(next_attempt(line, 4))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}
        # Beyond its own size only what was on its way at each of the cuts.
        assert sum(size for _, size in server.written()) < len(LARGE) + 3 * MIB

    tell(line, story)


def test_a_server_that_lost_its_memory_is_sent_the_file_anew(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        (temp,) = server.files.values()
        temp[MIB // 2 :] = bytes(len(temp) - MIB // 2)
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    tell(line, story)


@pytest.mark.parametrize("kind", [ReadsNothingBack, RefusesToGoOn, WritesAtTheEndOnly, EmptiesWhatIsOpened])
def test_the_file_is_sent_whole_in_the_same_attempt_where_going_on_is_refused_or_not_trusted(kind, tmp_path):
    line = at(server := kind(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    tell(line, story)


def test_a_server_that_spoils_parts_is_not_tried_with_them_again(tmp_path):
    line = at(server := EmptiesWhatIsOpened(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        await line.carry(next_attempt(line, 2))
        server.left_bytes, before = 3 * MIB, len(server.asked)
        (error,) = await line.carry(line.item(7, content=LARGE))
        await line.carry(line.item(7, content=LARGE, token="later", earlier_tokens=("token7",), effect=Effect.UNSEEN))
        assert isinstance(error, LinkLost)
        assert not any(
            isinstance(request, wire.Open) and request.flags == wire.WRITE for request in server.asked[before:]
        )
        assert server.content(b"/in/7.csv") == LARGE

    tell(line, story)


def test_a_temp_file_that_was_taken_away_is_sent_anew(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        server.files.clear()
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    tell(line, story)


def test_a_source_that_changed_between_the_attempts_is_not_delivered(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        item = next_attempt(line, 2)
        with open(tmp_path / item.id, "r+b") as file:  # noqa: ASYNC230, PTH123 - a test's own file
            file.seek(len(LARGE) - 1)
            file.write(b"\xff")
        (error,) = await line.carry(item)
        assert isinstance(error, SourceChanged)
        assert error.effect is Effect.NONE
        assert server.files == {}

    tell(line, story)


def test_a_tail_that_was_lost_though_every_byte_of_it_was_acknowledged_is_sent_anew(tmp_path):
    line = at(server := DiesAt(None), tmp_path)
    server.dies_at = is_closing

    async def story():
        error = await cut_off(line)
        assert error.acknowledged_bytes == len(LARGE)
        (temp,) = server.files.values()
        temp[-1000:] = bytes(1000)
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    tell(line, story)


MOMENTS = {
    "before the temp file is renamed": (1, wire.Rename, False),
    "when the temp file was renamed": (1, wire.Rename, True),
    "before the sample is read": (1, wire.Read, False),
    "when the sample was read": (1, wire.Close, True),
    "before it is opened again": (2, wire.Open, False),
    "when it was opened again": (2, wire.Open, True),
    "before the last part is closed": (2, wire.Close, False),
    "when the last part was closed": (2, wire.Close, True),
    "while the seams are read": (2, wire.Read, False),
    "when the size is looked at": (1, wire.Stat, False),
}


@pytest.mark.parametrize(("number", "kind", "done"), MOMENTS.values(), ids=MOMENTS)
def test_a_second_cut_at_any_moment_costs_nothing_that_was_acknowledged_before_the_first(number, kind, done, tmp_path):
    line = at(server := DiesAt(3 * MIB), tmp_path)

    async def story():
        reached = (await cut_off(line)).acknowledged_bytes
        server.dies_at, server.done, before = nth(number, kind), done, len(server.written())
        (error,) = await line.carry(next_attempt(line, 2))
        assert isinstance(error, LinkLost)
        assert server.dies_at is None
        (delivered,) = await line.carry(next_attempt(line, 3))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}
        assert min(offset for offset, _ in server.written()[before:]) == reached

    tell(line, story)


def test_no_byte_is_sent_again_after_a_cut_when_all_was_written(tmp_path):
    line = at(server := DiesAt(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        server.dies_at = nth(1, wire.Stat)
        await line.carry(next_attempt(line, 2))
        before = len(server.written())
        (delivered,) = await line.carry(next_attempt(line, 3))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}
        assert server.written()[before:] == []

    tell(line, story)


@pytest.mark.parametrize("moment", ["before the last part is closed", "while the seams are read"])
def test_a_seam_that_a_cut_left_is_looked_at_by_the_next_attempt(moment, tmp_path):
    """A server that emptied the file has a hole in it, and the right size."""
    line = at(server := EmptiesAndDies(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        server.dies_at = nth(*MOMENTS[moment][:2])
        (error,) = await line.carry(next_attempt(line, 2))
        assert isinstance(error, LinkLost)
        (delivered,) = await line.carry(next_attempt(line, 3))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    tell(line, story)


def test_files_that_an_attempt_prepared_for_the_marker_are_gone_in_the_end(tmp_path):
    line = at(server := DiesAt(3 * MIB), tmp_path, marker=".done")

    async def story():
        await cut_off(line)
        server.dies_at = nth(2, wire.Rename)
        (error,) = await line.carry(next_attempt(line, 2))
        assert isinstance(error, LinkLost)
        (delivered,) = await line.carry(next_attempt(line, 3))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE, REMOTE + b".done": b""}

    tell(line, story)


def test_hashing_longer_than_an_idle_connection_is_kept_does_not_lose_it(tmp_path, monkeypatch):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def hashes_long(executor, hashing):
        await pass_time(3 * IDLE_S)
        hashing()

    async def story():
        await cut_off(line)
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", hashes_long)
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}
        await pass_time(IDLE_S + 1.0)
        assert not line.carrier.connected(SERVER.key), "nobody uses it any more"

    tell(line, story)


def test_a_link_that_breaks_while_the_file_is_hashed_costs_none_of_it(tmp_path, monkeypatch):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def is_cut(executor, hashing):
        line.transport.channels[-1].lose(LinkLost("the cable"))
        await pass_time(1.0)
        hashing()

    async def story():
        await cut_off(line)
        with monkeypatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "run_in_executor", is_cut)
            (error,) = await line.carry(next_attempt(line, 2))
        assert isinstance(error, LinkLost)
        before = len(server.written())
        (delivered,) = await line.carry(next_attempt(line, 3))
        assert delivered.final_path == "/in/1.csv"
        assert server.written()[before:] == []

    tell(line, story)


# -- what is refused in the midst of it


class RefusesWritesFrom(DiesAfterBytes):
    """Refuses each WRITE from this offset on, with these words; None: none."""

    offset, text = None, DENIED

    def answer(self, session, request):
        if self.offset is not None and isinstance(request, WriteData) and request.offset >= self.offset:
            return self.text
        return super().answer(session, request)


class LosesAllRights(RefusesWritesFrom):
    """Lets nothing be removed any more, either, once it has refused a WRITE."""

    lost = False

    def answer(self, session, request):
        if self.lost and isinstance(request, wire.Remove):
            return DENIED
        reply = super().answer(session, request)
        self.lost = self.lost or reply == DENIED
        return reply


DISK_FULL = wire.Status(wire.FX_NO_SPACE, "")


@pytest.mark.parametrize(("text", "kind"), [(DENIED, RemoteRefused), (DISK_FULL, RemoteDiskFull)])
@pytest.mark.parametrize("streams", [1, 2])
def test_a_write_refused_for_a_reason_is_told_as_that_of_a_whole_file_and_nothing_is_sent_again(
    text, kind, streams, tmp_path
):
    line = at(server := RefusesWritesFrom(3 * MIB), tmp_path, streams=streams)

    async def story():
        await line.carry(line.item(content=STREAMED))
        server.offset, server.text, before = 5 * MIB, text, len(server.asked)
        (error,) = await line.carry(next_attempt(line, 2, STREAMED))
        assert type(error) is kind
        assert error.effect is Effect.NONE
        assert server.files == {}, "what fills a disk makes room for others"
        opened = [request for request in server.asked[before:] if isinstance(request, wire.Open)]
        assert not any(request.flags & wire.CREATE for request in opened)

    tell(line, story)


def test_a_part_that_could_not_be_removed_after_a_refused_write_is_told_to_the_next_attempt(tmp_path):
    line = at(server := LosesAllRights(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        server.offset = 5 * MIB
        (error,) = await line.carry(next_attempt(line, 2))
        assert isinstance(error, RemoteRefused)
        assert error.effect is Effect.UNSEEN
        server.offset, server.lost = None, False
        await line.carry(next_attempt(line, 3))
        assert server.files == {REMOTE: LARGE}

    tell(line, story)


def test_a_server_that_refused_a_write_goes_on_with_parts_later(tmp_path):
    line = at(server := RefusesWritesFrom(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        server.offset = 5 * MIB
        await line.carry(next_attempt(line, 2))
        server.offset, server.left_bytes = None, 3 * MIB
        await line.carry(line.item(7, content=LARGE))
        before = len(server.asked)
        await line.carry(line.item(7, content=LARGE, token="later", earlier_tokens=("token7",), effect=Effect.UNSEEN))
        assert any(map(is_going_on, server.asked[before:]))
        assert server.content(b"/in/7.csv") == LARGE

    tell(line, story)


# -- when the source fails


def spoil(path, how):
    if how == "gone":
        path.unlink()
    else:
        os.truncate(path, MIB)


@pytest.mark.parametrize(("how", "kind"), [("gone", SpoolMissing), ("shorter", SourceChanged)])
def test_a_source_that_is_gone_or_shorter_leaves_no_file_on_the_server(how, kind, tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        item = next_attempt(line, 2)
        spoil(tmp_path / item.id, how)
        (error,) = await line.carry(item)
        assert type(error) is kind
        assert error.effect is Effect.NONE
        assert server.files == {}

    tell(line, story)


def fail_at_samples(patch, number, kind):
    """The source cannot be looked at for the samples with this number, from 1 on."""
    sampled, numbers = in_parts._sampled, count(1)

    def failing(source, parts):
        if next(numbers) == number:
            raise kind("the disk does not answer")
        return sampled(source, parts)

    patch.setattr(in_parts, "_sampled", failing)


def test_a_source_that_is_found_gone_when_all_is_written_leaves_nothing_either(tmp_path, monkeypatch):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        item = next_attempt(line, 2)
        fail_at_samples(monkeypatch, 2, SpoolMissing)
        (error,) = await line.carry(item)
        assert isinstance(error, SpoolMissing)
        assert error.effect is Effect.NONE
        assert server.files == {}

    tell(line, story)


@pytest.mark.parametrize(("number", "effect"), [(1, Effect.NONE), (2, Effect.UNSEEN)])
def test_a_disk_of_ours_that_fails_for_a_moment_costs_nothing_that_is_there(number, effect, tmp_path, monkeypatch):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        reached = (await cut_off(line)).acknowledged_bytes
        before = len(server.written())
        with monkeypatch.context() as patch:
            fail_at_samples(patch, number, OutboxStorageError)
            (error,) = await line.carry(next_attempt(line, 2))
        assert isinstance(error, OutboxStorageError)
        assert error.effect is effect
        latest = next_attempt(line, 3) if effect is Effect.UNSEEN else next_attempt(line, 2)
        (delivered,) = await line.carry(latest)
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}
        assert sum(size for _, size in server.written()[before:]) == len(LARGE) - reached

    tell(line, story)


def test_little_that_was_acknowledged_is_sent_again_without_asking(tmp_path):
    line = at(server := DiesAfterBytes(100_000), tmp_path)

    async def story():
        await cut_off(line)
        await line.carry(next_attempt(line, 2))
        assert server.files == {REMOTE: LARGE}
        assert not any(isinstance(request, wire.Open) and request.flags == wire.WRITE for request in server.asked)

    tell(line, story)


def test_the_memory_of_cut_off_files_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "CUTS_MAX", 2)
    line = at(server := DiesAfterBytes(None), tmp_path)

    async def story():
        for number in range(4):
            server.left_bytes = 3 * MIB
            await line.carry(line.item(number, content=LARGE))
        assert len(line.carrier._in_parts._cuts) == 2

    tell(line, story)


# -- several streams

STREAMED = os.urandom(1024) * (17 * 1024)


def test_one_file_travels_in_several_streams_and_arrives_whole_under_its_name(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4)

    async def story():
        (delivered,) = await line.carry(line.item(content=STREAMED))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: STREAMED}
        share = len(STREAMED) // 4
        assert {number * share for number in range(4)} <= {offset for offset, _ in server.written()}

    tell(line, story)


def test_the_streams_together_keep_to_the_bandwidth(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4, bandwidth_bytes_per_s=1e6)

    async def story():
        begun_s = line.clock.monotonic_s()
        await line.carry(line.item(content=STREAMED))
        assert server.files == {REMOTE: STREAMED}
        assert line.clock.monotonic_s() - begun_s >= 0.9 * len(STREAMED) / 1e6

    tell(line, story)


def test_no_more_streams_are_used_than_the_server_is_to_have_connections(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4, connections_max=2)

    async def story():
        await line.carry(line.item(content=STREAMED))
        assert server.files == {REMOTE: STREAMED}
        assert line.transport.attempts == 2

    tell(line, story)


def test_a_smaller_file_is_not_shared_out(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4)

    async def story():
        await line.carry(line.item(content=LARGE))
        assert [asked.flags for asked in server.asked if isinstance(asked, wire.Open)] == [
            wire.WRITE | wire.CREATE | wire.EXCLUSIVE
        ]

    tell(line, story)


def test_each_stream_goes_on_from_its_own_end_after_a_cut(tmp_path):
    line = at(server := DiesAfterBytes(10 * MIB), tmp_path, streams=4)

    async def story():
        (error,) = await line.carry(line.item(content=STREAMED))
        assert isinstance(error, LinkLost)
        sent_before = sum(size for _, size in server.written())
        (delivered,) = await line.carry(next_attempt(line, 2, STREAMED))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: STREAMED}
        assert sum(size for _, size in server.written()) - sent_before < len(STREAMED) - MIB

    tell(line, story)


@pytest.mark.parametrize("kind", [ReadsNothingBack, RefusesToGoOn, WritesAtTheEndOnly, EmptiesWhatIsOpened])
def test_a_server_that_spoils_streams_is_sent_the_whole_file(kind, tmp_path):
    line = at(server := kind(None), tmp_path, streams=4)

    async def story():
        (delivered,) = await line.carry(line.item(content=STREAMED))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: STREAMED}

    tell(line, story)
