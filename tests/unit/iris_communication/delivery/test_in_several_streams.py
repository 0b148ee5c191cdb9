"""One large file in several streams."""

import pytest

from iris_communication.errors import (
    LinkLost,
)
from iris_communication.sftp import wire
from tests.unit.iris_communication.delivery.carrier_line import run
from tests.unit.iris_communication.delivery.cut_off_line import (
    LARGE,
    MIB,
    REMOTE,
    STREAMED,
    DiesAfterBytes,
    EmptiesWhatIsOpened,
    ReadsNothingBack,
    RefusesToGoOn,
    WritesAtTheEndOnly,
    at,
    next_attempt,
)


def test_one_file_travels_in_several_streams_and_arrives_whole_under_its_name(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4)

    async def story():
        (delivered,) = await line.carry(line.item(content=STREAMED))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: STREAMED}
        share = len(STREAMED) // 4
        assert {number * share for number in range(4)} <= {offset for offset, _ in server.written()}

    run(line, story)


def test_the_streams_together_keep_to_the_bandwidth(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4, bandwidth_bytes_per_s=1e6)

    async def story():
        begun_s = line.clock.monotonic_s()
        await line.carry(line.item(content=STREAMED))
        assert server.files == {REMOTE: STREAMED}
        assert line.clock.monotonic_s() - begun_s >= 0.9 * len(STREAMED) / 1e6

    run(line, story)


def test_no_more_streams_are_used_than_the_server_is_to_have_connections(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4, connections_max=2)

    async def story():
        await line.carry(line.item(content=STREAMED))
        assert server.files == {REMOTE: STREAMED}
        assert line.transport.attempts == 2

    run(line, story)


def test_a_smaller_file_is_not_shared_out(tmp_path):
    line = at(server := DiesAfterBytes(None), tmp_path, streams=4)

    async def story():
        await line.carry(line.item(content=LARGE))
        assert [asked.flags for asked in server.asked if isinstance(asked, wire.Open)] == [
            wire.WRITE | wire.CREATE | wire.EXCLUSIVE
        ]

    run(line, story)


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

    run(line, story)


@pytest.mark.parametrize("kind", [ReadsNothingBack, RefusesToGoOn, WritesAtTheEndOnly, EmptiesWhatIsOpened])
def test_a_server_that_spoils_streams_is_sent_the_whole_file(kind, tmp_path):
    line = at(server := kind(None), tmp_path, streams=4)

    async def story():
        (delivered,) = await line.carry(line.item(content=STREAMED))
        assert delivered.final_path == "/in/1.csv"
        assert server.files == {REMOTE: STREAMED}

    run(line, story)
