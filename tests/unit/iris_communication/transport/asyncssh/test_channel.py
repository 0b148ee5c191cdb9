"""The real transport against small asyncssh servers on loopback: what goes wrong is mapped to who is to blame."""

import asyncio
import errno
import socket

import asyncssh
import pytest

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    CredentialsUnusable,
    HostKeyRejected,
    HostNotFound,
    LinkError,
    LinkLost,
    LinkTimeout,
    SftpUnavailable,
)
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from iris_communication.testing.clock import FakeClock
from iris_communication.transport.asyncssh import channel as asyncssh_channel
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from tests import virtual_time
from tests.servers.one_user import (
    CLIENT_KEY,
    ECDSA_HOST_KEY,
    HOST_KEY,
    PASSWORD,
    RSA_HOST_KEY,
    OneUser,
    encrypted,
    public,
)

SETTINGS = DeliverySettings(connect_timeout_s=60.0)


class Receiver:
    """Remembers what it is told, and can be waited for."""

    def __init__(self):
        self.received = b""
        self.ends = []
        self.news = asyncio.Event()

    def data_received(self, data):
        self.received += data
        self.news.set()

    def channel_lost(self, error):
        self.ends.append(error)
        self.news.set()

    async def until(self, condition):
        while not condition(self):
            self.news.clear()
            await self.news.wait()


class RawSession(asyncssh.SSHServerSession):
    """Whatever is asked for as SFTP: bytes in, bytes out."""

    def connection_made(self, chan):
        self.chan = chan

    def subsystem_requested(self, subsystem):
        return subsystem == "sftp"


def run(test, session=None, **facts):
    """Run `test(connect, receiver)` beside a listening server; `connect()` connects to it as the right user."""

    async def main():
        facts.setdefault("sftp_factory", session is None)
        facts.setdefault("server_host_keys", [HOST_KEY])
        encoding = None if session else "utf-8"
        acceptor = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=lambda: OneUser(session), encoding=encoding, **facts
        )
        receiver = Receiver()
        address = {"host": "127.0.0.1", "username": "iris", "port": acceptor.get_port(), "host_key": public(HOST_KEY)}

        async def connect(secret=None, **other):
            secret = Secret(password=PASSWORD) if secret is None else secret
            return await AsyncsshTransport().connect(Server(**address | other), secret, SETTINGS, receiver)

        try:
            return await test(connect, receiver)
        finally:
            acceptor.close()
            await acceptor.wait_closed()

    return asyncio.run(main())


async def exchange(channel, receiver):
    channel.write(wire.init())
    await receiver.until(lambda heard: len(heard.received) > 9 or heard.ends)
    assert not receiver.ends, receiver.ends
    return wire.decode_version(receiver.received[4:])


async def ended(channel, receiver):
    channel.close()
    await receiver.until(lambda heard: heard.ends)


# -- connecting


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(Secret(password=PASSWORD), id="password"),
        pytest.param(Secret(private_key=CLIENT_KEY.export_private_key().decode()), id="key as text"),
        pytest.param(
            Secret(private_key=encrypted(CLIENT_KEY, "open"), passphrase="open"),
            id="key with a passphrase",
        ),
    ],
)
def test_a_channel_carries_the_servers_sftp_and_has_its_software_and_host_key(secret):
    async def test(connect, receiver):
        channel = await connect(secret)
        assert channel.software.startswith("AsyncSSH_")
        assert channel.host_key == HOST_KEY.get_fingerprint()
        version, extensions = await exchange(channel, receiver)
        assert version == 3
        assert extensions[b"limits@openssh.com"] == b"1"
        await ended(channel, receiver)

    run(test)


def test_a_key_may_be_given_as_the_path_of_its_file(tmp_path):
    path = tmp_path / "id"
    CLIENT_KEY.write_private_key(path)

    async def test(connect, receiver):
        await ended(await connect(Secret(private_key=str(path))), receiver)

    run(test)


@pytest.mark.parametrize(
    "secret", [Secret(password="guessed"), Secret(), Secret(private_key=HOST_KEY.export_private_key().decode())]
)
def test_wrong_credentials_are_refused_and_never_shown(secret):
    async def test(connect, receiver):
        with pytest.raises(AuthenticationFailed, match="iris@127") as caught:
            await connect(secret)
        assert "guessed" not in str(caught.value)

    run(test)


@pytest.mark.parametrize("pin", [public(CLIENT_KEY), CLIENT_KEY.get_fingerprint()], ids=["key", "fingerprint"])
def test_another_host_key_is_refused_before_any_credential_is_given(pin):
    async def test(connect, receiver):
        with pytest.raises(HostKeyRejected) as caught:
            await connect(host_key=pin)
        assert HOST_KEY.get_fingerprint() in str(caught.value)
        assert CLIENT_KEY.get_fingerprint() in str(caught.value)

    run(test)


@pytest.mark.parametrize("key", [HOST_KEY, ECDSA_HOST_KEY, RSA_HOST_KEY], ids=lambda key: key.get_algorithm())
def test_the_pinned_key_is_asked_for_of_a_server_with_several(key):
    async def test(connect, receiver):
        channel = await connect(host_key=public(key))
        assert channel.host_key == key.get_fingerprint()
        await ended(channel, receiver)

    run(test, server_host_keys=[RSA_HOST_KEY, ECDSA_HOST_KEY, HOST_KEY])


@pytest.mark.parametrize(
    "private_key",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n\u00fc\n",
        encrypted(CLIENT_KEY, "open"),
        "/does/not/exist",
        "~nobody-of-that-name/id",
        "/with\0null",
        "/",
    ],
    ids=["nonsense", "not ASCII", "passphrase missing", "no such file", "no such user", "no such name", "a folder"],
)
def test_a_key_that_cannot_be_used_is_told_before_anything_is_sent(private_key):
    async def test(connect, receiver):
        with pytest.raises(CredentialsUnusable, match="the private key") as caught:
            await connect(Secret(private_key=private_key))
        assert "hunter2" not in str(caught.value)

    run(test)


def test_a_server_without_sftp_is_reported():
    async def test(connect, receiver):
        with pytest.raises(SftpUnavailable, match="no SFTP session"):
            await connect()

    run(test, sftp_factory=False)


def test_no_algorithm_in_common_is_told():
    async def test(connect, receiver):
        with pytest.raises(SftpUnavailable, match=r"no cipher in common.*it offers 3des-cbc"):
            await connect()

    run(test, encryption_algs=["3des-cbc"])


def test_a_port_where_nothing_listens_is_told():
    async def test(connect, receiver):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectionRefused, match="refuses connections"):
                await connect(port=free.getsockname()[1])

    run(test)


@pytest.mark.parametrize("last", ["127.0.0.2", "192.0.2.1"], ids=["refuses", "leads nowhere"])
def test_the_error_of_the_last_of_several_addresses_counts_as_with_ssh(last, monkeypatch):
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 9)) for host in ("127.0.0.1", last)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    reach = asyncio.SelectorEventLoop.sock_connect

    async def reached(loop, sock, address):
        if address[0] == "192.0.2.1":
            raise OSError(errno.ENETUNREACH, "Connect call failed")
        await reach(loop, sock, address)

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", reached)

    async def test():
        server = Server(host="plant", username="iris", port=9, host_key=public(HOST_KEY))
        with pytest.raises(LinkError) as caught:
            await AsyncsshTransport().connect(server, Secret(password="x"), SETTINGS, Receiver())
        assert type(caught.value) is (ConnectionRefused if last == "127.0.0.2" else LinkError)
        if last != "127.0.0.2":
            assert "Network is unreachable" in str(caught.value)

    asyncio.run(test())


@pytest.mark.parametrize("host", ["n" * 64 + ".example", "a..b"])
def test_an_impossible_host_name_is_a_host_that_is_not_found(host):
    async def test(connect, receiver):
        with pytest.raises(HostNotFound, match="resolved"):
            await connect(host=host)

    run(test)


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up_in_time():
    async def test(port):
        server = Server(host="127.0.0.1", username="iris", port=port, host_key=public(HOST_KEY))
        with pytest.raises(LinkTimeout, match="within 60 s"):
            await AsyncsshTransport().connect(server, Secret(password="x"), SETTINGS, Receiver())

    with socket.create_server(("127.0.0.1", 0)) as silent:
        virtual_time.run(test(silent.getsockname()[1]), FakeClock())


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 ftp ready\r\n"])
def test_a_port_that_is_no_ssh_server_is_a_lost_link_that_names_it(says):
    async def main():
        def answer(_, writer):
            writer.write(says)
            writer.close()

        other = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        server = Server(host="127.0.0.1", username="iris", port=port, host_key=public(HOST_KEY))
        with pytest.raises(LinkLost, match=f"127.0.0.1:{port}"):
            await AsyncsshTransport().connect(server, Secret(password="x"), SETTINGS, Receiver())
        other.close()
        await other.wait_closed()

    asyncio.run(main())


def test_no_key_of_the_users_is_tried_without_a_secret_and_an_agent(tmp_path, monkeypatch):
    """Nor is an agent that is none."""
    (tmp_path / ".ssh").mkdir()
    CLIENT_KEY.write_private_key(tmp_path / ".ssh" / "id_ed25519")
    monkeypatch.setenv("HOME", str(tmp_path))

    async def test(connect, receiver):
        for place in ("", str(tmp_path / "missing"), str(tmp_path)):
            monkeypatch.setenv("SSH_AUTH_SOCK", place)
            with pytest.raises(AuthenticationFailed):
                await connect(Secret())

    run(test)


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("No username set")], ids=["3.11", "3.13"])
def test_a_user_without_a_name_connects_all_the_same(error):
    def nobody():
        raise error

    async def test(connect, receiver):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("getpass.getuser", nobody)
            await ended(await connect(), receiver)

    run(test)


@pytest.mark.parametrize(
    ("username", "password"), [("iris", "\udcff"), ("\udcff", "x"), ("i\0ris", "x")], ids=["password", "user", "NUL"]
)
def test_a_name_or_password_that_cannot_be_sent_is_told_and_the_password_not_shown(username, password):
    async def test(connect, receiver):
        with pytest.raises(CredentialsUnusable, match="user name or the password") as caught:
            await connect(Secret(password=password), username=username)
        assert password not in str(caught.value)
        assert caught.value.__cause__ is None  # it would hold the whole

    run(test)


@pytest.mark.parametrize(
    ("name", "content"),
    [("id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n"), ("config", "Port many\n")],
    ids=["key", "config"],
)
def test_a_broken_file_of_the_users_ssh_is_not_even_read(tmp_path, monkeypatch, name, content):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / name).write_text(content)
    monkeypatch.setenv("HOME", str(tmp_path))

    async def test(connect, receiver):
        await ended(await connect(), receiver)

    run(test)


# -- the end


def test_a_closed_channel_reports_its_end_once_and_writing_to_it_is_harmless():
    async def test(connect, receiver):
        channel = await connect()
        await exchange(channel, receiver)
        channel.close()
        channel.close()
        await receiver.until(lambda heard: heard.ends)
        channel.write(b"late")
        await asyncio.sleep(0)
        assert [type(error) for error in receiver.ends] == [LinkLost]

    run(test)


def test_a_server_that_ends_the_session_is_a_lost_link_and_writing_meanwhile_is_harmless():
    """Between the server's close and the moment we are told, the channel takes no data any more."""

    class EndsAtOnce(RawSession):
        def data_received(self, data, datatype):
            self.chan.exit(0)

    async def test(connect, receiver):
        channel = await connect()
        while not receiver.ends:
            channel.write(b"more")
            await asyncio.sleep(0)
        assert [type(error) for error in receiver.ends] == [LinkLost]
        channel.close()

    run(test, EndsAtOnce)


def test_text_that_the_server_prints_to_stderr_is_not_read_as_protocol():
    class Talks(RawSession):
        def data_received(self, data, datatype):
            self.chan.write(b"talk", asyncssh.EXTENDED_DATA_STDERR)
            self.chan.write(b"protocol")

    async def test(connect, receiver):
        channel = await connect()
        channel.write(b"x")
        await receiver.until(lambda heard: heard.received or heard.ends)
        assert receiver.received == b"protocol"
        await ended(channel, receiver)

    run(test, Talks)


def test_everything_is_sent_in_order_however_much_is_written():
    written = b"".join(bytes([number % 251]) * 10_000 for number in range(300))
    received = bytearray()

    class Collects(RawSession):
        def data_received(self, data, datatype):
            received.extend(data)
            if len(received) == len(written):
                self.chan.write(b"done")

    async def test(connect, receiver):
        channel = await connect()
        for at in range(0, len(written), 10_000):
            channel.write(bytearray(written[at : at + 10_000]))
        await receiver.until(lambda heard: heard.received or heard.ends)
        await ended(channel, receiver)

    run(test, Collects)
    assert received == written


def test_one_turn_of_the_loop_takes_in_a_few_answers_only(monkeypatch):
    """What it takes is an attribute of asyncio's, reached through one of asyncssh's; neither is promised to stay."""

    async def test(connect, receiver):
        loop, made = asyncio.get_running_loop(), []
        create = loop.create_connection

        async def create_and_note(*facts, **options):
            made.append(await create(*facts, **options))
            return made[-1]

        monkeypatch.setattr(loop, "create_connection", create_and_note)
        channel = await connect()
        ((transport, _),) = made
        assert transport.max_size == asyncssh_channel.RECEIVE_MAX
        await ended(channel, receiver)

    run(test)
