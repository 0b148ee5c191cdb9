"""Logging in: a client that proves to be the user is let in, a refusal has its reason, and no secret is shown."""

import asyncio
import contextlib
import subprocess
import time

import asyncssh
import pytest

from iris_communication.errors import AuthenticationFailed
from iris_communication.server.facts import parse_server
from iris_communication.settings import Secret, Server
from tests.contract.transport.connecting import (
    ENCRYPTED_CLIENT_KEY,
    HINT,
    PROMPT_S,
    SETTINGS,
    KeepingReceiver,
    address_of,
    agent_at,
    connects,
    fails,
)
from tests.contract.transport.in_process import listening
from tests.servers.one_user import CLIENT_KEY, HOST_KEY, PASSWORD, OneUser
from tests.servers.openssh import OpenSshServer


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
            receiver = KeepingReceiver()
            channel = await transport.connect(Server(**address), secret, SETTINGS, receiver)
            assert channel.host_key == HOST_KEY.get_fingerprint()
            channel.close()
            await receiver.end()

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


@pytest.mark.parametrize(
    "text", ["Your password has expired", "Ihr Kennwort ist abgelaufen\r\n\x1b[31mbitte ändern", ""], ids=range(3)
)
def test_an_expired_password_is_reported_with_the_servers_text_and_is_not_changed(transport, text):
    asked = []

    class Expired(OneUser):
        def kbdint_auth_supported(self):
            return False

        def validate_password(self, username, password):
            asked.append(password)
            raise asyncssh.PasswordChangeRequired(text)

        def change_password(self, username, old_password, new_password):
            pytest.fail("changed")

    async def test():
        async with listening(Expired) as address:
            before = time.monotonic()
            said = await fails(transport, Server(**address), Secret(password=PASSWORD), AuthenticationFailed)
            assert "wants a new one in its place" in said
            assert all(word in said for word in text.split()[:3])
            assert time.monotonic() - before < PROMPT_S

    asyncio.run(test())
    assert asked == [PASSWORD]


def test_the_banner_of_a_server_that_refuses_us_is_in_the_error(transport):
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


@pytest.mark.parametrize(
    "secret",
    [
        Secret(password="guessed"),
        Secret(private_key=HOST_KEY.export_private_key().decode()),
        Secret(private_key=HOST_KEY.export_private_key().decode(), password="guessed"),
    ],
    ids=["password", "key", "both"],
)
def test_wrong_credentials_are_refused_and_never_shown(transport, secret):
    async def test():
        async with listening() as address:
            said = await fails(transport, Server(**address), secret, AuthenticationFailed)
            assert "iris@127" in said
            assert "guessed" not in said

    asyncio.run(test())


def test_a_server_that_takes_no_more_tries_counts_as_a_refused_login(transport, tmp_path, need_program):
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
        asyncssh.ProtocolError("too many authentication failures"),  # as Go's library says it
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_server_that_ends_the_connection_because_of_the_user_counts_as_a_refused_login(transport, farewell):
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
