"""Large files: going on after a cut, and several streams."""

import hashlib
import os

import pytest

from iris_communication.delivery import in_parts
from iris_communication.errors import Effect, LinkLost, SourceChanged
from iris_communication.sftp import wire
from iris_communication.testing import MemoryServer, MemoryTransport
from iris_communication.testing.memory_server import DENIED, ServerDies
from iris_communication.testing.server_wire import WriteData
from tests.unit.iris_communication.delivery.carrier_line import Line, tell

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


class EmptiesWhatIsOpened(DiesAfterBytes):
    """Empties a file at each OPEN for writing, asked or not."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        if isinstance(request, wire.Open) and request.flags == wire.WRITE:
            self.files[self.place(request.path)].clear()
        return reply


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
    earlier = " ".join(f"token{each}" for each in range(1, number))
    return line.item(content=content, token=f"token{number}", earlier_token=earlier, effect=Effect.UNSEEN)


def test_after_a_cut_the_file_goes_on_from_what_was_acknowledged(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

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


@pytest.mark.parametrize("kind", [ReadsNothingBack, RefusesToGoOn, EmptiesWhatIsOpened])
def test_where_going_on_is_refused_or_cannot_be_trusted_the_file_is_sent_whole_within_the_same_attempt(kind, tmp_path):
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
        await line.carry(line.item(7, content=LARGE, token="later", earlier_token="token7", effect=Effect.UNSEEN))
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


def test_little_that_was_acknowledged_is_sent_again_without_asking(tmp_path):
    line = at(server := DiesAfterBytes(100_000), tmp_path)

    async def story():
        await cut_off(line)
        await line.carry(next_attempt(line, 2))
        assert server.files == {REMOTE: LARGE}
        assert not any(isinstance(request, wire.Open) and request.flags == wire.WRITE for request in server.asked)

    tell(line, story)


def test_what_is_remembered_of_cut_off_files_is_bounded(tmp_path, monkeypatch):
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


def test_a_smaller_file_is_not_shared_out(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4)

    async def story():
        await line.carry(line.item(content=LARGE))
        assert [asked.flags for asked in server.asked if isinstance(asked, wire.Open)] == [
            wire.WRITE | wire.CREATE | wire.EXCLUSIVE
        ]

    tell(line, story)


def test_after_a_cut_each_stream_goes_on_from_its_own_end(tmp_path):
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


@pytest.mark.parametrize("kind", [ReadsNothingBack, RefusesToGoOn, EmptiesWhatIsOpened])
def test_a_server_that_spoils_streams_is_sent_the_whole_file(kind, tmp_path):
    line = at(server := kind(None), tmp_path, streams=4)

    async def story():
        (delivered,) = await line.carry(line.item(content=STREAMED))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: STREAMED}

    tell(line, story)
