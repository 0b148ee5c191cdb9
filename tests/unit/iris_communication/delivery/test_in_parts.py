"""A large file goes on after a cut."""

import asyncio
from itertools import count

import pytest

from iris_communication.delivery import in_parts
from iris_communication.errors import (
    Effect,
    LinkLost,
    SourceChanged,
)
from iris_communication.sftp import wire
from iris_communication.testing.spoiling_servers import ClosesBeforeItHasWritten
from tests.unit.iris_communication.delivery.carrier_line import IDLE_S, SERVER, pass_time, run
from tests.unit.iris_communication.delivery.cut_off_line import (
    LARGE,
    MIB,
    REMOTE,
    DiesAfterBytes,
    DiesAt,
    EmptiesAndDies,
    EmptiesWhatIsOpened,
    ReadsNothingBack,
    RefusesToGoOn,
    WritesAtTheEndOnly,
    at,
    cut_off,
    is_going_on,
    next_attempt,
)


def is_closing(request):
    return isinstance(request, wire.Close)


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

    run(line, story)


def test_the_temp_file_gets_the_new_attempts_name_before_anything_else_is_asked_of_it(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        before = len(server.asked)
        await line.carry(next_attempt(line, 2))
        asked = [request for request in server.asked[before:] if not isinstance(request, wire.Extended)]
        assert asked[0] == wire.Rename(b"/in/.iris-token1", b"/in/.iris-token2")

    run(line, story)


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

    run(line, story)


def test_a_server_that_lost_its_memory_is_sent_the_whole_file_again(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        (temp,) = server.files.values()
        temp[MIB // 2 :] = bytes(len(temp) - MIB // 2)
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    run(line, story)


@pytest.mark.parametrize("kind", [ReadsNothingBack, RefusesToGoOn, WritesAtTheEndOnly, EmptiesWhatIsOpened])
def test_the_file_is_sent_whole_in_the_same_attempt_where_going_on_is_refused_or_not_trusted(kind, tmp_path):
    line = at(server := kind(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    run(line, story)


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

    run(line, story)


def test_a_file_whose_temp_file_was_taken_away_is_sent_whole_again(tmp_path):
    line = at(server := DiesAfterBytes(3 * MIB), tmp_path)

    async def story():
        await cut_off(line)
        server.files.clear()
        (delivered,) = await line.carry(next_attempt(line, 2))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: LARGE}

    run(line, story)


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

    run(line, story)


def test_a_tail_that_was_lost_though_every_byte_of_it_was_acknowledged_is_sent_again(tmp_path):
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

    run(line, story)


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
    "when the size is asked for": (1, wire.Stat, False),
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

    run(line, story)


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

    run(line, story)


@pytest.mark.parametrize("moment", ["before the last part is closed", "while the seams are read"])
def test_a_seam_that_a_cut_left_is_read_back_by_the_next_attempt(moment, tmp_path):
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

    run(line, story)


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

    run(line, story)


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
        assert not line.carrier.connected(SERVER.key), "no upload holds it any more"

    run(line, story)


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

    run(line, story)


def test_little_that_was_acknowledged_is_sent_again_without_asking(tmp_path):
    line = at(server := DiesAfterBytes(100_000), tmp_path)

    async def story():
        await cut_off(line)
        await line.carry(next_attempt(line, 2))
        assert server.files == {REMOTE: LARGE}
        assert not any(isinstance(request, wire.Open) and request.flags == wire.WRITE for request in server.asked)

    run(line, story)


def test_the_memory_of_cut_off_files_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(in_parts, "CUTS_MAX", 2)
    line = at(server := DiesAfterBytes(None), tmp_path)

    async def story():
        for number in range(4):
            server.left_bytes = 3 * MIB
            await line.carry(line.item(number, content=LARGE))
        went_on = []
        for number in range(4):
            before = len(server.asked)
            earlier = (f"token{number}",)
            await line.carry(
                line.item(number, content=LARGE, token=f"later{number}", earlier_tokens=earlier, effect=Effect.UNSEEN)
            )
            went_on.append(any(map(is_going_on, server.asked[before:])))
        assert went_on == [False, False, True, True]

    run(line, story)
