"""Proxies and jump hosts that ssh_config names."""

import asyncio
import contextlib
import os
import select
import socket
from dataclasses import replace

import asyncssh
import pytest

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    HostKeyRejected,
    JumpHostFailed,
    LinkTimeout,
)
from iris_communication.settings import Secret
from iris_communication.transport import host_keys
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.servers.openssh import OpenSshServer, descendants, is_running
from tests.servers.proxies import HttpConnect, Socks5, proxy
from tests.unit.iris_communication.transport.openssh.process.ssh_program import (
    CLIENT_KEY,
    HINT,
    HOST_KEY,
    PASSWORD,
    SETTINGS,
    OneUser,
    Receiver,
    command_line,
    listening,
    public,
    script,
    server_at,
)

JUMP_HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


def test_a_proxy_command_that_fails_is_told_with_what_it_said(ssh, tmp_path):
    config = tmp_path / "config"
    config.write_text(f"ProxyCommand {script(tmp_path / 'proxy', 'echo no way through >&2; exit 1')}\n")
    config.chmod(0o600)
    transport = SshProgramTransport(program=ssh, configs=[config])
    assert "no way through" in asyncio.run(fails_by_jump(transport, 22, JumpHostFailed))


PROXIES = [(HttpConnect, "connect"), (Socks5, "5")]


@pytest.mark.parametrize(("kind", "protocol"), PROXIES, ids=["HTTP CONNECT", "SOCKS5"])
def test_a_server_is_reached_by_a_proxy_that_ssh_config_names(ssh, tmp_path, need_program, kind, protocol):
    """As docs/connections.md says."""
    netcat = need_program("nc", hint=HINT)

    async def test(way):
        async with listening() as port:
            config = tmp_path / "config"
            config.write_text(f"ProxyCommand {netcat} -X {protocol} -x 127.0.0.1:{way.port} %h %p\n")
            config.chmod(0o600)
            receiver = Receiver()
            transport = SshProgramTransport(program=ssh, configs=[config])
            channel = await transport.connect(server_at(port), Secret(password=PASSWORD), SETTINGS, receiver)
            assert channel.host_key == HOST_KEY.get_fingerprint()
            assert way.passed == [("127.0.0.1", port)]
            channel.close()
            await receiver.end
            way.refuses = True
            await fails_by_jump(transport, port, JumpHostFailed)

    with proxy(kind) as way:
        asyncio.run(test(way))


@pytest.mark.parametrize(
    ("alias", "listed"), [("", "[127.0.0.1]:{port}"), ("", "127.0.0.*"), ("HostKeyAlias Gate", "gate")]
)
def test_a_server_is_known_by_the_name_that_ssh_config_gives_it(ssh, tmp_path, monkeypatch, alias, listed):
    known = tmp_path / "known_hosts"
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", known)
    config = tmp_path / "config"
    config.write_text(f"Host plant\n HostName 127.0.0.1\n {alias}\n")
    config.chmod(0o600)
    transport = SshProgramTransport(program=ssh, configs=[config])

    async def test():
        async with listening() as port:
            server = replace(server_at(port, "plant"), host_key="")
            known.write_text(f"{listed.format(port=port)} {public(HOST_KEY)}\n")
            channel = await transport.connect(server, Secret(password=PASSWORD), SETTINGS, Receiver())
            assert channel.host_key == HOST_KEY.get_fingerprint()
            channel.close()
            known.write_text(f"{listed.format(port=port)} {public(CLIENT_KEY)}\n")
            with pytest.raises(HostKeyRejected):
                await transport.connect(server, Secret(password=PASSWORD), SETTINGS, Receiver())

    asyncio.run(test())


@pytest.fixture
def by_jump(ssh, tmp_path):
    """`by_jump(port)` is a transport for which plant is behind a jump host on that port."""
    identity, known = tmp_path / "jump_id", tmp_path / "jump_known_hosts"
    identity.touch(mode=0o600)
    identity.write_bytes(CLIENT_KEY.export_private_key())

    def transport(port, key=JUMP_HOST_KEY, *more):
        known.write_text(f"[127.0.0.1]:{port} {public(key)}\n")
        config = tmp_path / "config"
        lines = ["Host plant", "HostName 127.0.0.1", "ProxyJump jump", "Host jump", "HostName 127.0.0.1"]
        lines += [f"Port {port}", f"UserKnownHostsFile {known}", "GlobalKnownHostsFile /dev/null"]
        lines += [*(more or [f"IdentityFile {identity}"]), "User iris", "IdentitiesOnly yes", "IdentityAgent none"]
        config.write_text("\n".join(lines) + "\n")
        config.chmod(0o600)
        return SshProgramTransport(program=ssh, configs=[config])

    return transport


def test_a_server_is_reached_by_the_jump_host_that_ssh_config_names(by_jump):
    passed = []

    class NotesWhoPasses(OneUser):
        def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
            passed.append(dest_port)
            return True

    async def test():
        async with listening() as port, listening(NotesWhoPasses, JUMP_HOST_KEY) as jump_port:
            receiver = Receiver()
            server = server_at(port, "plant")
            channel = await by_jump(jump_port).connect(server, Secret(password=PASSWORD), SETTINGS, receiver)
            assert channel.host_key == HOST_KEY.get_fingerprint()
            assert passed == [port]
            to_jump = [pid for pid in descendants(os.getpid()) if b"-W\0" in command_line(pid)]
            assert len(to_jump) == 1
            channel.close()
            await receiver.end
            return to_jump

    (pid,) = asyncio.run(test())
    assert not is_running(pid), "what ssh has started ends with it"


async def fails_by_jump(transport, port, kind, secret=None):
    with pytest.raises(kind) as caught:
        await transport.connect(server_at(port, "plant"), secret or Secret(password=PASSWORD), SETTINGS, Receiver())
    assert type(caught.value) is kind
    return str(caught.value)


@contextlib.contextmanager
def a_free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


def test_a_jump_host_that_does_not_answer_is_told_as_that(by_jump):
    with a_free_port() as jump_port:
        said = asyncio.run(fails_by_jump(by_jump(jump_port), 22, JumpHostFailed))
    assert f"connect to host 127.0.0.1 port {jump_port}: Connection refused" in said


def test_a_server_that_refuses_behind_the_jump_host_refuses(by_jump, tmp_path, need_program):
    sshd = need_program("sshd", hint=HINT)
    settings = ["Match all", "AllowTcpForwarding yes"]
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, settings=settings) as jump, a_free_port() as port:
        identity = (f"IdentityFile {jump.private_key}", f"User {jump.username}")
        key = asyncssh.import_public_key(jump.host_key)
        said = asyncio.run(fails_by_jump(by_jump(jump.port, key, *identity), port, ConnectionRefused))
    assert f"plant:{port}" in said


def test_a_jump_host_that_shows_another_key_is_told_as_that(by_jump):
    async def test():
        async with listening() as port, listening(key=JUMP_HOST_KEY) as jump_port:
            said = await fails_by_jump(by_jump(jump_port, CLIENT_KEY), port, HostKeyRejected)
            assert "jump host" in said

    asyncio.run(test())


def test_a_jump_host_that_asks_for_a_password_is_not_given_the_servers(by_jump):
    given = []

    class NotesPasswords(OneUser):
        def validate_password(self, username, password):
            given.append(password)
            return super().validate_password(username, password)

    async def test():
        async with listening() as port, listening(NotesPasswords, JUMP_HOST_KEY) as jump_port:
            transport = by_jump(jump_port, JUMP_HOST_KEY, "PubkeyAuthentication no")
            said = await fails_by_jump(transport, port, AuthenticationFailed)
            assert "jump host" in said

    asyncio.run(test())
    assert set(given) <= {""}  # what ssh says where it was told nothing


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop whose time can be moved on, for what ends after some time and not by an event."""

    skipped_s = 0.0

    def time(self):
        return super().time() + self.skipped_s


async def line_from(fifo):
    """The first line that anybody writes into it."""
    reader, there = os.open(fifo, os.O_RDWR | os.O_NONBLOCK), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(reader, there.set)
    try:
        await there.wait()
        return os.read(reader, 100)
    finally:
        loop.remove_reader(reader)
        os.close(reader)


def test_a_proxy_command_that_says_nothing_is_given_up_in_time_and_ends_with_ssh(ssh, tmp_path):
    config, fifo = tmp_path / "config", tmp_path / "fifo"
    os.mkfifo(fifo)
    config.write_text(f"ProxyCommand {script(tmp_path / 'proxy', f'echo $$ >{fifo}; exec sleep 60')}\n")
    config.chmod(0o600)

    async def test():
        transport = SshProgramTransport(program=ssh, configs=[config])
        connecting = asyncio.create_task(transport.connect(server_at(22), Secret(), SETTINGS, Receiver()))
        proxy = os.pidfd_open(int(await line_from(fifo)))
        asyncio.get_running_loop().skipped_s += SETTINGS.connect_timeout_s
        with pytest.raises(LinkTimeout, match=r"it was (waiting for its banner|looking up and reaching the server)"):
            await connecting
        return proxy

    with asyncio.Runner(loop_factory=SkippingLoop) as runner, os.fdopen(runner.run(test())) as proxy:
        assert select.select([proxy], [], [], 10.0)[0], "the proxy command is still there"
