"""The second transport: Debian's `ssh` carries the SSH connection, and our engine speaks SFTP over its pipes.

Ciphers and key exchange then cost our process nothing, a large file goes as fast as OpenSSH goes, and whatever only
OpenSSH can do (jump hosts, hardware keys, odd proxies, GSSAPI) is done as ssh_config says. The price is a program that
has to be there, and a process each connection.

    stdin, stdout   the bytes of SFTP, nothing else; pipes that do not block, watched by the loop
    stderr          how far it came and what went wrong (`ssh_output`)
    a socket        what it asks us: secrets, and whether a host key is the server's (`askpass`)

What ssh reads once (its configuration, a private key that was given as text, the program that asks) are files without
a name, in memory, readable by our user through /proc and gone when it is connected.

The process never outlives its channel: a task watches it from beginning to end, kills it with all it started when the
channel is closed or the loop ends, and reaps it. If our process is killed, the system kills it too.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from iris_communication.errors import (
    AuthenticationFailed,
    CredentialsUnusable,
    IrisError,
    LinkTimeout,
    SftpUnavailable,
    SshProgramMissing,
    SshProgramUnusable,
)
from iris_communication.runtime.system_trouble import hint_of
from iris_communication.server import private_keys
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport import algorithms, host_keys, reaching
from iris_communication.transport.algorithms import SHA1_HINT
from iris_communication.transport.contract import Receiver, new_password_wanted, unforeseen, unusable
from iris_communication.transport.openssh import askpass, ssh_output
from iris_communication.transport.openssh import command as ssh_command
from iris_communication.transport.openssh.channel import SshProgramChannel
from iris_communication.transport.openssh.ssh_output import SshFailed, SshOutput
from iris_communication.transport.server_text import hidden_of

COMPANION = Path(__file__).with_name("askpass_helper.py")
MFD_EXEC = 0x10  # needed since Linux 6.3
UNASKED_HINT = "see what ssh_config says for this server: something there lets it know the server without its key"


class SshProgramTransport:
    """`accepted` is the file of keys that were accepted unseen, as with the other transport. `program` is a name or a
    path; `configs` are the files of ssh_config that count, by default the user's own and the system's."""

    def __init__(
        self, accepted: Path | None = None, program: str = "ssh", configs: Sequence[Path] | None = None
    ) -> None:
        self._accepted = accepted
        self._program = program
        self._configs = configs

    async def connect(
        self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver
    ) -> SshProgramChannel:
        """Raises what the contract says, and SshProgramMissing, SshProgramUnusable, JumpHostFailed. What ssh itself
        wrote is the cause."""
        try:
            return await self._connected(server, secret, settings, receiver)
        except IrisError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            raise unforeseen(server, error) from error

    async def _connected(
        self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver
    ) -> SshProgramChannel:
        trust = host_keys.trust(server, self._accepted)
        addresses = await _addresses_of(server, settings.connect_timeout_s)
        answers = askpass.Answers(secret, trust.judge)
        output = SshOutput(hidden_of(secret))
        with contextlib.ExitStack() as meanwhile:
            askpass_server = meanwhile.enter_context(contextlib.closing(askpass.AskpassServer(answers)))
            identity = _identity(secret, meanwhile)
            process = self._start(
                server, secret, identity, settings, addresses, trust.algorithms, askpass_server.name, meanwhile
            )
            askpass_server.serve(process.pid)
            channel = SshProgramChannel(server, process, output, receiver)
            answers.give_up = channel.close
            try:
                async with asyncio.timeout(settings.connect_timeout_s):
                    await channel.opened()
            except TimeoutError:
                channel.close()
                late = LinkTimeout(
                    f"{server.host}:{server.port} did not finish connecting within {settings.connect_timeout_s:g} s: "
                    f"it was {output.doing}"
                )
                raise late from SshFailed(output.text)
            except BaseException:
                channel.close()
                raise
        if not channel.connected:
            raise _failure(server, answers, output) from SshFailed(output.text)
        if (unwanted := _unwanted(server, answers, output, identity)) is not None:
            channel.close()
            raise unwanted from SshFailed(output.text)
        channel.host_key, channel.algorithms = answers.host_key, output.algorithms
        return channel

    def _start(
        self,
        server: Server,
        secret: Secret,
        identity: ssh_command.Identity | None,
        settings: DeliverySettings,
        addresses: int,
        host_key_algorithms: Sequence[str],
        askpass_address: str,
        meanwhile: contextlib.ExitStack,
    ) -> "subprocess.Popen[bytes]":
        program = shutil.which(self._program)
        if program is None:
            raise SshProgramMissing(
                f"the program {self._program!r} is not installed, so {server.key} cannot be reached"
            )
        ask = [sys.executable, "-I", "-S", str(COMPANION), "ask", askpass_address]
        try:
            configs = ssh_command.default_configs() if self._configs is None else self._configs
            config = meanwhile.enter_context(
                _in_memory(os.fsencode(ssh_command.configuration(configs, legacy=server.legacy_algorithms)))
            )
            askpass_program = None
            if secret:
                script = f'#!/bin/sh\nexec {shlex.join([*ask, askpass.PROMPT])} "$1"\n'
                askpass_program = meanwhile.enter_context(_in_memory(os.fsencode(script), executable=True))
            command = ssh_command.command(
                program,
                server,
                algorithms=host_key_algorithms,
                judge=[*ask, askpass.KEY],
                config=config,
                identity=identity,
                password=secret.password is not None,
                settings=replace(
                    settings, connect_timeout_s=ssh_command.share_s(settings.connect_timeout_s, addresses)
                ),
            )
            return subprocess.Popen(  # noqa: S603 - it is ssh, found above, and no shell
                [sys.executable, "-I", "-S", str(COMPANION), "run", str(os.getpid()), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl+C is ours to deal with, and there is no terminal to ask at
                env=ssh_command.environment(os.environ, secret, askpass_program),
            )
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: there is no home
            raise SshProgramUnusable(f"ssh cannot be started for {server.key}: {error}", hint=hint_of(error)) from error


async def _addresses_of(server: Server, timeout_s: float) -> int:
    """How many addresses share the time to connect. A name that only ssh_config knows counts as one."""
    with contextlib.suppress(OSError, UnicodeError, RuntimeError):
        async with asyncio.timeout(timeout_s):
            return len(await reaching.addresses_of(server.host, server.port))
    return 1


def _failure(server: Server, answers: askpass.Answers, output: SshOutput) -> IrisError:
    if answers.refusal is not None:
        return host_keys.rejected(server, answers.refusal)
    if answers.wants_new_password:
        return new_password_wanted(server, output.besides)
    failure = ssh_output.what_failed(output, server.key, server.host, server.port)
    if type(failure) is SftpUnavailable and (lacking := output.lacking) is not None:
        return algorithms.nothing_in_common(server, *lacking)
    if type(failure) is AuthenticationFailed and output.stage >= ssh_output.AUTHENTICATION:
        asked = f" (it asked {answers.asked[-1]!r})" if answers.asked else ""
        said = [line for line in output.besides if line not in str(failure)]
        hint = SHA1_HINT if output.signs_with_sha1_alone and not server.legacy_algorithms else None
        return AuthenticationFailed(f"{'; '.join([str(failure), *said])}{asked}", hint=hint)
    return failure


def _unwanted(
    server: Server, answers: askpass.Answers, output: SshOutput, identity: ssh_command.Identity | None
) -> IrisError | None:
    """Why a connection that was made may not be used: ssh went by ssh_config and not by our settings."""
    if not answers.host_key:  # there are ways to know a server without its key, none of which was chosen here
        return host_keys.rejected(
            server, host_keys.Refusal("ssh went on without asking whether its key is trusted", UNASKED_HINT)
        )
    if identity is None:
        return None
    ours = [ssh_output.as_written(path) for path in identity if path is not None]
    others = [name for name in output.proofs if name not in ours]
    if not others:
        return None
    return AuthenticationFailed(
        f"{server.key} accepted another private key than the configured one: {others[0]}, from ssh_config",
        hint="give the right private_key, or take the other (IdentityFile, CertificateFile) out of ssh_config for this "
        "server, or give none here, and ssh_config's count",
    )


def _identity(secret: Secret, meanwhile: contextlib.ExitStack) -> ssh_command.Identity | None:
    """The key's own file, if ssh can read that as it is."""
    if secret.private_key is None:
        return None
    which = private_keys.shown(secret.private_key)
    try:
        key = private_keys.content(secret.private_key)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: "~name" of a user there is not
        raise unusable(f"the private key {which} cannot be used", error) from None
    if (trouble := private_keys.trouble(key)) is not None:
        raise CredentialsUnusable(f"the private key {which} cannot be used: it {trouble}")
    if private_keys.is_text(secret.private_key):
        return ssh_command.Identity(meanwhile.enter_context(_in_memory(private_keys.in_order(key))), None)
    path = str(Path(secret.private_key).expanduser().absolute())
    beside = path + private_keys.CERTIFICATE_ENDING
    certificate = beside if os.path.exists(beside) else None
    if certificate is not None:
        try:
            private_keys.read(Path(certificate))  # ssh would wait for ever for a file without an end
        except (OSError, ValueError) as error:
            raise unusable(f"the certificate {certificate!r} cannot be used", error) from None
    if b"-----BEGIN" in key and not _reads_as_it_is(key):
        path = meanwhile.enter_context(_in_memory(private_keys.in_order(key)))
    return ssh_command.Identity(path, certificate)


def _reads_as_it_is(key: bytes) -> bool:
    return (
        not any(each in key for each in (b"\r", b"\n ", b"\n\t"))
        and key.endswith(b"\n")
        and key.startswith(b"-----BEGIN")
    )


@contextlib.contextmanager
def _in_memory(content: bytes, *, executable: bool = False) -> Iterator[str]:
    """The path of a file of this content in memory. Only our user can open it, and nobody once this is left."""
    try:
        writing = os.memfd_create("iris-ssh", os.MFD_CLOEXEC | (MFD_EXEC if executable else 0))
    except OSError:
        writing = os.memfd_create("iris-ssh")
    with open(writing, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(writing, 0o700 if executable else 0o600)
        # The system does not run a program that is open for writing.
        reading = os.open(f"/proc/self/fd/{writing}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/{os.getpid()}/fd/{reading}"
    finally:
        os.close(reading)
