"""Opening a connection: the greeting, the limits, and what a server says in their place."""

import pytest

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    LinkLost,
    LinkTimeout,
    ProtocolViolation,
)
from iris_communication.settings import Secret
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import SAFE_FILES_IN_FLIGHT
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_channel import MemoryTransport
from iris_communication.testing.memory_server import MemoryServer
from tests.unit.iris_communication.delivery.carrier_line import pass_time
from tests.unit.iris_communication.delivery.connection_line import InterposedTransport, run

HANDLES_MAX = 1019  # of a MemoryServer


def test_text_that_comes_in_place_of_sftp_is_shown_without_our_password():
    class PrintsItsVariables(MemoryServer):
        """Its login script prints its variables before the server speaks."""

        def greeting(self):
            return b"PASS=geheim42 is wrong\n" + super().greeting()

    async def test(line):
        with pytest.raises(ProtocolViolation) as caught:
            await line.connection.open(line.transport, Secret(password="geheim42"))
        return str(caught.value)

    assert "PASS=(a secret) is wrong" in run(test, PrintsItsVariables())


@pytest.mark.parametrize("announces_limits", [True, False])
def test_the_connection_opens_and_knows_what_the_server_can_do(announces_limits):
    async def test(line):
        await line.open()
        assert line.connection.host_key == "SHA256:memory"
        assert line.connection.live == 0
        return line.connection.capabilities.write_size_bytes

    assert run(test, MemoryServer(announces_limits=announces_limits)) == (261_120 if announces_limits else 32_768)


def test_a_file_does_not_wait_for_the_limits_of_the_server():
    async def test(line):
        line.transport.round_trip_s = 0.1
        learned, connection = [], line.connection
        connection.on_learned = lambda: learned.append(connection.slots)
        await connection.open(line.transport, Secret(password="secret"))
        assert (connection.slots, connection.capabilities.keeps_order) == (SAFE_FILES_IN_FLIGHT, True)
        sending, _ = line.begin()
        await pass_time(0.06)  # one way
        assert [type(request) for request in line.server.asked] == [wire.Extended, wire.Open]
        assert learned == []
        await connection.learned()
        assert learned == [HANDLES_MAX // 2]
        assert await sending == b"/in/a.csv"

    run(test)


def test_limits_that_are_none_end_the_connection():
    class AnswersLimitsWithAHandle(MemoryServer):
        """Answers the question for its limits with a handle."""

        def answer(self, session, request):
            return wire.Handle(b"1") if isinstance(request, wire.Extended) else super().answer(session, request)

    async def test(line):
        with pytest.raises(ProtocolViolation):
            await line.open()
        assert line.channel.closed
        assert line.lost

    run(test, AnswersLimitsWithAHandle())


@pytest.mark.parametrize("error", [ConnectionRefused, AuthenticationFailed])
def test_an_error_of_connecting_is_passed_on(error):
    async def test(line):
        line.transport.refusal = lambda: error("no")
        with pytest.raises(error):
            await line.open()

    run(test)


@pytest.mark.parametrize(
    ("server", "error", "text"),
    [
        (faulty.ShellNoise(), ProtocolViolation, "Welcome to the plant!"),
        (faulty.OldVersion(), ProtocolViolation, "version 2"),
        (faulty.AnswersWhatNobodyAsked(), ProtocolViolation, "request 1001"),
    ],
)
def test_a_server_that_does_not_speak_sftp_is_named_and_left(server, error, text):
    async def test(line):
        with pytest.raises(error, match=text) as caught:
            await line.open()
        assert "iris@sftp.example:22" in str(caught.value)
        assert line.channel.closed

    run(test, server)


def test_a_server_that_never_greets_is_given_up_after_the_progress_timeout():
    async def test(line):
        before_s = line.clock.monotonic_s()
        with pytest.raises(LinkTimeout, match="30 s"):
            await line.open()
        assert line.clock.monotonic_s() - before_s == 30.0
        assert line.channel.closed

    run(test, faulty.NeverGreets())


def test_a_greeting_that_comes_before_the_channel_is_handed_over_counts():
    async def test(line):
        greeting = line.server.session().receive(wire.init())

        class EarlyTransport(InterposedTransport):
            """The greeting is there before connect() returns, and does not come again."""

            async def connect(self, server, secret, settings, receiver):
                channel = await super().connect(server, secret, settings, receiver)
                receiver.data_received(greeting)
                return channel

        def without_greeting(receiver, data):
            if rest := data.removeprefix(greeting):
                receiver.data_received(rest)

        line.transport = EarlyTransport(line.server)
        line.transport.pass_on = without_greeting
        await line.open()
        assert await line.begin()[0] == b"/in/a.csv"

    run(test)


def test_a_channel_that_ends_while_it_is_handed_over_is_closed_and_its_error_raised():
    class ShortTransport(MemoryTransport):
        """The server ends its SFTP program at once; the connection around it stays open."""

        async def connect(self, server, secret, settings, receiver):
            channel = await super().connect(server, secret, settings, receiver)
            receiver.channel_lost(LinkLost("the subsystem ended"))
            return channel

    async def test(line):
        line.transport = ShortTransport(line.server)
        with pytest.raises(LinkLost, match="subsystem"):
            await line.open()
        assert line.channel.closed

    run(test)


def test_a_channel_that_ends_right_after_the_first_answer_is_not_taken_for_open():
    async def test(line):
        def pass_on_and_end(receiver, replies):
            """The answer to the first request and the end of the channel arrive in one turn of the loop."""
            receiver.data_received(replies)
            if line.server.asked:
                receiver.channel_lost(LinkLost("gone"))

        line.transport.pass_on = pass_on_and_end
        with pytest.raises(LinkLost, match="gone"):
            await line.open()

    run(test)
