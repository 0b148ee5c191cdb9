"""The program ssh keeps the promises of the contract, whatever the configuration of the user says."""

import asyncio
import contextlib
import logging
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from iris_communication.errors import (
    HostKeyRejected,
    LinkLost,
    SshProgramMissing,
    SshProgramUnusable,
)
from iris_communication.settings import Secret, Server
from iris_communication.transport.openssh import channel as ssh_channel
from iris_communication.transport.openssh.askpass import PROMPT, Answers
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.servers.openssh import OpenSshServer, descendants
from tests.unit.iris_communication.transport.openssh.process.ssh_program import (
    CLIENT_KEY,
    ENCRYPTED_CLIENT_KEY,
    HINT,
    PASSPHRASE,
    PASSWORD,
    SETTINGS,
    Receiver,
    address_of,
    listening,
    public,
    script,
    server_at,
)

# What ssh says on its way, at level DEBUG1.
ACCEPTED = (
    "debug1: Sending subsystem: sftp",
    "debug2: clientloop.c:client_status_confirm():669 (pid=7): subsystem request accepted on channel 0",
)


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
    seen, answer = [], Answers.to

    def looked_around_and_answered(self, words):
        if words[0] == PROMPT:
            seen.extend(programs())  # ssh and the program that asks are there now
        return answer(self, words)

    monkeypatch.setattr(Answers, "to", looked_around_and_answered)
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
