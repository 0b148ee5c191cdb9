"""What becomes of a file in parts when a write is refused, or its source fails."""

import os

import pytest

from iris_communication.delivery.source import UploadSource
from iris_communication.errors import (
    Effect,
    OutboxStorageError,
    RemoteDiskFull,
    RemoteRefused,
    SourceChanged,
    SpoolMissing,
)
from iris_communication.sftp import wire
from iris_communication.testing.memory_server import DENIED
from iris_communication.testing.server_wire import WriteData
from tests.unit.iris_communication.delivery.carrier_line import run
from tests.unit.iris_communication.delivery.cut_off_line import (
    LARGE,
    MIB,
    REMOTE,
    STREAMED,
    DiesAfterBytes,
    at,
    cut_off,
    is_going_on,
    next_attempt,
)


class RefusesWritesFrom(DiesAfterBytes):
    """Refuses each WRITE from this offset on, with the answer `text`; None: none."""

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
def test_a_write_refused_for_a_reason_fails_as_that_of_a_whole_file_and_nothing_is_sent_again(
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

    run(line, story)


def test_a_part_that_could_not_be_removed_after_a_refused_write_is_known_to_the_next_attempt(tmp_path):
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

    run(line, story)


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

    run(line, story)


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

    run(line, story)


def fail_to_peek(patch, kind, when=lambda: True):
    """The source cannot be read for samples."""
    peek = UploadSource.peek

    def failing(source, offset, size_bytes):
        if when():
            raise kind("the disk does not answer")
        return peek(source, offset, size_bytes)

    patch.setattr(UploadSource, "peek", failing)


def test_a_source_that_is_found_gone_when_all_is_written_leaves_no_file_either(tmp_path, monkeypatch):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        item = next_attempt(line, 2)
        fail_to_peek(monkeypatch, SpoolMissing, lambda: LARGE in server.files.values())
        (error,) = await line.carry(item)
        assert isinstance(error, SpoolMissing)
        assert error.effect is Effect.NONE
        assert server.files == {}

    run(line, story)


@pytest.mark.parametrize(("is_written", "effect"), [(False, Effect.NONE), (True, Effect.UNSEEN)])
def test_a_disk_of_ours_that_fails_for_a_moment_costs_no_byte_that_is_there(is_written, effect, tmp_path, monkeypatch):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        reached = (await cut_off(line)).acknowledged_bytes
        before = len(server.written())
        with monkeypatch.context() as patch:
            fail_to_peek(patch, OutboxStorageError, lambda: (LARGE in server.files.values()) is is_written)
            (error,) = await line.carry(next_attempt(line, 2))
        assert isinstance(error, OutboxStorageError)
        assert error.effect is effect
        latest = next_attempt(line, 3) if effect is Effect.UNSEEN else next_attempt(line, 2)
        (delivered,) = await line.carry(latest)
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}
        assert sum(size for _, size in server.written()[before:]) == len(LARGE) - reached

    run(line, story)
