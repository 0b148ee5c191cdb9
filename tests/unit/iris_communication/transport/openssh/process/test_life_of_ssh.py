"""ssh ends with whoever started it, and leaves nothing behind."""

import asyncio
import contextlib
import os
import select
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from iris_communication.errors import (
    LinkLost,
)
from iris_communication.settings import Secret
from iris_communication.transport.openssh.askpass import PROMPT, Answers
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.servers.openssh import OpenSshServer, descendants
from tests.unit.iris_communication.transport.openssh.process.ssh_program import (
    ENCRYPTED_CLIENT_KEY,
    HINT,
    PASSPHRASE,
    SETTINGS,
    Receiver,
    address_of,
    command_line,
    listening,
    server_at,
)


def ssh_pids():
    return pids_of(b"LogLevel=DEBUG1")


def pids_of(word):
    return [pid for pid in descendants(os.getpid()) if word in command_line(pid)]


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
    print("connected", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def test_ssh_does_not_outlive_a_process_that_is_killed_even_if_its_server_is_silent(ssh, tmp_path, need_program):
    """A server that stands still ends nothing, and ssh would wait for it."""
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT)) as server:
        address = [server.host, str(server.port), server.username, server.host_key, str(server.private_key), ssh]
        victim = subprocess.Popen([sys.executable, "-c", VICTIM, *address], stdout=subprocess.PIPE)
        with victim:
            assert victim.stdout.readline() == b"connected\n"
            (pid,) = [pid for pid in descendants(victim.pid) if ssh.encode() in command_line(pid)]
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
    found, answer = [], Answers.to

    def looked_and_answered(self, words):
        if words[0] == PROMPT:
            for path in Path("/proc/self/fd").iterdir():
                with contextlib.suppress(OSError):
                    if "memfd:iris-ssh" in str(path.readlink()):
                        found.append(stat.S_IMODE(path.stat().st_mode))
        return answer(self, words)

    monkeypatch.setattr(Answers, "to", looked_and_answered)

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
