"""Each upload as a conversation on one of its server's connections, and their traces."""

import asyncio
import hashlib
import os

import pytest

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    DeliveryStopped,
    Effect,
    IrisError,
    LinkLost,
    RemoteFailure,
    RemoteRefused,
    ServerUnresolved,
)
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import SAFE_FILES_IN_FLIGHT
from iris_communication.testing import MemoryTransport
from iris_communication.testing.faulty_servers import OldVersion, SilentAfterOpen
from iris_communication.testing.refusing_servers import PromisesLargerWritesThanItTakes
from iris_communication.testing.silent_servers import TakesItsTime
from tests.unit.iris_communication.delivery.carrier_line import CONTENT, IDLE_S, SERVER, CarrierLine, pass_time, run
from tests.unit.iris_communication.delivery.fake_parts import turns
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors


def test_a_file_arrives_under_its_name_with_its_proof(line):
    async def story():
        (delivered,) = await line.carry(line.item())
        assert line.server.content(b"/in/1.csv") == CONTENT
        assert (delivered.final_path, delivered.size_bytes, delivered.host_key) == (
            "/in/1.csv",
            len(CONTENT),
            "SHA256:memory",
        )
        assert delivered.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert delivered.at_s == line.clock.wall_s()

    run(line, story)


def test_a_name_that_is_no_text_arrives_as_the_bytes_it_is(line):
    async def story():
        name = os.fsdecode(b"/in/\xff\xfe.csv")
        (delivered,) = await line.carry(line.item(remote_path=name))
        assert line.server.content(b"/in/\xff\xfe.csv") == CONTENT
        assert delivered.final_path == name

    run(line, story)


def test_many_items_share_one_connection(line):
    async def story():
        outcomes = await line.carry(*(line.item(number) for number in range(50)))
        assert not [outcome for outcome in outcomes if isinstance(outcome, IrisError)]
        assert line.transport.attempts == 1

    run(line, story)


def test_a_server_has_one_slot_until_it_is_connected_and_then_what_its_limits_allow(line):
    async def story():
        assert (line.carrier.slots(SERVER.key), line.carrier.connected(SERVER.key)) == (1, False)
        slots = []
        line.carrier.on_change = lambda: slots.append(line.carrier.slots(SERVER.key))
        await line.carry(line.item())
        assert line.carrier.connected(SERVER.key)
        assert slots == [SAFE_FILES_IN_FLIGHT, 509]  # once it greeted, and once it has stated its limits

    run(line, story)


def test_the_temp_file_lies_hidden_beside_the_final_name_under_the_items_token(line):
    async def story():
        await line.carry(line.item(remote_path="/in/deep/1.csv", token="abc"))
        opened = [request.path for request in line.server.asked if type(request) is wire.Open]
        assert opened[0] == b"/in/deep/.iris-abc"

    run(line, story)


def test_an_idle_connection_is_closed_and_the_next_item_opens_another(line):
    async def story():
        await line.carry(line.item(1))
        await pass_time(IDLE_S + 1.0)
        assert not line.carrier.connected(SERVER.key)
        assert line.changes == 3  # connected, its limits stated, closed
        (delivered,) = await line.carry(line.item(2))
        assert delivered.final_path == "/in/2.csv"
        assert line.transport.attempts == 2

    run(line, story)


def test_a_connection_in_use_is_not_closed(line):
    async def story():
        for number in range(10):
            await line.carry(line.item(number))
            await pass_time(IDLE_S / 2)
        assert line.transport.attempts == 1

    run(line, story)


def test_many_items_that_wait_for_one_connection_fail_with_it_untouched(line):
    line.transport.refusal = lambda: ConnectionRefused("nothing listens there")

    async def story():
        outcomes = await line.carry(*(line.item(number) for number in range(10)))
        assert {type(outcome) for outcome in outcomes} == {ConnectionRefused}
        assert {outcome.effect for outcome in outcomes} == {Effect.NONE}
        assert line.transport.attempts == 1
        assert line.server.asked == []

    run(line, story)


def test_the_next_item_tries_again_after_a_refusal(line):
    async def story():
        line.transport.refusal = lambda: AuthenticationFailed("wrong password")
        assert isinstance((await line.carry(line.item()))[0], AuthenticationFailed)
        line.transport.refusal = None
        assert (await line.carry(line.item()))[0].final_path == "/in/1.csv"

    run(line, story)


def test_a_server_without_address_or_secret_fails_its_item_with_that_error(line):
    def unknown(key):
        raise ServerUnresolved(f"no password for {key}")

    line.resolve = unknown

    async def story():
        assert isinstance((await line.carry(line.item()))[0], ServerUnresolved)
        assert line.transport.attempts == 0

    run(line, story)


def test_a_lost_connection_fails_all_that_is_under_way_and_is_forgotten(line):
    async def story():
        await line.carry(line.item(0))
        tasks = [asyncio.ensure_future(line.carrier.carry(line.item(number))) for number in range(1, 11)]
        await asyncio.sleep(0)
        line.transport.channels[0].lose(LinkLost("the cable"))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {LinkLost}
        assert not line.carrier.connected(SERVER.key)
        assert (await line.carry(line.item(1)))[0].final_path == "/in/1.csv"

    run(line, story)


def test_an_attempt_whose_connection_dies_before_its_open_has_no_effect(line):
    """Even if one before it did: that one is still the one to look for."""

    async def story():
        await line.carry(line.item(0))
        task = asyncio.ensure_future(line.carrier.carry(line.item(1, effect=Effect.UNSEEN, earlier_tokens=("old",))))
        await asyncio.sleep(0)
        line.transport.channels[0].lose(LinkLost("the cable"))
        with pytest.raises(LinkLost) as raised:
            await task
        assert raised.value.effect is Effect.NONE

    run(line, story)


def test_an_attempt_whose_connection_dies_after_its_open_has_an_unseen_effect(line):
    async def story():
        await line.carry(line.item(0))
        before = len(line.server.asked)
        task = asyncio.ensure_future(line.carrier.carry(line.item(1)))
        await turns(5)
        assert len(line.server.asked) > before
        line.transport.channels[0].lose(LinkLost("the cable"))
        with pytest.raises(LinkLost) as raised:
            await task
        assert raised.value.effect is Effect.UNSEEN

    run(line, story)


def test_every_temp_file_an_earlier_attempt_may_have_left_is_cleared_away(line):
    async def story():
        for token in ("t1", "t2", "t3"):
            line.server.files[b"/in/.iris-" + token.encode()] = bytearray(b"half")
        await line.carry(line.item(effect=Effect.UNSEEN, earlier_tokens=("t1", "t2", "t3")))
        assert line.server.names(b"/in") == [b"1.csv"]

    run(line, story)


def test_an_attempt_whose_rename_was_left_unanswered_is_finished_and_not_repeated(line):
    async def story():
        line.server.files[b"/in/.iris-token1"] = bytearray(CONTENT)
        await line.carry(line.item(effect=Effect.UNKNOWN))
        assert line.server.names(b"/in") == [b"1.csv"]
        assert not [request for request in line.server.asked if type(request).__name__ == "WriteData"]

    run(line, story)


def test_an_items_own_failure_has_the_items_scope(line):
    async def story():
        line.server.files[b"/in/file"] = bytearray(b"in the way of a folder")
        (error,) = await line.carry(line.item(remote_path="/in/file/1.csv"))
        assert isinstance(error, IrisError)
        assert error.scope is RemoteRefused.scope
        assert "/in/file/1.csv" in str(error)

    run(line, story)


def test_closing_ends_what_is_under_way_at_once(line):
    async def story():
        await line.carry(line.item(0))
        task = asyncio.ensure_future(line.carrier.carry(line.item(1)))
        await asyncio.sleep(0)
        await line.carrier.close()
        with pytest.raises(DeliveryStopped):
            await task
        assert line.transport.channels[0].closed

    run(line, story)


def test_closing_breaks_off_a_connection_that_is_being_made(line):
    class Nowhere(MemoryTransport):
        """Never finishes connecting."""

        async def connect(self, *_):
            self.attempts += 1
            await asyncio.Event().wait()

    line.transport = Nowhere(line.server)

    async def story():
        task = asyncio.ensure_future(line.carrier.carry(line.item()))
        await turns()
        await line.carrier.close()
        with pytest.raises(DeliveryStopped) as raised:
            await task
        assert raised.value.effect is Effect.NONE

    run(line, story)


def test_no_connection_is_opened_after_closing(line):
    async def story():
        await line.carrier.close()
        assert isinstance((await line.carry(line.item()))[0], DeliveryStopped)
        assert line.transport.attempts == 0

    run(line, story)


def test_an_item_that_stops_waiting_for_a_connection_takes_it_from_no_other(line):
    async def story():
        first, second = (asyncio.ensure_future(line.carrier.carry(line.item(number))) for number in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).final_path == "/in/2.csv"
        assert line.transport.attempts == 1

    run(line, story)


def test_no_descriptor_is_left_open_by_large_files_that_fail(line):
    async def story():
        await line.carry(line.item(0))
        before = open_descriptors()
        items = [line.item(number, content=b"x" * 600_000) for number in range(1, 6)]
        tasks = [asyncio.ensure_future(line.carrier.carry(item)) for item in items]
        await turns(5)
        line.transport.channels[0].lose(LinkLost("the cable"))
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns()
        assert open_descriptors() <= before

    run(line, story)


def test_a_server_that_was_never_connected_has_no_trace(line):
    async def story():
        assert line.carrier.trace(SERVER.key) == []

    run(line, story)


def test_the_trace_of_a_server_is_there_while_it_is_connected_and_after(line):
    async def story():
        await line.carry(line.item())
        assert line.carrier.trace(SERVER.key)[-1].endswith(" < 6 OK")
        line.transport.channels[0].lose(LinkLost("the cable"))
        await turns()
        assert line.carrier.trace(SERVER.key)[-1] == "ended: LinkLost: the cable"

    run(line, story)


def test_a_connection_that_did_not_come_about_has_a_trace_too(line):
    line.server = OldVersion()
    line.transport = MemoryTransport(line.server)

    async def story():
        await line.carry(line.item())
        first, last = line.carrier.trace(SERVER.key)
        assert "VERSION 2" in first
        assert last.startswith("ended: ProtocolViolation")

    run(line, story)


def test_a_health_check_does_not_take_the_place_of_the_connection_that_carried_something(line):
    async def story():
        await line.carry(line.item())
        line.transport.channels[0].lose(LinkLost("the cable"))
        await turns()
        await line.carrier.check(SERVER.key, round_trip=False)
        assert "/in/1.csv" in "".join(line.carrier.trace(SERVER.key))

    run(line, story)


def test_a_server_that_takes_less_at_once_than_its_limits_gets_less_with_the_next_attempt(tmp_path):
    line = CarrierLine(tmp_path, PromisesLargerWritesThanItTakes())
    line.transport.round_trip_s = 0.01
    content = bytes(12_000_000)  # more than is sent before the first answer shows how fast the link is

    async def story():
        (first,) = await line.carry(line.item(content=content))
        assert isinstance(first, RemoteFailure)
        (second,) = await line.carry(line.item(content=content, token="token2"))
        assert second.final_path == "/in/1.csv"
        assert line.server.content(b"/in/1.csv") == content

    run(line, story)


def test_a_file_whose_step_times_out_is_waited_for_longer_each_time_and_delivered(tmp_path):
    line = CarrierLine(tmp_path, TakesItsTime(wire.Close, 1000.0))
    line.transport.keeps_alive = True

    async def story():
        steps = []
        for attempt in range(3):
            (outcome,) = await line.carry(line.item(token=f"attempt{attempt}"))
            steps.append(outcome)
        assert [getattr(outcome, "step", "") for outcome in steps] == ["Write", "Write", ""]
        assert line.server.content(b"/in/1.csv") == CONTENT

    run(line, story)


def test_a_step_that_timed_out_three_times_is_named_with_the_setting(tmp_path):
    line = CarrierLine(tmp_path, SilentAfterOpen())
    line.transport.keeps_alive = True

    async def story():
        hints = [(await line.carry(line.item(token=f"attempt{attempt}")))[0].hint for attempt in range(4)]
        assert ["progress_timeout_s" in hint for hint in hints] == [False, False, True, True]
        assert "not answered in time 3 times in a row" in hints[2]

    run(line, story)


def test_steps_that_timed_out_are_those_of_one_file(tmp_path):
    line = CarrierLine(tmp_path, SilentAfterOpen())
    line.transport.keeps_alive = True

    async def story():
        for number in range(1, 5):
            (error,) = await line.carry(line.item(number))
            assert "progress_timeout_s" not in error.hint

    run(line, story)
