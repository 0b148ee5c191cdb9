"""The `ssh` program as a transport: what only it has. What both have is in tests/contract/transport/."""

import asyncio
import contextlib
import logging
import os
import select
import socket
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    CredentialsUnusable,
    HostKeyRejected,
    JumpHostFailed,
    LinkLost,
    LinkTimeout,
    SshProgramMissing,
    SshProgramUnusable,
)
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport import host_keys
from iris_communication.transport.openssh import channel as ssh_channel
from iris_communication.transport.openssh import command as ssh_command
from iris_communication.transport.openssh.askpass import Answers
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.servers import one_user
from tests.servers.openssh import OpenSshServer, descendants, is_running
from tests.servers.proxies import HttpConnect, Socks5, proxy

HINT = "make system-packages"
SETTINGS = DeliverySettings(connect_timeout_s=60.0)
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
JUMP_HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD, PASSPHRASE = "correct horse", "battery staple"
ENCRYPTED_CLIENT_KEY = one_user.encrypted(CLIENT_KEY, PASSPHRASE)
# What ssh says on its way, at level DEBUG1.
ACCEPTED = (
    "debug1: Sending subsystem: sftp",
    "debug2: clientloop.c:client_status_confirm():669 (pid=7): subsystem request accepted on channel 0",
)


def public(key):
    return key.export_public_key().decode().strip()


# -- with the program and real servers


@pytest.fixture
def ssh(need_program):
    return str(need_program("ssh", hint=HINT))


class Receiver:
    def __init__(self):
        self.received = b""
        self.heard = asyncio.Event()
        self.end = asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.received += data
        self.heard.set()

    def channel_lost(self, error):
        self.end.set_result(error)


class OneUser(one_user.OneUser):
    """Who may also connect from here to elsewhere."""

    password, key = PASSWORD, CLIENT_KEY

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True


@contextlib.asynccontextmanager
async def listening(user=OneUser, key=HOST_KEY):
    acceptor = await asyncssh.listen("127.0.0.1", 0, server_factory=user, server_host_keys=[key], sftp_factory=True)
    try:
        yield acceptor.get_port()
    finally:
        acceptor.close()
        await acceptor.wait_closed()


def server_at(port, host="127.0.0.1"):
    return Server(host=host, port=port, username="iris", host_key=public(HOST_KEY))


def programs():
    """Command lines and environments of all that this process has started, as everybody of our user may read them."""
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize(
    "secret",
    [
        Secret(password=PASSWORD),
        Secret(private_key=ENCRYPTED_CLIENT_KEY, passphrase=PASSPHRASE),
    ],
    ids=["password", "key"],
)
def test_no_secret_is_in_a_command_line_an_environment_or_a_log(ssh, secret, monkeypatch, caplog):
    seen, asked_for = [], Answers._asked_for

    def asked_and_looked_around(self, prompt):
        seen.extend(programs())  # ssh and the program that asks are there now
        return asked_for(self, prompt)

    monkeypatch.setattr(Answers, "_asked_for", asked_and_looked_around)
    for name, text in (("PLANT_PASSWORD", secret.password), ("PLANT_PASSPHRASE", secret.passphrase)):
        if text:
            monkeypatch.setenv(name, text)  # where a configuration may have it from
    before = {str(path) for path in Path("/tmp").iterdir()}

    async def test():
        async with listening() as port:
            receiver = Receiver()
            transport = SshProgramTransport(program=ssh, configs=[])
            channel = await transport.connect(server_at(port), secret, SETTINGS, receiver)
            seen.extend(programs())
            channel.close()
            return await receiver.end

    with caplog.at_level(logging.DEBUG, "iris_communication"):
        error = asyncio.run(test())
    assert sum(b"askpass_helper.py" in program for program in seen) >= 1
    assert sum(b"LogLevel=DEBUG1" in program for program in seen) >= 2
    body = ENCRYPTED_CLIENT_KEY.splitlines()[2].encode()
    for text in [*seen, caplog.text.encode(), repr(error).encode(), str(error.__cause__).encode()]:
        for hidden in (PASSWORD.encode(), PASSPHRASE.encode(), body):
            assert hidden not in text
    assert {str(path) for path in Path("/tmp").iterdir() if "iris-ssh" in path.name} <= before


def test_a_program_that_is_missing_is_told_with_what_to_do():
    async def test():
        transport = SshProgramTransport(program="a-program-nobody-has")
        with pytest.raises(SshProgramMissing, match="'a-program-nobody-has' is not installed") as caught:
            await transport.connect(server_at(22), Secret(), SETTINGS, Receiver())
        assert "openssh-client" in caught.value.hint

    asyncio.run(test())


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_that_does_not_run_is_told(tmp_path):
    async def test():
        program = tmp_path / "ssh"
        program.write_bytes(b"\x7fELF but not quite")
        program.chmod(0o755)
        transport = SshProgramTransport(program=str(program), configs=[])
        with pytest.raises(SshProgramMissing, match="cannot be run"):
            await transport.connect(server_at(22), Secret(), SETTINGS, Receiver())

    asyncio.run(test())


def test_a_mistake_in_the_users_configuration_is_told_in_the_words_of_ssh(ssh, tmp_path):
    config = tmp_path / "config"
    config.write_text("ProxyJmp jump\n")
    config.chmod(0o600)

    async def test():
        transport = SshProgramTransport(program=ssh, configs=[config])
        with pytest.raises(SshProgramUnusable, match="line 1: Bad configuration option: proxyjmp"):
            await transport.connect(server_at(22), Secret(), SETTINGS, Receiver())

    asyncio.run(test())


def test_an_ssh_that_does_not_say_that_sftp_was_accepted_is_believed_once_it_goes_on_running(
    ssh, tmp_path, monkeypatch
):
    monkeypatch.setattr(ssh_channel, "SETTLED_S", 0.2)
    taciturn = script(
        tmp_path / "ssh",
        f"""left=$#
            while [ $left -gt 0 ]; do
                word=$1; shift; left=$((left - 1))
                case $word in LogVerbose=*) word=LogVerbose=none.c:none:1 ;; esac
                set -- "$@" "$word"
            done
            exec {ssh} "$@"
        """,
    )

    async def test():
        async with listening() as port:
            receiver = Receiver()
            transport = SshProgramTransport(program=taciturn, configs=[])
            secret = Secret(private_key=CLIENT_KEY.export_private_key().decode())
            channel = await transport.connect(server_at(port), secret, SETTINGS, receiver)
            channel.write(b"\0\0\0\5\1\0\0\0\3")
            channel.close()
            assert type(await receiver.end) is LinkLost

    asyncio.run(test())


def test_an_ssh_that_asks_nobody_about_the_host_key_is_not_trusted(tmp_path):
    """As where a user's configuration has it know the server by Kerberos alone."""
    said = "\\r\\n".join(ACCEPTED)
    careless = script(tmp_path / "ssh", f"printf '{said}\\r\\n' >&2; exec cat")

    async def test():
        transport = SshProgramTransport(program=careless, configs=[])
        with pytest.raises(HostKeyRejected, match="without asking"):
            await transport.connect(server_at(22), Secret(), SETTINGS, Receiver())

    asyncio.run(test())


CONTRARY = """
AddKeysToAgent yes
BatchMode yes
CheckHostIP yes
ControlMaster auto
ControlPath {folder}/control
ControlPersist 5
ForkAfterAuthentication yes
GSSAPIAuthentication yes
HashKnownHosts yes
HostKeyAlgorithms rsa-sha2-512
IdentityFile {folder}/no-such-key
KbdInteractiveAuthentication no
LocalForward {folder}/forward 127.0.0.1:1
LogLevel QUIET
NoHostAuthenticationForLocalhost yes
NumberOfPasswordPrompts 9
PasswordAuthentication no
PermitLocalCommand yes
LocalCommand touch {folder}/local-command
PreferredAuthentications publickey
RemoteCommand cat
RequestTTY force
SessionType none
StdinNull yes
StrictHostKeyChecking no
UpdateHostKeys yes
UserKnownHostsFile {folder}/known
VerifyHostKeyDNS yes
VisualHostKey yes
"""


@pytest.fixture
def contrary(ssh, tmp_path):
    """A transport for a user whose ssh_config says otherwise about all that is ours to say."""
    config = tmp_path / "config"
    config.write_text(CONTRARY.format(folder=tmp_path))
    config.chmod(0o600)
    return SshProgramTransport(program=ssh, configs=[config])


def test_the_promises_of_the_contract_are_kept_whatever_the_users_configuration_says(contrary, tmp_path):
    async def test():
        async with listening() as port:
            receiver = Receiver()
            channel = await contrary.connect(server_at(port), Secret(password=PASSWORD), SETTINGS, receiver)
            channel.write(b"\0\0\0\5\1\0\0\0\3")  # INIT
            await asyncio.wait_for(receiver.heard.wait(), 10.0)
            assert receiver.received[4:9] == b"\2\0\0\0\3"  # VERSION
            channel.close()
            await receiver.end

    asyncio.run(test())
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


@pytest.mark.parametrize("pin", [public(CLIENT_KEY), CLIENT_KEY.get_fingerprint()], ids=["key", "fingerprint"])
def test_a_pin_counts_whatever_the_users_configuration_says(contrary, pin):
    async def test():
        async with listening() as port:
            server = Server(host="127.0.0.1", port=port, username="iris", host_key=pin)
            with pytest.raises(HostKeyRejected, match="is pinned"):
                await contrary.connect(server, Secret(password=PASSWORD), SETTINGS, Receiver())

    asyncio.run(test())


async def connect(transport, server, secret):
    await transport.connect(server, secret, SETTINGS, Receiver())


def test_a_connection_somebody_else_has_opened_is_not_used(ssh, tmp_path, need_program):
    """Over it nobody would be judged."""
    config, control = tmp_path / "config", tmp_path / "control"
    config.write_text(f"ControlPath {control}\n")
    config.chmod(0o600)
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT)) as server:
        options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oBatchMode=yes"]
        options += ["-F", "none", "-i", str(server.private_key), "-p", str(server.port), "-l", server.username]
        master = [ssh, *options, "-S", str(control), "-M", "-N", "-f", server.host]  # -f: until it is connected
        subprocess.run(master, check=True, timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert control.exists()
        transport = SshProgramTransport(program=ssh, configs=[config])
        pinned = replace(address_of(server), host_key=public(CLIENT_KEY))
        with pytest.raises(HostKeyRejected, match="is pinned"):
            asyncio.run(connect(transport, pinned, Secret(private_key=str(server.private_key))))
        server.cut()  # which ends the other one


# -- what proves who we are


def test_a_key_file_that_others_may_read_is_told_in_the_words_of_ssh(ssh, tmp_path):
    path = tmp_path / "id"
    path.write_bytes(CLIENT_KEY.export_private_key())
    path.chmod(0o644)

    async def test():
        async with listening() as port:
            transport = SshProgramTransport(program=ssh, configs=[])
            with pytest.raises(CredentialsUnusable, match=r"0644 for .* are too open"):
                await transport.connect(server_at(port), Secret(private_key=str(path)), SETTINGS, Receiver())

    asyncio.run(test())


class TwoKeys:
    """A real sshd, the path of a key of ours, and an ssh_config that names another key, which that sshd knows."""

    def __init__(self, server, folder, ssh):
        self.server, self.ours, self.config = server, folder / "ours ü\\", folder / "config"
        self.ours.touch(mode=0o600)
        self.ours.write_bytes(CLIENT_KEY.export_private_key())
        self.config.touch(mode=0o600)
        self.config.write_text(f"IdentityFile {server.private_key}\nPKCS11Provider {folder}/missing.so\n")
        self.transport = SshProgramTransport(program=ssh, configs=[self.config])

    def known(self, *keys):
        (self.server.folder / "authorized_keys").write_text("".join(f"{public(key)}\n" for key in keys))

    def names(self, line):
        self.config.write_text(self.config.read_text() + line + "\n")

    def connect(self, **secret):
        async def test():
            receiver = Receiver()
            secret_ = Secret(**{"private_key": str(self.ours)} | secret)
            channel = await self.transport.connect(address_of(self.server), secret_, SETTINGS, receiver)
            channel.close()
            await receiver.end

        asyncio.run(test())


@pytest.fixture
def authority(tmp_path):
    """Whose certificates the server takes."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_public_key(tmp_path / "authority.pub")
    return key


@pytest.fixture
def two_keys(ssh, tmp_path, need_program, authority):
    settings = [f"TrustedUserCAKeys {tmp_path / 'authority.pub'}"]
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT), settings=settings) as server:
        yield TwoKeys(server, tmp_path, ssh)


def certificate(authority, key, server, path):
    authority.generate_user_certificate(key, "plant", principals=[server.username]).write_certificate(path)


@pytest.mark.parametrize("form", ["path", "text"])
def test_another_key_that_ssh_config_names_does_not_count_though_the_server_takes_it(two_keys, form):
    """ssh offers it after ours, and cannot be told not to."""
    private_key = str(two_keys.ours) if form == "path" else CLIENT_KEY.export_private_key().decode()
    with pytest.raises(AuthenticationFailed, match="another private key") as caught:
        two_keys.connect(private_key=private_key)
    assert str(two_keys.server.private_key) in str(caught.value)
    two_keys.known(asyncssh.read_private_key(two_keys.server.private_key), CLIENT_KEY)
    two_keys.connect(private_key=private_key)


def test_a_key_of_the_old_form_that_ssh_config_names_does_not_count_either(two_keys):
    """ssh does not know its public half beforehand: it is not offered, but signed with at once."""
    old = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    path = two_keys.server.private_key
    path.write_bytes(old.export_private_key("pkcs8-pem", passphrase=PASSPHRASE))
    two_keys.known(old)
    with pytest.raises(AuthenticationFailed, match="another private key"):
        two_keys.connect(passphrase=PASSPHRASE)


def test_a_certificate_beside_our_key_counts_although_ssh_config_names_another(two_keys, authority, tmp_path):
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    certificate(authority, stranger, two_keys.server, tmp_path / "stranger-cert.pub")
    certificate(authority, CLIENT_KEY, two_keys.server, f"{two_keys.ours}-cert.pub")
    two_keys.names(f"CertificateFile {tmp_path / 'stranger-cert.pub'}")
    two_keys.connect()


def test_a_certificate_for_our_key_that_ssh_config_names_counts(two_keys, authority, tmp_path):
    certificate(authority, CLIENT_KEY, two_keys.server, tmp_path / "elsewhere-cert.pub")
    two_keys.names(f"CertificateFile {tmp_path / 'elsewhere-cert.pub'}")
    two_keys.connect()


def test_no_configuration_of_the_users_is_read_without_a_home(ssh, monkeypatch):
    monkeypatch.setattr(ssh_command, "USER_CONFIG", Path("~nobody-of-that-name/.ssh/config"))

    async def test():
        async with listening() as port:
            receiver = Receiver()
            transport = SshProgramTransport(program=ssh)
            (await transport.connect(server_at(port), Secret(password=PASSWORD), SETTINGS, receiver)).close()

    asyncio.run(test())


def test_a_prompt_that_was_not_answered_is_told(ssh):
    class AsksForAToken(OneUser):
        def kbdint_auth_supported(self):
            return True

        def get_kbdint_challenge(self, username, lang, submethods):
            return "", "", "", [("One-time token: ", False)]

        def validate_kbdint_response(self, username, responses):
            return False

        def validate_password(self, username, password):
            return False

    async def test():
        async with listening(AsksForAToken) as port:
            transport = SshProgramTransport(program=ssh, configs=[])
            with pytest.raises(AuthenticationFailed, match="it asked 'One-time token:'"):
                await transport.connect(server_at(port), Secret(password=PASSWORD), SETTINGS, Receiver())

    asyncio.run(test())


# -- what ssh_config puts on the way


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


# -- the process


def ssh_pids():
    return pids_of(b"LogLevel=DEBUG1")


def pids_of(word):
    return [pid for pid in descendants(os.getpid()) if word in command_line(pid)]


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def address_of(server):
    return Server(host=server.host, port=server.port, username=server.username, host_key=server.host_key)


def test_a_loop_that_ends_takes_its_ssh_along(ssh, tmp_path, need_program):
    async def test(server):
        transport = SshProgramTransport(program=ssh, configs=[])
        secret = Secret(private_key=str(server.private_key))
        await transport.connect(address_of(server), secret, SETTINGS, Receiver())
        assert len(ssh_pids()) == 1  # and nobody closes it

    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT)) as server:
        asyncio.run(test(server))
        assert ssh_pids() == []


def test_a_server_that_falls_silent_ends_it_whatever_the_users_configuration_says(ssh, tmp_path, need_program):
    settings = replace(SETTINGS, progress_timeout_s=3.0)
    config = tmp_path / "config"
    config.write_text("ServerAliveInterval 0\nServerAliveCountMax 99\n")
    config.chmod(0o600)

    async def test(server):
        receiver = Receiver()
        transport = SshProgramTransport(program=ssh, configs=[config])
        secret = Secret(private_key=str(server.private_key))
        channel = await transport.connect(address_of(server), secret, settings, receiver)
        server.freeze()
        error = await asyncio.wait_for(receiver.end, 10.0)
        channel.close()
        return error

    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT)) as server:
        try:
            error = asyncio.run(test(server))
        finally:
            server.thaw()
    assert type(error) is LinkLost
    assert "Timeout, server 127.0.0.1 not responding." in str(error)


VICTIM = """
import asyncio, os, sys
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.openssh.process import SshProgramTransport

class Receiver:
    data_received = channel_lost = lambda *_: None

async def main(host, port, username, host_key, private_key, program):
    server = Server(host=host, port=int(port), username=username, host_key=host_key)
    transport = SshProgramTransport(program=program, configs=[])
    channel = await transport.connect(server, Secret(private_key=private_key), DeliverySettings(), Receiver())
    print(channel._process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def test_ssh_does_not_outlive_a_process_that_is_killed_even_if_its_server_is_silent(ssh, tmp_path, need_program):
    """A server that stands still ends nothing, and ssh would wait for it."""
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT)) as server:
        address = [server.host, str(server.port), server.username, server.host_key, str(server.private_key), ssh]
        victim = subprocess.Popen([sys.executable, "-c", VICTIM, *address], stdout=subprocess.PIPE)
        with victim:
            pid = int(victim.stdout.readline())
            watched = os.pidfd_open(pid)
            try:
                server.freeze()
                victim.kill()
                ended, _, _ = select.select([watched], [], [], 5.0)
                assert ended, "ssh is still there"
            finally:
                server.thaw()
                os.close(watched)


def test_a_file_that_ssh_reads_once_is_private_and_gone_when_it_is_connected(ssh, monkeypatch):
    found, asked_for = [], Answers._asked_for

    def asked_and_looked(self, prompt):
        for path in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if "memfd:iris-ssh" in str(path.readlink()):
                    found.append(stat.S_IMODE(path.stat().st_mode))
        return asked_for(self, prompt)

    monkeypatch.setattr(Answers, "_asked_for", asked_and_looked)

    async def test():
        async with listening() as port:
            receiver = Receiver()
            transport = SshProgramTransport(program=ssh, configs=[])
            secret = Secret(private_key=ENCRYPTED_CLIENT_KEY, passphrase=PASSPHRASE)
            channel = await transport.connect(server_at(port), secret, SETTINGS, receiver)
            left = [
                path
                for path in Path("/proc/self/fd").iterdir()
                if path.is_symlink() and "iris-ssh" in str(path.readlink())
            ]
            channel.close()
            await receiver.end
            return left

    assert asyncio.run(test()) == []
    assert sorted(found) == [0o600, 0o600, 0o700]
