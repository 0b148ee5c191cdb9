"""What an account's settings ask of the carrier: conflicts, markers, bandwidth, times and permissions."""

from dataclasses import replace

import pytest

from iris_communication.errors import (
    Effect,
    LinkLost,
    RemoteFailure,
    RemoteNameKept,
)
from iris_communication.settings import Secret
from iris_communication.sftp import wire
from iris_communication.testing import MemoryServer, MemoryTransport
from iris_communication.testing.memory_server import FAILURE
from tests.unit.iris_communication.delivery.carrier_line import CONTENT, SERVER, CarrierLine, run
from tests.unit.iris_communication.delivery.fake_parts import turns


def server_with(**facts):
    return lambda key: (replace(SERVER, **facts), Secret(password="x"))


def test_the_latest_settings_for_conflicts_and_markers_count_on_a_connection_that_is_open(line):
    async def story():
        line.server.files[b"/in/1.csv"] = bytearray(b"something else")
        (first,) = await line.carry(line.item(token="first"))
        assert first.final_path != "/in/1.csv"
        line.resolve = server_with(conflict="keep")
        (second,) = await line.carry(line.item(token="second", content=b"other"))
        assert isinstance(second, RemoteNameKept)
        line.resolve = server_with(conflict="overwrite", marker=".done")
        (third,) = await line.carry(line.item(token="third"))
        assert third.final_path == "/in/1.csv"
        assert line.server.names(b"/in")[1:] == [b"1.csv", b"1.csv.done"]
        assert line.transport.attempts == 1

    run(line, story)


def test_files_that_earlier_attempts_left_of_their_markers_are_cleared_away_too(line):
    line.resolve = server_with(marker=".sha256")

    async def story():
        for token in ("t1", "t2", "t3"):
            for end in ("", "-sha256", "-sha256-2"):
                line.server.files[f"/in/.iris-{token}{end}".encode()] = bytearray(b"half")
        await line.carry(line.item(effect=Effect.UNSEEN, earlier_tokens=("t1", "t2", "t3")))
        assert line.server.names(b"/in") == [b"1.csv", b"1.csv.sha256"]

    run(line, story)


class KeepsTheFirstFileNot(MemoryServer):
    """Refuses the first CLOSE of a file that was written, and says of a name that is taken that it is."""

    software = "Gateway_OpenSSH_9.9"  # a CLOSE waits for the WRITEs there, and others come in between
    kept = False

    def answer(self, session, request):
        opened = session.handles.get(getattr(request, "handle", None))
        reply = super().answer(session, request)
        if isinstance(request, wire.Open) and request.flags & wire.EXCLUSIVE and reply == FAILURE:
            return wire.Status(wire.FX_FILE_ALREADY_EXISTS, "File already exists")
        if isinstance(request, wire.Close) and opened.flags & wire.WRITE and not self.kept:
            self.kept = True
            return FAILURE
        return reply


def test_a_file_delivered_in_place_is_not_removed_for_another_file_of_that_name(line):
    line.server = KeepsTheFirstFileNot()
    line.transport = MemoryTransport(line.server)
    line.resolve = server_with(in_place=True)

    async def story():
        items = [line.item(number, remote_path="/in/a.csv") for number in (1, 2)]
        first, second = await line.carry(*items)
        assert isinstance(first, RemoteFailure)
        assert second.final_path == "/in/a.csv"
        assert line.server.content(b"/in/a.csv") == CONTENT

    run(line, story)


def test_a_limit_of_bandwidth_is_kept_over_a_new_connection(line):
    line.resolve = server_with(bandwidth_bytes_per_s=10_000.0)

    async def story():
        before_s = line.clock.monotonic_s()
        for number in range(10):
            await line.carry(line.item(number, content=bytes(5_000)))
            line.transport.channels[-1].lose(LinkLost("the cable"))
            await turns()
        assert line.transport.attempts == 10
        assert 4.5 <= line.clock.monotonic_s() - before_s <= 5.5

    run(line, story)


def test_a_limit_that_is_changed_counts_on_a_connection_that_is_open(line):
    line.resolve = server_with(bandwidth_bytes_per_s=10.0)

    async def story():
        await line.carry(line.item(1, content=b""))
        before_s = line.clock.monotonic_s()
        line.resolve = server_with(bandwidth_bytes_per_s=0)
        await line.carry(line.item(2, content=bytes(100_000)))
        assert line.clock.monotonic_s() == before_s

    run(line, story)


def written_at(line, number, mtime_ns):
    item = line.item(number)
    return replace(item, fingerprint=replace(item.fingerprint, mtime_ns=mtime_ns))


@pytest.mark.parametrize(
    ("mtime_ns", "kept_s"),
    [
        (0, 0),
        (1_600_000_000_900_000_000, 1_600_000_000),
        (0xFFFFFFFF * 10**9 + 999_999_999, 0xFFFFFFFF),
        (-1, None),  # the last instant of 1969
        (-86_400 * 10**9, None),
        (0x1_0000_0000 * 10**9, None),
        (4_449_513_600 * 10**9, None),  # 2111
        ((1 << 63) - 1, None),
    ],
)
def test_times_are_kept_where_the_protocol_has_room_for_them_and_left_out_elsewhere(tmp_path, mtime_ns, kept_s):
    line = CarrierLine(tmp_path, keep_times=True)

    async def story():
        (delivered,) = await line.carry(written_at(line, 1, mtime_ns))
        assert line.server.content(b"/in/1.csv") == CONTENT, delivered
        assert line.server.attributes_of(b"/in/1.csv") == (None, kept_s)

    run(line, story)


def test_permissions_are_set_though_the_time_cannot_be(tmp_path):
    line = CarrierLine(tmp_path, keep_times=True, file_mode="0640")

    async def story():
        await line.carry(written_at(line, 1, -1))
        assert line.server.attributes_of(b"/in/1.csv") == (0o640, None)

    run(line, story)


def test_times_that_cannot_be_kept_are_warned_of_once_a_server(tmp_path, caplog):
    line = CarrierLine(tmp_path, keep_times=True)

    async def story():
        await line.carry(*(written_at(line, number, -number) for number in range(1, 6)))
        await line.carry(written_at(line, 6, 1 << 62))
        assert len([record for record in caplog.records if "1970" in record.message]) == 1

    run(line, story)
