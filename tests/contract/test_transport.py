"""One suite, both transports: what they carry, and which error whatever goes wrong is.

The servers are a real sshd, asyncssh's in this process where sshd has no such setting, and sockets that say a few
words. Each test runs with each transport, on one loop with the servers of this process.
"""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import logging
import os
import socket
import struct
import subprocess
import time
from dataclasses import replace
from pathlib import Path

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
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp import wire
from iris_communication.transport import algorithms, host_keys
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from iris_communication.transport.openssh.process import SshProgramTransport
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
from tests.servers.openssh import OpenSshServer, descendants
from tests.thorough import examples

HINT = "make system-packages"
SETTINGS = DeliverySettings(connect_timeout_s=60.0)
PROMPT_S = 7.5  # what is not waited for
IMPATIENT = DeliverySettings(connect_timeout_s=1.0)
ENCRYPTED_CLIENT_KEY = encrypted(CLIENT_KEY, "open %h")
MEBIBYTE = 1 << 20


@pytest.fixture(params=["asyncssh", "ssh"])
def transport(request, tmp_path, need_program, monkeypatch):
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", tmp_path / "home" / "known_hosts")
    accepted = tmp_path / "outbox" / "known_hosts"
    if request.param == "asyncssh":
        return AsyncsshTransport(accepted)
    return SshProgramTransport(accepted, str(need_program("ssh", hint=HINT)), configs=[])


@pytest.fixture(scope="module")
def openssh(tmp_path_factory, need_program):
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=need_program("sshd", hint=HINT)) as server:
        yield server


class Receiver:
    """Remembers what it is told, and can be waited for."""

    def __init__(self):
        self.received = bytearray()
        self.ends = []
        self.news = asyncio.Event()

    def data_received(self, data):
        assert not self.ends, "nothing comes after the end"
        self.received += data
        self.news.set()

    def channel_lost(self, error):
        self.ends.append(error)
        self.news.set()

    async def until(self, condition):
        async with asyncio.timeout(20.0):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def end(self):
        await self.until(lambda: self.ends)
        return self.ends[-1]

    async def packet(self):
        """The next one, without its length."""
        await self.until(lambda: self.ends or len(self.received) >= 4)
        assert not self.ends, self.ends
        (size_bytes,) = struct.unpack_from(">I", self.received)
        await self.until(lambda: self.ends or len(self.received) >= 4 + size_bytes)
        assert not self.ends, self.ends
        packet = bytes(self.received[4 : 4 + size_bytes])
        del self.received[: 4 + size_bytes]
        return packet

    async def reply(self):
        return wire.decode(await self.packet())[1]


def address_of(openssh, **other):
    facts = {
        "host": openssh.host,
        "port": openssh.port,
        "username": openssh.username,
        "host_key": openssh.host_key,
    }
    return Server(**facts | other)


def key_of(openssh):
    return Secret(private_key=str(openssh.private_key))


async def fails(transport, server, secret, kind, settings=SETTINGS):
    """The error of exactly this kind that connecting to it ends with."""
    with pytest.raises(kind) as caught:
        await transport.connect(server, secret, settings, Receiver())
    assert type(caught.value) is kind, caught.value
    return str(caught.value)


async def connects(transport, server, secret):
    receiver = Receiver()
    (await transport.connect(server, secret, SETTINGS, receiver)).close()
    await receiver.end()


@contextlib.contextmanager
def agent_at(place, need_program):
    """The user's agent, without a key."""
    with subprocess.Popen([need_program("ssh-agent", hint=HINT), "-D", "-a", place], stdout=subprocess.PIPE) as agent:
        try:
            assert agent.stdout.readline()  # it tells its place once it listens
            yield
        finally:
            agent.terminate()


def children():
    """Of this process, dead ones that nobody collected among them."""
    return {pid for pid in descendants(os.getpid()) if parent_of(pid) == os.getpid()}


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


# -- a server in this process


@contextlib.asynccontextmanager
async def listening(user=OneUser, **facts):
    """The address of a server of asyncssh's."""
    facts = {"sftp_factory": True, "server_host_keys": [HOST_KEY]} | facts
    acceptor = await asyncssh.listen("127.0.0.1", 0, server_factory=user, **facts)
    try:
        yield {"host": "127.0.0.1", "username": "iris", "port": acceptor.get_port(), "host_key": public(HOST_KEY)}
    finally:
        acceptor.close()
        await acceptor.wait_closed()


@contextlib.asynccontextmanager
async def saying(words, then=lambda writer: writer.close()):
    """The address of a server that hears who comes, says this and no more; `then` ends the connection, or does not."""
    said = []

    async def answer(reader, writer):
        said.append(writer)
        await reader.readline()
        writer.write(words)
        then(writer)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield {
            "host": "127.0.0.1",
            "username": "iris",
            "port": server.sockets[0].getsockname()[1],
            "host_key": public(HOST_KEY),
        }
    finally:
        for writer in said:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


# -- what it carries


def test_a_channel_carries_the_servers_sftp_and_knows_whom_it_reached(transport, openssh):
    async def test():
        receiver = Receiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        assert channel.software.startswith("OpenSSH_")
        assert channel.host_key == asyncssh.import_public_key(openssh.host_key).get_fingerprint()
        channel.write(wire.init())
        version, extensions = wire.decode_version(await receiver.packet())
        assert version == 3
        assert extensions[b"limits@openssh.com"] == b"1"
        channel.close()
        await receiver.end()

    asyncio.run(test())


def test_many_megabytes_go_there_and_come_back_as_they_were(transport, openssh, tmp_path):
    data = os.urandom(MEBIBYTE)
    megabytes = examples(100)
    total_bytes, piece_bytes, window = megabytes * MEBIBYTE, 32 * 1024, 64

    async def test():
        receiver, ids = Receiver(), itertools.count(1)
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)

        async def ask(request):
            channel.write(request.encode(next(ids)))
            return await receiver.reply()

        async def pipelined(requests):
            """The replies, in order, with a window of requests under way: both ways are busy at once."""
            under_way = 0
            for request in requests:
                channel.write(request)
                under_way += 1
                if under_way == window:
                    yield await receiver.packet()
                    under_way -= 1
            for _ in range(under_way):
                yield await receiver.packet()

        def write(handle, offset):
            at = offset % MEBIBYTE
            body = struct.pack(">I", len(handle)) + handle + struct.pack(">QI", offset, piece_bytes)
            head = struct.pack(">IBI", 5 + len(body) + piece_bytes, wire.FXP_WRITE, next(ids))
            return head + body + data[at : at + piece_bytes]

        channel.write(wire.init())
        await receiver.packet()
        path = os.fsencode(tmp_path / "large")
        handle = (await ask(wire.Open(path, 0x1A))).handle
        offsets = range(0, total_bytes, piece_bytes)
        async for packet in pipelined(write(handle, offset) for offset in offsets):
            assert wire.decode(packet)[1].code == wire.FX_OK
        await ask(wire.Close(handle))
        assert (tmp_path / "large").stat().st_size == total_bytes
        handle = (await ask(wire.Open(path, 0x01))).handle
        came = hashlib.sha256()
        async for packet in pipelined(wire.Read(handle, at, piece_bytes).encode(next(ids)) for at in offsets):
            came.update(wire.decode(packet)[1].data)
        channel.close()
        assert came.digest() == hashlib.sha256(data * megabytes).digest()
        await receiver.end()

    asyncio.run(test())
    (tmp_path / "large").unlink()


def test_bytes_that_a_silent_server_does_not_take_hold_nobody_up_and_are_dropped_at_the_end(transport, openssh):
    """The server stands still: what is written waits with us, the loop goes on, and closing needs nobody's consent."""

    async def test():
        receiver = Receiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        openssh.freeze()
        try:
            for _ in range(32):
                begun_s = time.monotonic()
                channel.write(bytes(MEBIBYTE))
                await asyncio.sleep(0)
                assert time.monotonic() - begun_s < 5.0
            begun_s = time.monotonic()
            channel.close()
            await receiver.end()
            assert time.monotonic() - begun_s < 5.0
        finally:
            openssh.thaw()

    asyncio.run(test())


# -- who is let in


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(Secret(password=PASSWORD), id="password"),
        pytest.param(Secret(private_key=CLIENT_KEY.export_private_key().decode()), id="key as text"),
        pytest.param(
            Secret(private_key=CLIENT_KEY.export_private_key().decode().strip().replace("\n", "\r\n")),
            id="key as text of another system",
        ),
        pytest.param(
            Secret(private_key=ENCRYPTED_CLIENT_KEY, passphrase="open %h"),
            id="key with a passphrase",
        ),
        pytest.param(
            Secret(private_key=CLIENT_KEY.export_private_key().decode(), password="wrong"), id="key or password"
        ),
    ],
)
def test_a_client_that_proves_to_be_the_user_is_let_in(transport, secret):
    async def test():
        async with listening() as address:
            receiver = Receiver()
            channel = await transport.connect(Server(**address), secret, SETTINGS, receiver)
            assert channel.host_key == HOST_KEY.get_fingerprint()
            channel.close()
            await receiver.end()

    asyncio.run(test())


@pytest.mark.parametrize("name", ["id", 'id of ann\'s 100% "key"'])
@pytest.mark.parametrize("passphrase", [None, "open"])
def test_a_key_may_be_given_as_the_path_of_its_file(transport, tmp_path, name, passphrase):
    path = tmp_path / name
    path.touch(mode=0o600)
    path.write_text(encrypted(CLIENT_KEY, passphrase))

    async def test():
        async with listening() as address:
            receiver = Receiver()
            secret = Secret(private_key=str(path), passphrase=passphrase)
            (await transport.connect(Server(**address), secret, SETTINGS, receiver)).close()
            await receiver.end()

    asyncio.run(test())


def with_its_line_breaks_as(ending):
    return lambda key: key.replace(b"\n", ending)


@pytest.mark.parametrize("kind", ["openssh", "pkcs8-pem", "pkcs1-pem"])
@pytest.mark.parametrize(
    "saved",
    [
        with_its_line_breaks_as(b"\r\n"),
        bytes.rstrip,
        lambda key: b"\xef\xbb\xbf" + key,
        lambda key: b"\n\n " + key,
        lambda key: b"  " + key.replace(b"\n", b"\n  "),
        with_its_line_breaks_as(b"\n\t"),
    ],
    ids=["CRLF", "no last line break", "byte order mark", "empty lines before", "indented", "indented but the first"],
)
def test_a_key_file_is_read_whatever_program_saved_it(transport, tmp_path, kind, saved):
    key = CLIENT_KEY if kind == "openssh" else RSA_HOST_KEY
    path = tmp_path / "id"
    path.touch(mode=0o600)
    path.write_bytes(saved(key.export_private_key(kind)))

    class OfThatKey(OneUser):
        pass

    OfThatKey.key = key

    async def test():
        async with listening(OfThatKey) as address:
            await connects(transport, Server(**address), Secret(private_key=str(path)))

    asyncio.run(test())


@pytest.mark.parametrize("username", ["Line 3", "plant iris user", "müller"])
def test_a_user_name_may_hold_a_space(transport, username):
    class OfThatName(OneUser):
        def validate_password(self, username, password):
            return username == name and password == PASSWORD

    name = username

    async def test():
        async with listening(OfThatName) as address:
            server, secret = parse_server({**address, "username": username, "password": PASSWORD})
            await connects(transport, server, secret)

    asyncio.run(test())


def test_a_certificate_beside_a_key_that_another_program_saved_is_shown(transport, tmp_path, need_program):
    authority, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    path, folder = tmp_path / "id", tmp_path / "sshd"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key().replace(b"\n", b"\r\n"))
    folder.mkdir()
    (folder / "authority.pub").write_text(public(authority) + "\n")
    settings = [f"TrustedUserCAKeys {folder / 'authority.pub'}"]
    with OpenSshServer(folder, sshd=need_program("sshd", hint=HINT), settings=settings) as server:
        certificate = authority.generate_user_certificate(key, "plant", principals=[server.username])
        certificate.write_certificate(tmp_path / "id-cert.pub")
        asyncio.run(connects(transport, address_of(server), Secret(private_key=str(path))))


def test_a_certificate_beside_the_key_is_shown(transport, tmp_path, need_program):
    authority, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    path, folder = tmp_path / "id", tmp_path / "sshd"
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    folder.mkdir()
    (folder / "authority.pub").write_text(public(authority) + "\n")
    settings = [f"TrustedUserCAKeys {folder / 'authority.pub'}"]
    with OpenSshServer(folder, sshd=need_program("sshd", hint=HINT), settings=settings) as server:
        secret = Secret(private_key=str(path))
        asyncio.run(fails(transport, address_of(server), secret, AuthenticationFailed))
        certificate = authority.generate_user_certificate(key, "plant", principals=[server.username])
        certificate.write_certificate(tmp_path / "id-cert.pub")
        asyncio.run(connects(transport, address_of(server), secret))


def test_a_certificate_that_is_none_is_told(tmp_path):
    path = tmp_path / "id"
    path.touch(mode=0o600)
    path.write_bytes(CLIENT_KEY.export_private_key())
    (tmp_path / "id-cert.pub").write_text("nonsense\n")
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(AsyncsshTransport(), server, Secret(private_key=str(path)), CredentialsUnusable))
    assert "id-cert.pub" in said


def test_the_users_agent_is_asked_without_a_secret(transport, openssh, tmp_path, need_program, monkeypatch):
    add = need_program("ssh-add", hint=HINT)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with agent_at(tmp_path / "agent", need_program):
        asyncio.run(fails(transport, address_of(openssh), Secret(), AuthenticationFailed))
        subprocess.run([add, "-q", openssh.private_key], check=True, timeout=170)
        asyncio.run(connects(transport, address_of(openssh), Secret()))


def noting(offered):
    """Lets the user in as ever, and notes each key that is offered."""

    class NotesKeys(OneUser):
        def begin_auth(self, username):
            return True

        def public_key_auth_supported(self):
            return True

        def validate_public_key(self, username, key):
            offered.append(key.get_fingerprint())
            return key == CLIENT_KEY.convert_to_public()

    return NotesKeys


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The user's, with a key that the server would accept."""
    folder = tmp_path / "user"
    (folder / ".ssh").mkdir(parents=True)
    path = folder / ".ssh" / "id_ed25519"
    path.touch(mode=0o600)
    path.write_bytes(CLIENT_KEY.export_private_key())
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.mark.parametrize("agent", [False, True], ids=["no agent", "an agent"])
def test_no_other_secret_is_tried_beside_a_given_one(transport, home, agent, tmp_path, need_program, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    offered, other = [], Secret(private_key=HOST_KEY.export_private_key().decode())

    async def test():
        async with listening(noting(offered)) as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))
            await fails(transport, Server(**address), Secret(password="guessed"), AuthenticationFailed)
            assert offered == []
            await fails(transport, Server(**address), other, AuthenticationFailed)
            assert set(offered) == {HOST_KEY.get_fingerprint()}

    with agent_at(tmp_path / "agent", need_program) if agent else contextlib.nullcontext():
        if agent:
            add = [need_program("ssh-add", hint=HINT), "-q", home / ".ssh" / "id_ed25519"]
            subprocess.run(add, check=True, timeout=170)
        asyncio.run(test())


class KeyboardOnly(OneUser):
    """Asks for the password by keyboard-interactive alone."""

    def password_auth_supported(self):
        return False

    def kbdint_auth_supported(self):
        return True

    def get_kbdint_challenge(self, username, lang, submethods):
        return "Plant", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        return responses == [PASSWORD]


def test_a_password_is_given_where_it_is_asked_for_by_keyboard_interactive(transport):
    async def test():
        async with listening(KeyboardOnly) as address:
            receiver = Receiver()
            (await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()
            await fails(transport, Server(**address), Secret(password="guessed"), AuthenticationFailed)

    asyncio.run(test())


def test_a_server_that_offers_keyboard_interactive_and_refuses_it_is_asked_once_and_gets_the_password(transport):
    class RefusesIt(OneUser):
        """As a sshd that knows no way to ask, and a library's server that only names it."""

        def kbdint_auth_supported(self):
            return True

        def get_kbdint_challenge(self, username, lang, submethods):
            requests.append(submethods)
            return False

    requests = []

    async def test():
        async with listening(RefusesIt) as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))

    asyncio.run(test())
    assert len(requests) == 1


def asking(*challenges, given):
    """Puts one challenge after the other, and lets nobody in but by the password alone."""

    class Asks(KeyboardOnly):
        def get_kbdint_challenge(self, username, lang, submethods):
            self.left = list(challenges[1:])
            return challenges[0]

        def validate_kbdint_response(self, username, responses):
            given.append(list(responses))
            if self.left:
                return self.left.pop(0)
            return given[-1] == [PASSWORD]

    return Asks


@pytest.mark.parametrize(
    "prompt",
    ["Passwort:", "Mot de passe : ", "Contraseña: ", "Пароль: ", "パスワード:", "Hasło użytkownika iris: ", ""],
)
def test_one_hidden_prompt_is_taken_for_the_passwords_whatever_language_it_is_in(transport, prompt):
    given = []

    async def test():
        async with listening(asking(("", "", "", [(prompt, False)]), given=given)) as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))

    asyncio.run(test())
    assert given == [[PASSWORD]]


def test_a_greeting_of_the_server_is_no_question(transport):
    given, greeting = [], ("", "Willkommen im Werk", "", [])

    async def test():
        async with listening(asking(greeting, ("", "", "", [("Passwort:", False)]), given=given)) as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))

    asyncio.run(test())
    assert given == [[], [PASSWORD]]


@pytest.mark.parametrize(
    "challenges",
    [
        [("", "", "", [("Passwort:", False)]), ("", "", "", [("Neues Passwort:", False)])],
        [("", "", "", [("Password:", False)]), ("", "", "", [("Verification code: ", False)])],
        [("", "", "", [("Passwort:", False)]), ("", "", "", [("Passwort:", False)])],
    ],
    ids=["a new one", "a code", "the same again"],
)
def test_a_second_question_gets_no_password_and_is_told(transport, challenges):
    given = []

    async def test():
        async with listening(asking(*challenges, given=given)) as address:
            secret = Secret(password=PASSWORD)
            said = await fails(transport, Server(**address), secret, AuthenticationFailed)
            assert challenges[1][3][0][0].strip() in said
            assert PASSWORD not in said

    asyncio.run(test())
    assert given[0] == [PASSWORD]
    assert not [answer for answers in given[1:] for answer in answers if answer == PASSWORD]


@pytest.mark.parametrize(
    "words", ["Your password has expired", "Ihr Kennwort ist abgelaufen\r\n\x1b[31mbitte ändern", ""], ids=range(3)
)
def test_a_password_that_has_expired_is_told_and_no_new_one_is_made_up(transport, words):
    asked = []

    class Expired(OneUser):
        def kbdint_auth_supported(self):
            return False

        def validate_password(self, username, password):
            asked.append(password)
            raise asyncssh.PasswordChangeRequired(words)

        def change_password(self, username, old_password, new_password):
            pytest.fail("changed")

    async def test():
        async with listening(Expired) as address:
            before = time.monotonic()
            said = await fails(transport, Server(**address), Secret(password=PASSWORD), AuthenticationFailed)
            assert "wants a new one in its place" in said
            assert all(word in said for word in words.split()[:3])
            assert time.monotonic() - before < PROMPT_S

    asyncio.run(test())
    assert asked == [PASSWORD]


@pytest.mark.parametrize(
    "prompts",
    [
        [("Old password:", False), ("New password:", False)],
        [("Token:", False)],
    ],
    ids=["two at once", "a token"],
)
def test_a_question_not_for_the_password_alone_is_told_with_what_was_asked(transport, prompts):
    given = []

    async def test():
        async with listening(asking(("", "", "", prompts), given=given)) as address:
            said = await fails(transport, Server(**address), Secret(password=PASSWORD), AuthenticationFailed)
            assert prompts[-1][0] in said

    asyncio.run(test())
    assert not [answers for answers in given if answers == [PASSWORD] * len(prompts)]


def test_a_question_is_told_cut_and_without_what_a_terminal_would_obey(transport):
    async def test():
        prompt = "\x1b]0;Kennwort\x07 " + "x" * 100_000
        async with listening(asking(("", "", "", [(prompt, False)]), given=[])) as address:
            secret = Secret(password="guessed")
            said = await fails(transport, Server(**address), secret, AuthenticationFailed)
            assert "Kennwort" in said
            assert said.isprintable()
            assert len(said) < 1000

    asyncio.run(test())


def test_a_server_that_says_our_password_back_has_it_written_nowhere(transport, caplog):
    given = []
    challenges = [("", "", "", [("Passwort:", False)]), ("", f"You said {PASSWORD}", "", [(f"Not {PASSWORD}?", False)])]

    class SaysItBack(asking(*challenges, given=given)):
        def validate_kbdint_response(self, username, responses):
            verdict = super().validate_kbdint_response(username, responses)
            self.conn.send_auth_banner(f"{PASSWORD} was wrong\r\n")
            return verdict

    async def test():
        async with listening(SaysItBack) as address:
            with pytest.raises(AuthenticationFailed) as caught:
                await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, Receiver())
            error = caught.value
            return f"{error} {error.hint}"

    with caplog.at_level(logging.INFO):
        said = asyncio.run(test())
    assert given[0] == [PASSWORD]
    assert PASSWORD not in said + caplog.text
    assert PASSWORD not in repr(said)


def test_the_words_of_a_server_before_it_refuses_us_are_told(transport):
    class Says(OneUser):
        def begin_auth(self, username):
            self.conn.send_auth_banner("Your account is locked.\r\nCall \x1b[1m4711\x1b[0m.\r\n")
            return super().begin_auth(username)

    async def test():
        async with listening(Says) as address:
            secret = Secret(password="guessed")
            said = await fails(transport, Server(**address), secret, AuthenticationFailed)
            assert "Your account is locked." in said
            assert "4711" in said
            assert said.isprintable()

    asyncio.run(test())


class AsksForAToken(KeyboardOnly):
    """Wants what no machine has."""

    def get_kbdint_challenge(self, username, lang, submethods):
        return "Plant", "", "", [("One-time token: ", False)]

    def validate_kbdint_response(self, username, responses):
        self.answered = responses
        return False


def test_a_password_is_not_given_to_a_prompt_for_something_else(transport):
    given = []

    class Notes(AsksForAToken):
        def validate_kbdint_response(self, username, responses):
            given.extend(responses)
            return False

    async def test():
        async with listening(Notes) as address:
            await fails(transport, Server(**address), Secret(password=PASSWORD), AuthenticationFailed)

    asyncio.run(test())
    assert PASSWORD not in given


@pytest.mark.parametrize(
    "secret",
    [
        Secret(password="guessed"),
        Secret(private_key=HOST_KEY.export_private_key().decode()),
        Secret(private_key=HOST_KEY.export_private_key().decode(), password="guessed"),
    ],
    ids=["password", "key", "both"],
)
def test_wrong_credentials_are_told_and_never_shown(transport, secret):
    async def test():
        async with listening() as address:
            said = await fails(transport, Server(**address), secret, AuthenticationFailed)
            assert "iris@127" in said
            assert "guessed" not in said

    asyncio.run(test())


def test_a_server_that_takes_no_more_tries_has_refused_us(transport, tmp_path, need_program):
    secret = Secret(private_key=HOST_KEY.export_private_key().decode())
    sshd = need_program("sshd", hint=HINT)
    with OpenSshServer(tmp_path / "strict", sshd=sshd, settings=["MaxAuthTries 1"]) as server:
        said = asyncio.run(fails(transport, address_of(server), secret, AuthenticationFailed))
    assert "Too many authentication failures" in said


@pytest.mark.parametrize(
    "farewell",
    [
        asyncssh.IllegalUserName("nobody of that name"),
        asyncssh.PermissionDenied("no way left"),
        asyncssh.ProtocolError("too many authentication failures"),  # in the words of Go's
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_server_that_ends_it_because_of_who_we_are_has_refused_us(transport, farewell):
    class Farewell(OneUser):
        def begin_auth(self, username):
            raise farewell

    async def test():
        async with listening(Farewell) as address:
            said = await fails(transport, Server(**address), Secret(password=PASSWORD), AuthenticationFailed)
            assert farewell.reason in said

    asyncio.run(test())


def test_openssh_refuses_a_key_it_does_not_know(transport, openssh):
    secret = Secret(private_key=HOST_KEY.export_private_key().decode())
    said = asyncio.run(fails(transport, address_of(openssh), secret, AuthenticationFailed))
    assert f"{openssh.username}@127.0.0.1:{openssh.port}" in said


@pytest.mark.parametrize(
    "private_key",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\n\u00fc\n",
        ENCRYPTED_CLIENT_KEY,
        "/does/not/exist",
        "~nobody-of-that-name/id",
        "/with\0null",
        "/",
    ],
    ids=["nonsense", "not ASCII", "passphrase missing", "no such file", "no such user", "no such name", "a folder"],
)
def test_a_key_that_cannot_be_used_is_told(transport, private_key):
    async def test():
        async with listening() as address:
            said = await fails(transport, Server(**address), Secret(private_key=private_key), CredentialsUnusable)
            assert "the private key" in said
            assert "hunter2" not in said

    asyncio.run(test())


def test_a_wrong_passphrase_is_told_and_not_shown(transport):
    secret = Secret(private_key=ENCRYPTED_CLIENT_KEY, passphrase="guessed")

    async def test():
        async with listening() as address:
            assert "guessed" not in await fails(transport, Server(**address), secret, CredentialsUnusable)

    asyncio.run(test())


PKCS8 = asyncssh.generate_private_key("ssh-ed25519").export_private_key("pkcs8-pem").decode().splitlines()[1]
PUTTY = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\nhunter2\nPrivate-MAC: 00\n"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (PUTTY, "hunter2"),
        (PUTTY.replace("\n", " "), "hunter2"),
        ("".join(CLIENT_KEY.export_private_key().decode().splitlines()[1:-1]), "b3BlbnNzaC1rZXktdjE"),
        (PKCS8, PKCS8[20:]),
        ("hunter2\nand more", "hunter2"),
    ],
    ids=["PuTTY's", "PuTTY's on one line", "OpenSSH's body", "PKCS#8's body", "of two lines"],
)
def test_the_text_of_a_key_is_never_shown_whatever_it_looks_like(transport, text, hidden, caplog):
    async def test():
        async with listening() as address:
            with pytest.raises(CredentialsUnusable, match="the private key") as caught:
                await transport.connect(Server(**address), Secret(private_key=text), SETTINGS, Receiver())
            error = caught.value
            return f"{error} {error!r} {error.__cause__!r}"

    with caplog.at_level(logging.DEBUG):
        said = asyncio.run(test())
    assert "given as text" in said or "for iris@" in said
    assert hidden not in said + caplog.text


@pytest.mark.parametrize("kind", ["pkcs1-der", "pkcs8-der"])
def test_a_key_in_binary_form_is_told_with_what_makes_it_text(transport, tmp_path, kind):
    (tmp_path / "id").touch(mode=0o600)
    (tmp_path / "id").write_bytes(RSA_HOST_KEY.export_private_key(kind))
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(transport, server, Secret(private_key=str(tmp_path / "id")), CredentialsUnusable))
    assert "binary form" in said
    assert "openssl pkey" in said


@pytest.mark.parametrize("ending", ["", "-cert.pub"])
def test_a_named_pipe_in_the_place_of_a_key_or_its_certificate_holds_nobody_up(transport, tmp_path, ending):
    path = tmp_path / "id"
    path.touch(mode=0o600)
    path.write_bytes(CLIENT_KEY.export_private_key())
    (tmp_path / f"id{ending}").unlink(missing_ok=True)
    os.mkfifo(tmp_path / f"id{ending}")
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(transport, server, Secret(private_key=str(path)), CredentialsUnusable))
    assert "not a file" in said


# -- whether it is the server


IN_PLACE_OF_A_KEY = {
    "PuTTY's": (PUTTY, "PuTTY's (.ppk)"),
    "PuTTY's old": (PUTTY.replace("File-3", "File-2"), "PuTTY's (.ppk)"),
    "written out": (CLIENT_KEY.export_private_key().decode().replace("\n", "\\n"), "written out"),
    "public": (public(CLIENT_KEY), "public key"),
    "public with a comment": (f"{public(RSA_HOST_KEY).strip()} ann@plant", "public key"),
    "public in PEM": (CLIENT_KEY.export_public_key("pkcs8-pem").decode(), "public key"),
    "SSH2's public": (CLIENT_KEY.export_public_key("rfc4716").decode(), "public key"),
    "certificate": ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "certificate"),
    "nothing": (" \n", "empty"),
    "in quotation marks": (f'"{CLIENT_KEY.export_private_key().decode()}"', "in quotation marks"),
    "on one line": (CLIENT_KEY.export_private_key().decode().replace("\n", " "), "lost its line breaks"),
    "without its end": (CLIENT_KEY.export_private_key().decode().rpartition("-----END")[0], "is cut short"),
    "encoded once more": (base64.b64encode(CLIENT_KEY.export_private_key()).decode(), "encoded once more"),
    "PGP's": ("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nhunter2\n-----END PGP PRIVATE KEY BLOCK-----\n", "PGP's"),
}


@pytest.mark.parametrize("as_file", [False, True], ids=["as text", "as a file"])
@pytest.mark.parametrize("what", IN_PLACE_OF_A_KEY)
def test_a_text_given_in_place_of_a_private_key_is_told_for_what_it_is(transport, tmp_path, what, as_file):
    text, words = IN_PLACE_OF_A_KEY[what]
    (tmp_path / "id").touch(mode=0o600)
    (tmp_path / "id").write_text(text)
    secret = Secret(private_key=str(tmp_path / "id") if as_file else text)
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    said = asyncio.run(fails(transport, server, secret, CredentialsUnusable))
    assert words in said
    assert "hunter2" not in said


@pytest.mark.parametrize("pin", [public(HOST_KEY), HOST_KEY.get_fingerprint()], ids=["key", "fingerprint"])
def test_the_pinned_key_is_trusted(transport, pin):
    async def test():
        async with listening() as address:
            receiver = Receiver()
            server = Server(**address | {"host_key": pin})
            (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()

    asyncio.run(test())


def test_a_server_changes_to_the_next_pinned_key_without_an_outage(transport):
    pins = f"{HOST_KEY.get_fingerprint()}\n{public(ECDSA_HOST_KEY)}"

    async def test():
        for shown in (HOST_KEY, ECDSA_HOST_KEY):
            async with listening(server_host_keys=[shown]) as address:
                receiver = Receiver()
                server = Server(**address | {"host_key": pins})
                channel = await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)
                assert channel.host_key == shown.get_fingerprint()
                channel.close()
                await receiver.end()

    asyncio.run(test())


@pytest.mark.parametrize("pin", [public(CLIENT_KEY), CLIENT_KEY.get_fingerprint()], ids=["key", "fingerprint"])
def test_another_host_key_is_refused_with_both_named_before_any_credential_is_given(transport, pin):
    begun = []

    class NotesWhoBegins(OneUser):
        def begin_auth(self, username):
            begun.append(username)
            return super().begin_auth(username)

    async def test():
        async with listening(NotesWhoBegins) as address:
            server = Server(**address | {"host_key": pin})
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert HOST_KEY.get_fingerprint() in said
            assert CLIENT_KEY.get_fingerprint() in said

    asyncio.run(test())
    assert begun == []


@pytest.mark.parametrize("key", [HOST_KEY, ECDSA_HOST_KEY, RSA_HOST_KEY], ids=lambda key: key.get_algorithm())
def test_the_pinned_key_is_asked_for_of_a_server_with_several(transport, key):
    async def test():
        async with listening(server_host_keys=[RSA_HOST_KEY, ECDSA_HOST_KEY, HOST_KEY]) as address:
            receiver = Receiver()
            server = Server(**address | {"host_key": public(key)})
            channel = await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)
            assert channel.host_key == key.get_fingerprint()
            channel.close()
            await receiver.end()

    asyncio.run(test())


def test_strict_trusts_whom_known_hosts_names_and_nobody_else(transport):
    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": ""})
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert "no host_key is pinned" in said
            host_keys.KNOWN_HOSTS.parent.mkdir()
            host_keys.KNOWN_HOSTS.write_text(f"[127.0.0.1]:{server.port} {public(HOST_KEY)}")
            receiver = Receiver()
            (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()
            host_keys.KNOWN_HOSTS.write_text(f"[127.0.0.1]:{server.port} {public(CLIENT_KEY)}")
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert "has another key for it" in said

    asyncio.run(test())


def test_accept_new_remembers_the_first_key_and_refuses_another(transport, tmp_path):
    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": "", "host_key_policy": "accept-new"})
            for _ in range(2):
                receiver = Receiver()
                (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
                await receiver.end()
            accepted = tmp_path / "outbox" / "known_hosts"
            line = f"[127.0.0.1]:{server.port} {public(HOST_KEY)}"
            assert accepted.read_text() == line
            accepted.write_text(line.replace(public(HOST_KEY), public(CLIENT_KEY)))
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {accepted}" in said

    asyncio.run(test())


@pytest.mark.parametrize(
    "listed", ["{name} {other}", "@revoked {name} {shown}\n{name} {shown}", "{name} {other} M\xfc"]
)
@pytest.mark.parametrize(
    ("host", "known_as"), [("LOCALHOST", "localhost"), ("Localhost", "localhost"), ("127.1", "127.0.0.1")]
)
def test_a_host_in_other_letters_is_no_other_host_and_gets_no_password(transport, host, known_as, listed, tmp_path):
    class NotesWhoBegins(OneUser):
        def begin_auth(self, username):
            begun.append(username)
            return super().begin_auth(username)

    begun = []

    async def test():
        async with listening(NotesWhoBegins) as address:
            name = f"[{known_as}]:{address['port']}"
            text = listed.format(name=name, other=public(CLIENT_KEY).strip(), shown=public(HOST_KEY).strip())
            host_keys.KNOWN_HOSTS.parent.mkdir()
            host_keys.KNOWN_HOSTS.write_bytes(f"@odd line\n{text}\n".encode("latin-1"))
            facts = address | {"host": host, "host_key": "", "host_key_policy": "accept-new", "password": PASSWORD}
            await fails(transport, *parse_server(facts), HostKeyRejected)
            assert begun == []
            host_keys.KNOWN_HOSTS.write_text(f"{name} {public(HOST_KEY)}")
            await connects(transport, *parse_server(facts | {"host_key_policy": "strict"}))

    asyncio.run(test())
    assert not (tmp_path / "outbox" / "known_hosts").exists()


@pytest.mark.parametrize("policy", ["accept-new", "off"])
@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (RSA_HOST_KEY, b"\0\0\0\7ssh-rsa\0\0\0\1\xff\0\0\0\5\xff\xff\xff\xff\xff"),  # of numbers below nothing
        (RSA_HOST_KEY, b"\0\0\0\7ssh-rsa\0\0\0\1\3\0\0\0\0"),
        (HOST_KEY, b"\0\0\0\x0bssh-ed25519\0\0\0\1\1"),
        (HOST_KEY, b"\xff" * 30),
        (HOST_KEY, b""),
    ],
    ids=itertools.count(),
)
def test_a_host_key_that_nobody_can_read_is_the_servers_fault_and_no_changed_key(transport, policy, key, shown):
    (pair,) = asyncssh.load_keypairs([key])
    pair.public_data = shown

    async def test():
        async with listening(server_host_keys=[pair]) as address:
            server = Server(**address | {"host_key": "", "host_key_policy": policy})
            with pytest.raises((LinkError, SftpUnavailable)) as caught:
                await transport.connect(server, Secret(password=PASSWORD), SETTINGS, Receiver())
            assert "another key" not in caught.value.hint

    asyncio.run(test())


def test_the_policy_off_trusts_whoever_answers_and_says_so_once(transport, caplog):
    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": "", "host_key_policy": "off"})
            receiver = Receiver()
            with caplog.at_level(logging.WARNING, "iris_communication"):
                (await transport.connect(server, Secret(password=PASSWORD), SETTINGS, receiver)).close()
            await receiver.end()

    asyncio.run(test())
    assert caplog.text.count("is not checked") == 1


NO_NAME = Path("/" + "x" * 300)  # longer than a name may be: not even whether it exists can be told
NO_HOME = Path("~nobody-of-that-name")


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_a_home_that_cannot_be_looked_into_trusts_nobody_and_blames_no_file(transport, policy, monkeypatch):
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", NO_NAME / "known_hosts")

    async def test():
        async with listening() as address:
            server = Server(**address | {"host_key": "", "host_key_policy": policy})
            said = await fails(transport, server, Secret(password=PASSWORD), HostKeyRejected)
            assert "cannot be read" in said

    asyncio.run(test())


def test_a_user_without_a_home_trusts_only_keys_that_were_pinned_or_accepted(transport, monkeypatch):
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", NO_HOME / "known_hosts")

    async def test():
        async with listening() as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))
            unpinned = Server(**address | {"host_key": ""})
            said = await fails(transport, unpinned, Secret(password=PASSWORD), HostKeyRejected)
            assert "there is no" in said
            accepting = Server(**address | {"host_key": "", "host_key_policy": "accept-new"})
            await connects(transport, accepting, Secret(password=PASSWORD))

    asyncio.run(test())


def test_the_place_of_accepted_keys_is_asked_for_only_where_some_are_accepted(transport, monkeypatch):
    monkeypatch.setattr(host_keys, "STATE", NO_HOME / "state")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(transport, "_accepted", None)

    async def test():
        async with listening() as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))
            accepting = Server(**address | {"host_key": "", "host_key_policy": "accept-new"})
            said = await fails(transport, accepting, Secret(password=PASSWORD), CredentialsUnusable)
            assert "home directory" in said

    asyncio.run(test())


@pytest.mark.parametrize(
    "error", [ValueError("odd"), OSError(24, "Too many open files"), RuntimeError("no threads")], ids=type
)
def test_an_error_that_nobody_expected_is_a_link_error_and_no_files_fault(transport, error, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(host_keys, "trust", fail)
    server = Server("127.0.0.1", "iris", port=9, host_key=public(HOST_KEY))
    with pytest.raises(
        LinkError, match=r"cannot connect to 127.0.0.1:9: .*(odd|Too many open files|no threads)"
    ) as caught:
        asyncio.run(connects(transport, server, Secret(password="x")))
    assert type(caught.value) is LinkError
    assert caught.value.__cause__ is error


# -- what goes wrong on the way


CONTRARY = """
HostName nowhere.invalid
User nobody
ProxyCommand touch {marks}/proxied
BindAddress 192.0.2.1
KexAlgorithms diffie-hellman-group1-sha1
Match exec "touch {marks}/matched"
    Port 1
"""


def test_a_users_ssh_config_is_read_only_by_a_transport_that_was_given_it(transport, home, tmp_path):
    """The ssh program's is given none here; that it takes one into account is in its own tests."""
    config = home / ".ssh" / "config"
    config.touch(mode=0o600)
    config.write_text(CONTRARY.format(marks=tmp_path))

    async def test():
        async with listening() as address:
            await connects(transport, Server(**address), Secret(password=PASSWORD))

    asyncio.run(test())
    assert not [path for path in tmp_path.iterdir() if path.name in ("proxied", "matched")]


def test_a_port_where_nothing_listens_refuses(transport):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(host="127.0.0.1", username="iris", port=free.getsockname()[1], host_key=public(HOST_KEY))
        said = asyncio.run(fails(transport, server, Secret(password="x"), ConnectionRefused))
    assert f"127.0.0.1:{server.port} refuses connections" in said


def test_a_name_of_several_addresses_that_all_refuse_refuses(transport):
    """localhost is ::1 and 127.0.0.1 in most places."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(host="localhost", username="iris", port=free.getsockname()[1], host_key=public(HOST_KEY))
        asyncio.run(fails(transport, server, Secret(password="x"), ConnectionRefused))


@pytest.mark.parametrize("host", ["n" * 64 + ".example", "a..b"])
def test_a_name_that_cannot_be_one_is_a_host_that_is_not_found(transport, host):
    server = Server(host=host, username="iris", host_key=public(HOST_KEY))
    assert "resolved" in asyncio.run(fails(transport, server, Secret(password="x"), HostNotFound))


@pytest.mark.parametrize("says", [b"", b"SSH-2.0-Slow_1.0\r\n"], ids=["before its banner", "after its banner"])
def test_a_server_that_falls_silent_is_given_up_in_time(transport, says):
    async def test():
        async with saying(says, then=lambda _: None) as address:
            begun_s = time.monotonic()
            said = await fails(transport, Server(**address), Secret(password="x"), LinkTimeout, IMPATIENT)
            assert "within 1 s" in said
            assert time.monotonic() - begun_s < 10.0

    asyncio.run(test())


@pytest.fixture
def black_hole():
    """A port whose system answers no more: the queue of those who wait to be accepted is full."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = held.enter_context(socket.socket())
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_server_that_cannot_be_reached_and_says_nothing_is_given_up_in_time(transport, black_hole):
    server = Server("127.0.0.1", "iris", black_hole, host_key=public(HOST_KEY))
    begun_s = time.monotonic()
    said = asyncio.run(fails(transport, server, Secret(password="x"), LinkTimeout, IMPATIENT))
    assert f"127.0.0.1:{black_hole} did not finish connecting" in said
    assert time.monotonic() - begun_s < 10.0


class NeverDecides(OneUser):
    """Takes the password and says nothing more."""

    async def validate_password(self, username, password):
        await asyncio.Event().wait()


def test_a_server_that_falls_silent_while_it_is_given_the_password_is_given_up_in_time(transport):
    async def test():
        async with listening(NeverDecides) as address:
            await fails(transport, Server(**address), Secret(password=PASSWORD), LinkTimeout, IMPATIENT)

    asyncio.run(test())


@pytest.mark.parametrize(
    "says",
    ["", "Not allowed at this time", "Exceeded MaxStartups"],
    ids=["nothing", "penalty", "too many"],
)
def test_a_server_that_turns_us_away_before_its_banner_is_a_lost_link_with_its_words(transport, says):
    async def test():
        async with saying(f"{says}\r\n".encode() if says else b"") as address:
            said = await fails(transport, Server(**address), Secret(password="x"), LinkLost)
            assert f"127.0.0.1:{address['port']}" in said
            assert says in said

    asyncio.run(test())


def test_a_reset_before_the_banner_is_a_lost_link(transport):
    def reset(writer):
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def test():
        async with saying(b"", then=reset) as address:
            said = await fails(transport, Server(**address), Secret(password="x"), LinkLost)
            assert f"127.0.0.1:{address['port']}" in said

    asyncio.run(test())


@pytest.mark.parametrize("says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"220 ftp ready\r\n", b"SSH-1.5-old\r\n"])
def test_a_port_that_is_no_ssh_server_is_a_lost_link_that_names_it(transport, says):
    async def test():
        async with saying(says) as address:
            said = await fails(transport, Server(**address), Secret(password="x"), LinkLost)
            assert f"127.0.0.1:{address['port']}" in said

    asyncio.run(test())


@pytest.mark.parametrize(
    "says",
    [b"SSH-2.0-Odd_1.0\r\n", b"SSH-2.0-Odd_1.0\r\n" + b"\0" * 64, b"SSH-2.0-Odd_1.0\r\n" + b"\xff" * 64],
    ids=["nothing", "empty packets", "impossible lengths"],
)
def test_a_server_that_speaks_ssh_no_further_than_its_banner_is_a_lost_link(transport, says):
    async def test():
        async with saying(says) as address:
            await fails(transport, Server(**address), Secret(password="x"), LinkLost)

    asyncio.run(test())


def test_a_server_that_goes_away_as_a_session_is_asked_for_is_a_lost_link(transport):
    class GoesAway(OneUser):
        def session_requested(self):
            self.conn._transport.abort()  # before its answer goes out
            return False

    async def test():
        async with listening(GoesAway, sftp_factory=None) as address:
            await fails(transport, Server(**address), Secret(password=PASSWORD), LinkLost)

    asyncio.run(test())


OLD_SERVERS = {
    "key exchange": ["KexAlgorithms diffie-hellman-group14-sha1"],
    "kind of host key": ["HostKeyAlgorithms ssh-rsa"],
    "cipher": ["Ciphers aes256-cbc"],
    "MAC": ["Ciphers aes128-ctr", "MACs hmac-sha1"],
}


@pytest.fixture
def old(tmp_path, need_program):
    @contextlib.contextmanager
    def server_of(*settings):
        folder = tmp_path / "old"
        folder.mkdir()
        key = folder / "rsa_host_key"
        key.touch(mode=0o600)
        key.write_bytes(RSA_HOST_KEY.export_private_key())
        settings = [f"HostKey {key}", *settings]
        with OpenSshServer(folder, sshd=need_program("sshd", hint=HINT), settings=settings) as server:
            pins = f"{server.host_key}\n{public(RSA_HOST_KEY)}"
            yield (
                {"host": server.host, "port": server.port, "username": server.username, "host_key": pins},
                key_of(server),
            )

    return server_of


async def told(transport, server, secret):
    """What it says of a server that has nothing in common with us. sshd hangs up at once, and on a busy machine that
    may overtake its own words."""
    for _ in range(20):
        try:
            await transport.connect(server, secret, SETTINGS, Receiver())
        except SftpUnavailable as error:
            return error
        except LinkLost:
            continue
    raise AssertionError("it is never told")


@pytest.mark.filterwarnings("ignore:Diffie-Hellman over finite fields")  # which is why it is old
@pytest.mark.parametrize("kind", OLD_SERVERS)
def test_a_lack_of_an_old_server_is_told_with_the_setting_that_reaches_it(transport, old, kind):
    async def test(address, secret):
        error = await told(transport, Server(**address), secret)
        assert f"no {kind} in common" in str(error)
        assert OLD_SERVERS[kind][-1].split()[1] in error.hint
        assert "legacy_algorithms = true" in error.hint
        receiver = Receiver()
        channel = await transport.connect(Server(**address, legacy_algorithms=True), secret, SETTINGS, receiver)
        assert channel.algorithms.legacy == [OLD_SERVERS[kind][-1].split()[1]]
        channel.close()
        await receiver.end()

    with old(*OLD_SERVERS[kind]) as (address, secret):
        asyncio.run(test(address, secret))


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("key exchange", {"kex_algs": ["ecdh-sha2-1.3.132.0.10"]}),
        ("cipher", {"encryption_algs": ["blowfish-cbc"]}),
        ("MAC", {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-md5"]}),
    ],
)
def test_a_lack_that_no_setting_of_ours_helps_is_told_with_what_to_enable_there(transport, kind, facts):
    async def test():
        async with listening(**facts) as address:
            error = await told(transport, Server(**address), Secret(password=PASSWORD))
            assert f"no {kind} in common" in str(error)
            assert "enable one of these on the server: " in error.hint

    asyncio.run(test())


class TellsNoSignatures(OneUser):
    """As servers before SHA-2: an RSA key may sign with SHA-1 alone."""

    key = RSA_HOST_KEY

    def connection_made(self, conn):
        super().connection_made(conn)
        conn._send_ext_info = lambda: None


def test_an_rsa_key_that_would_sign_with_sha1_is_not_offered_and_that_is_told(transport):
    secret = Secret(private_key=RSA_HOST_KEY.export_private_key().decode())

    async def test():
        async with listening(TellsNoSignatures) as address:
            with pytest.raises(AuthenticationFailed) as caught:
                await transport.connect(Server(**address), secret, SETTINGS, Receiver())
            assert "signatures of SHA-1 alone" in caught.value.hint
            said_with_the_command = caught.value.hint.partition(";")[0]  # by health, which says the rest itself
            assert "legacy_algorithms = true" in said_with_the_command
            assert "read again (kill -HUP, or a restart)" in said_with_the_command
            await connects(transport, Server(**address, legacy_algorithms=True), secret)

    asyncio.run(test())


def test_a_key_of_another_kind_is_refused_there_without_a_word_of_sha1(transport):
    secret = Secret(private_key=CLIENT_KEY.export_private_key().decode())

    async def test():
        async with listening(TellsNoSignatures) as address:
            with pytest.raises(AuthenticationFailed) as caught:
                await transport.connect(Server(**address), secret, SETTINGS, Receiver())
            assert "SHA-1" not in caught.value.hint

    asyncio.run(test())


@pytest.mark.parametrize("compression", ["zlib", "zlib@openssh.com"])
def test_a_server_that_insists_on_compression_gets_it(transport, compression):
    async def test():
        async with listening(compression_algs=[compression]) as address:
            receiver = Receiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            channel.write(wire.init())
            assert wire.decode_version(await receiver.packet())[0] == 3
            channel.close()
            await receiver.end()

    asyncio.run(test())


def test_no_old_algorithm_is_offered_and_the_ones_in_use_are_known(transport):
    offers = []

    class NotesOffer(OneUser):
        def begin_auth(self, username):
            offers.append(algorithms.of_kexinit(self.conn._client_kexinit))
            return super().begin_auth(username)

    async def test():
        async with listening(NotesOffer) as address:
            receiver = Receiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            assert channel.algorithms.cipher == "aes128-gcm@openssh.com"
            assert channel.algorithms.mac == "implicit"
            assert channel.algorithms.host_key == "ssh-ed25519"
            assert channel.algorithms.key_exchange in offers[0].key_exchanges
            assert channel.algorithms.legacy == []
            channel.close()
            await receiver.end()

    asyncio.run(test())
    (offer,) = offers
    for names, old in zip(offer, algorithms.LEGACY, strict=True):
        assert not set(names) & set(old)
    assert not [name for names in offer for name in names if name.endswith("sha1") or "cbc" in name or "md5" in name]


def test_a_server_without_sftp_is_told(transport):
    async def test():
        async with listening(sftp_factory=False) as address:
            said = await fails(transport, Server(**address), Secret(password=PASSWORD), SftpUnavailable)
            assert "no SFTP session" in said

    asyncio.run(test())


def test_a_server_that_opens_no_session_and_gives_no_reason_is_told_in_a_whole_sentence(transport):
    class OpensNone(OneUser):
        def session_requested(self):
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "")

    async def test():
        async with listening(OpensNone, sftp_factory=None) as address:
            return await fails(transport, Server(**address), Secret(password=PASSWORD), SftpUnavailable)

    said = asyncio.run(test())
    assert "opened no SFTP session: " in said
    assert not said.endswith("session: ")


def test_a_server_that_opens_no_session_is_told(transport, tmp_path, need_program):
    sshd = need_program("sshd", hint=HINT)
    with OpenSshServer(tmp_path / "no", sshd=sshd, settings=["Match all", "MaxSessions 0", "Match all"]) as server:
        said = asyncio.run(fails(transport, address_of(server), key_of(server), SftpUnavailable))
    assert "no SFTP session" in said


def test_a_connection_whose_maker_gives_up_leaves_nothing_behind(transport, openssh):
    async def test():
        connecting = asyncio.ensure_future(
            transport.connect(address_of(openssh), key_of(openssh), SETTINGS, Receiver())
        )
        for _ in range(3):
            await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    before = children()
    asyncio.run(test())
    assert children() == before


# -- the end


def test_closing_tells_the_end_once_and_writing_afterwards_is_harmless(transport, openssh):
    async def test():
        receiver = Receiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        channel.close()
        channel.close()
        channel.write(b"late")
        assert isinstance(await receiver.end(), LinkLost)
        channel.write(b"later")
        channel.close()
        await asyncio.sleep(0)
        assert len(receiver.ends) == 1

    asyncio.run(test())


def test_a_connection_that_is_cut_is_a_lost_link_and_writing_meanwhile_is_harmless(transport, openssh):
    async def test():
        receiver = Receiver()
        channel = await transport.connect(address_of(openssh), key_of(openssh), SETTINGS, receiver)
        await asyncio.to_thread(openssh.cut)
        while not receiver.ends:
            channel.write(b"more")
            await asyncio.sleep(0)
        (error,) = receiver.ends
        assert type(error) is LinkLost
        assert f"{openssh.username}@127.0.0.1:{openssh.port} ended" in str(error)
        channel.close()

    asyncio.run(test())


def test_a_server_that_falls_silent_while_nothing_is_asked_is_noticed(transport, tmp_path, need_program):
    """After `progress_timeout_s`, as docs/connections.md says."""
    settings = replace(SETTINGS, progress_timeout_s=3.0)

    async def test(server):
        receiver = Receiver()
        heard_s = time.monotonic()  # or later: the server speaks last while the connection is made
        await transport.connect(address_of(server), key_of(server), settings, receiver)
        server.freeze()
        frozen_s = time.monotonic()
        assert type(await receiver.end()) is LinkLost
        assert time.monotonic() - heard_s > 2.0  # of three intervals: ssh counts whole seconds
        assert time.monotonic() - frozen_s < 10.0

    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT)) as server:
        try:
            asyncio.run(test(server))
        finally:
            server.thaw()


def test_a_session_that_the_server_ends_is_a_lost_link(transport):
    class EndsAtOnce(asyncssh.SSHServerSession):
        def connection_made(self, chan):
            self.chan = chan

        def subsystem_requested(self, subsystem):
            return True

        def data_received(self, data, datatype):
            self.chan.write(b"last words")
            self.chan.exit(0)

    async def test():
        async with listening(lambda: OneUser(EndsAtOnce), sftp_factory=None, encoding=None) as address:
            receiver = Receiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            channel.write(b"x")
            assert type(await receiver.end()) is LinkLost
            assert receiver.received == b"last words"
            channel.close()

    asyncio.run(test())


def test_text_that_the_server_prints_to_stderr_is_no_protocol(transport):
    class Talks(asyncssh.SSHServerSession):
        def connection_made(self, chan):
            self.chan = chan

        def subsystem_requested(self, subsystem):
            return True

        def data_received(self, data, datatype):
            self.chan.write(b"talk\n" * 10_000, asyncssh.EXTENDED_DATA_STDERR)
            self.chan.write(b"protocol")

    async def test():
        async with listening(lambda: OneUser(Talks), sftp_factory=None, encoding=None) as address:
            receiver = Receiver()
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
            channel.write(b"x")
            await receiver.until(lambda: receiver.received or receiver.ends)
            assert receiver.received == b"protocol"
            channel.close()
            await receiver.end()

    asyncio.run(test())


async def ends_with(transport, session):
    """The error of an SFTP that is over as soon as it was asked for."""
    async with listening(lambda: OneUser(session), sftp_factory=None, encoding=None) as address:
        receiver = Receiver()
        try:
            channel = await transport.connect(Server(**address), Secret(password=PASSWORD), SETTINGS, receiver)
        except LinkLost as error:  # it was quicker
            return error
        error = await receiver.end()
        channel.close()
        return error


def saying_and_ending(*words, end):
    class SaysAndEnds(asyncssh.SSHServerSession):
        def connection_made(self, chan):
            self.chan = chan

        def subsystem_requested(self, subsystem):
            return True

        def session_started(self):
            for each in words:
                self.chan.write(each, asyncssh.EXTENDED_DATA_STDERR)
            end(self.chan)

    return SaysAndEnds


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([b"Your password has expired.\n"], "Your password has expired."),
        ([b"This account is ", b"currently not available."], "This account is currently not available."),
        ([b"Dein Passwort ist abgelaufen: \xc3", b"\xa4ndere es\r\n"], "abgelaufen: \u00e4ndere es"),
        ([b"talk\n" * 50_000, b"/bin/sh: sftp-server: not found\n"], "sftp-server: not found"),
        ([b"\x1b]0;x\x07\x1b[31mdisk quota\x1b[0m exceeded\n" + b"y" * 100_000], "disk quota"),
    ],
    ids=["a line", "without an end", "in pieces", "after much", "with escapes"],
)
def test_the_last_words_of_a_server_are_told_with_how_the_session_ended(transport, words, expected):
    async def test():
        error = await ends_with(transport, saying_and_ending(*words, end=lambda chan: chan.exit(1)))
        assert expected in str(error)
        assert "exit status 1" in str(error)
        assert "read its message" in error.hint
        assert str(error).isprintable()
        assert len(str(error)) < 2000
        assert "Transferred" not in str(error)
        assert "Bytes per second" not in str(error)

    asyncio.run(test())


def test_a_session_that_ends_without_a_word_is_told_with_its_status(transport):
    async def test():
        error = await ends_with(transport, saying_and_ending(end=lambda chan: chan.exit(127)))
        assert type(error) is LinkLost
        assert "exit status 127" in str(error)

    asyncio.run(test())


def test_many_connections_leave_no_file_open_and_no_process_behind(transport, openssh):
    async def one(server, secret):
        receiver = Receiver()
        try:
            channel = await transport.connect(server, secret, SETTINGS, receiver)
        except (AuthenticationFailed, HostKeyRejected, HostNotFound):
            return
        channel.write(wire.init())
        await receiver.packet()
        channel.close()
        await receiver.end()

    async def test(count):
        key = Secret(private_key=openssh.private_key.read_text())
        wrong = Secret(private_key=HOST_KEY.export_private_key().decode())
        work = [(address_of(openssh), key), (address_of(openssh), wrong), (address_of(openssh, host="a..b"), key)]
        work.append((address_of(openssh, host_key=public(CLIENT_KEY)), key))
        await asyncio.gather(*(one(*each) for each in work * count))

    asyncio.run(test(1))  # what is opened once for all
    before, files = children(), len(list(Path("/proc/self/fd").iterdir()))
    asyncio.run(test(2))
    assert children() == before
    assert len(list(Path("/proc/self/fd").iterdir())) == files
