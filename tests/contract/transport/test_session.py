"""The SFTP session on a connection: refused, ended by the server, or beside text on its standard error."""

import asyncio

import asyncssh
import pytest

from iris_communication.errors import LinkLost, SftpUnavailable
from iris_communication.settings import Secret, Server
from tests.contract.transport.connecting import HINT, SETTINGS, KeepingReceiver, address_of, fails, key_of
from tests.contract.transport.in_process import listening
from tests.servers.one_user import PASSWORD, OneUser
from tests.servers.openssh import OpenSshServer


def test_a_server_that_goes_away_as_a_session_is_asked_for_is_a_lost_link(transport):
    class GoesAway(OneUser):
        def session_requested(self):
            # Before its answer goes out: asyncssh's own abort() takes effect a turn later.
            self.conn._transport.abort()
            return False

    async def test():
        async with listening(GoesAway, sftp_factory=None) as address:
            await fails(transport, Server(**address), Secret(password=PASSWORD), LinkLost)

    asyncio.run(test())


def test_a_server_without_sftp_is_reported(transport):
    async def test():
        async with listening(sftp_factory=False) as address:
            said = await fails(transport, Server(**address), Secret(password=PASSWORD), SftpUnavailable)
            assert "no SFTP session" in said

    asyncio.run(test())


def test_a_server_that_opens_no_session_and_gives_no_reason_is_reported_in_a_whole_sentence(transport):
    class OpensNone(OneUser):
        def session_requested(self):
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "")

    async def test():
        async with listening(OpensNone, sftp_factory=None) as address:
            return await fails(transport, Server(**address), Secret(password=PASSWORD), SftpUnavailable)

    said = asyncio.run(test())
    assert "opened no SFTP session: " in said
    assert not said.endswith("session: ")


def test_a_server_that_opens_no_session_is_reported(transport, tmp_path, need_program):
    sshd = need_program("sshd", hint=HINT)
    with OpenSshServer(tmp_path / "no", sshd=sshd, settings=["Match all", "MaxSessions 0", "Match all"]) as server:
        said = asyncio.run(fails(transport, address_of(server), key_of(server), SftpUnavailable))
    assert "no SFTP session" in said


def test_a_session_that_the_server_ends_is_a_lost_link(transport):
    class SessionThatEndsAtOnce(asyncssh.SSHServerSession):
        def connection_made(self, chan):
            self.chan = chan

        def subsystem_requested(self, subsystem):
            return True

        def data_received(self, data, datatype):
            self.chan.write(b"last words")
            self.chan.exit(0)

    async def test():
        async with listening(lambda: OneUser(SessionThatEndsAtOnce), sftp_factory=None, encoding=None) as address:
            receiver = KeepingReceiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            channel.write(b"x")
            assert type(await receiver.end()) is LinkLost
            assert receiver.received == b"last words"
            channel.close()

    asyncio.run(test())


def test_text_that_the_server_prints_to_stderr_is_not_read_as_protocol(transport):
    class TalksOnStandardError(asyncssh.SSHServerSession):
        def connection_made(self, chan):
            self.chan = chan

        def subsystem_requested(self, subsystem):
            return True

        def data_received(self, data, datatype):
            self.chan.write(b"talk\n" * 10_000, asyncssh.EXTENDED_DATA_STDERR)
            self.chan.write(b"protocol")

    async def test():
        async with listening(lambda: OneUser(TalksOnStandardError), sftp_factory=None, encoding=None) as address:
            receiver = KeepingReceiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            channel.write(b"x")
            await receiver.until(lambda: receiver.received or receiver.ends)
            assert receiver.received == b"protocol"
            channel.close()
            await receiver.end()

    asyncio.run(test())


async def ends_with(transport, session):
    """The error of an SFTP session that ends as soon as it was asked for."""
    async with listening(lambda: OneUser(session), sftp_factory=None, encoding=None) as address:
        receiver = KeepingReceiver()
        try:
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
        except LinkLost as error:  # it was quicker
            return error
        error = await receiver.end()
        channel.close()
        return error


def writing_and_ending(*pieces, end):
    class WritesAndEnds(asyncssh.SSHServerSession):
        def connection_made(self, chan):
            self.chan = chan

        def subsystem_requested(self, subsystem):
            return True

        def session_started(self):
            for each in pieces:
                self.chan.write(each, asyncssh.EXTENDED_DATA_STDERR)
            end(self.chan)

    return WritesAndEnds


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"Your password has expired.\n"], "Your password has expired."),
        ([b"This account is ", b"currently not available."], "This account is currently not available."),
        ([b"Dein Passwort ist abgelaufen: \xc3", b"\xa4ndere es\r\n"], "abgelaufen: \u00e4ndere es"),
        ([b"talk\n" * 50_000, b"/bin/sh: sftp-server: not found\n"], "sftp-server: not found"),
        ([b"\x1b]0;x\x07\x1b[31mdisk quota\x1b[0m exceeded\n" + b"y" * 100_000], "disk quota"),
    ],
    ids=["a line", "without an end", "in pieces", "after much", "with escapes"],
)
def test_the_stderr_of_a_server_is_in_the_error_with_the_exit_status(transport, pieces, expected):
    async def test():
        error = await ends_with(transport, writing_and_ending(*pieces, end=lambda chan: chan.exit(1)))
        assert expected in str(error)
        assert "exit status 1" in str(error)
        assert "read its message" in error.hint
        assert str(error).isprintable()
        assert len(str(error)) < 2000
        assert "Transferred" not in str(error)
        assert "Bytes per second" not in str(error)

    asyncio.run(test())


def test_a_session_that_ends_without_a_text_is_reported_with_its_exit_status(transport):
    async def test():
        error = await ends_with(transport, writing_and_ending(end=lambda chan: chan.exit(127)))
        assert type(error) is LinkLost
        assert "exit status 127" in str(error)

    asyncio.run(test())
