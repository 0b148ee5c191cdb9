"""The default transport: asyncssh carries the SSH connection, our engine speaks SFTP over its raw channel.

asyncssh's own SFTP client is not used: it keeps one task per request and one dialogue per file. What we take from it
is key exchange, ciphers, authentication and the channel's window.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh

from iris_communication.errors import (
    AuthenticationFailed,
    ConnectionRefused,
    CredentialsUnusable,
    HostNotFound,
    IrisError,
    LinkError,
    LinkLost,
    LinkTimeout,
    SftpUnavailable,
)
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport import host_keys
from iris_communication.transport.contract import Receiver

# AES-GCM has hardware help nearly everywhere and needs no separate MAC; the rest is for servers without it.
CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
RECEIVE_MAX = 1024  # bytes in one turn of the loop: about twenty answers
CERTIFICATE_ENDING = "-cert.pub"
KEEPALIVE_S = 15
KEEPALIVES_LOST = 3


class AsyncsshTransport:
    """`accepted` is the file where keys of unknown servers are remembered, for those whose host_key_policy is
    accept-new; by default in the user's state folder."""

    def __init__(self, accepted: Path | None = None) -> None:
        self._accepted = accepted

    async def connect(
        self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver
    ) -> "AsyncsshChannel":
        session = _Session(server, receiver)
        trust = host_keys.trust(server, self._accepted or host_keys.default_accepted())
        client = _Client(trust)
        options = _options(secret, trust)
        with _errors(server, client, settings.connect_timeout_s):
            async with asyncio.timeout(settings.connect_timeout_s):
                connection, _ = await asyncssh.create_connection(
                    lambda: client,
                    server.host,
                    server.port,
                    username=server.username,
                    options=options,
                    login_timeout=settings.connect_timeout_s,
                )
                try:
                    chan, _ = await connection.create_session(lambda: session, subsystem="sftp", encoding=None)
                except BaseException:
                    connection.abort()
                    raise
        return AsyncsshChannel(connection, chan, session)


class AsyncsshChannel:
    def __init__(
        self, connection: asyncssh.SSHClientConnection, chan: "asyncssh.SSHClientChannel[bytes]", session: "_Session"
    ) -> None:
        self._connection = connection
        self._chan = chan
        self._session = session
        version = connection.get_extra_info("server_version", "")
        self.software = version.removeprefix("SSH-2.0-")
        key = connection.get_server_host_key()
        self.host_key = key.get_fingerprint() if key is not None else ""
        # How much is in flight is our credit's business: asyncssh shall not pause us as well.
        chan.set_write_buffer_limits(1 << 30)
        _receive_in_slices(connection)

    def write(self, data: bytes | bytearray) -> None:
        # It may be closing without our having been told yet: what is written then is lost like all that is unanswered.
        if not self._session.lost and not self._chan.is_closing():
            self._chan.write(data)  # it copies whatever is bytes-like

    def close(self) -> None:
        """Abort the connection: a polite close would wait for a server that may have gone silent."""
        self._connection.abort()


def _receive_in_slices(connection: asyncssh.SSHClientConnection) -> None:
    """Let one turn of the loop take in so much at most: asyncssh works through all that was read at once, and a hundred
    answers would hold up the program's other threads for milliseconds. Neither asyncssh nor asyncio has a public word
    for it; where the attribute is another one, turns are merely longer."""
    transport: Any = getattr(connection, "_transport", None)
    if hasattr(transport, "max_size"):
        transport.max_size = RECEIVE_MAX


class _Client(asyncssh.SSHClient):
    """Judges the host key, and remembers why it was refused: asyncssh's own message cannot say."""

    def __init__(self, trust: host_keys.Trust) -> None:
        self._judge = trust.judge
        self.refusal: str | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refusal = self._judge(key)
        return self.refusal is None


class _Session(asyncssh.SSHClientSession[bytes]):
    def __init__(self, server: Server, receiver: Receiver) -> None:
        self._server = server
        self._receiver = receiver
        self.lost = False

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is None:  # what the server writes to stderr is talk, not protocol
            self._receiver.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        reason = f"{type(exc).__name__}: {exc}" if exc else "the server closed it"
        self._receiver.channel_lost(LinkLost(f"the connection to {self._server.key} ended: {reason}"))


def _options(secret: Secret, trust: host_keys.Trust) -> asyncssh.SSHClientConnectionOptions:
    """Nothing of the user's own ssh set-up applies by accident: only what was configured for this server, and its agent
    where nothing was."""
    keys: list[asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]] = []
    if secret.private_key is not None:
        key = _private_key(secret.private_key, secret.passphrase)
        keys += [(key, certificate) for certificate in _certificates(secret.private_key)]
        keys.append(key)
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        known_hosts=((), (), ()),  # empty, so that every key is put to _Client
        server_host_key_algs=trust.algorithms,
        client_keys=keys,
        password=secret.password,
        agent_path=None if secret else os.environ.get("SSH_AUTH_SOCK"),
        agent_forwarding=False,
        gss_host=None,
        preferred_auth=("publickey", "keyboard-interactive", "password"),
        encryption_algs=CIPHERS,
        compression_algs=("none",),
        keepalive_interval=KEEPALIVE_S,
        keepalive_count_max=KEEPALIVES_LOST,
    )


def _private_key(text_or_path: str, passphrase: str | None) -> asyncssh.SSHKey:
    try:
        if "PRIVATE KEY" in text_or_path:
            return asyncssh.import_private_key(text_or_path, passphrase)
        return asyncssh.read_private_key(Path(text_or_path).expanduser(), passphrase)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: "~name" of a user there is not
        which = "given as text" if "PRIVATE KEY" in text_or_path else repr(text_or_path)
        raise CredentialsUnusable(f"the private key {which} cannot be used: {error}") from None


def _certificates(text_or_path: str) -> list[asyncssh.SSHCertificate]:
    """What lies beside a key's file, under the name that ssh-keygen gives it."""
    if "PRIVATE KEY" in text_or_path:
        return []
    path = Path(f"{text_or_path}{CERTIFICATE_ENDING}").expanduser()
    try:
        return [asyncssh.read_certificate(path)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise CredentialsUnusable(f"the certificate {str(path)!r} cannot be used: {error}") from None


@contextlib.contextmanager
def _errors(server: Server, client: _Client, timeout_s: float) -> Iterator[None]:
    """Map what asyncssh and the sockets below it raise to who is to blame. The original stays as the cause."""
    where = f"{server.host}:{server.port}"
    try:
        yield
    except IrisError:
        raise
    except asyncssh.HostKeyNotVerifiable as error:
        raise host_keys.rejected(server, client.refusal or str(error)) from error
    except asyncssh.PermissionDenied as error:
        raise AuthenticationFailed(f"{server.key} refused our credentials: {error.reason}") from error
    except asyncssh.KeyExchangeFailed as error:
        raise SftpUnavailable(
            f"no algorithm in common with {where}: {error.reason}",
            hint="update the server's SSH, or enable one of " + ", ".join(CIPHERS[:2]),
        ) from error
    except asyncssh.ChannelOpenError as error:
        raise SftpUnavailable(f"{server.key} opened no SFTP session: {error.reason}") from error
    except asyncssh.DisconnectError as error:
        raise LinkLost(f"{where} ended the connection while it was being made: {error.reason}") from error
    except TimeoutError as error:
        raise LinkTimeout(f"{where} did not finish connecting within {timeout_s:g} s") from error
    except ConnectionRefusedError as error:
        raise ConnectionRefused(f"{where} refuses connections") from error
    except (socket.gaierror, UnicodeError) as error:  # UnicodeError: no name of a host at all
        reason = getattr(error, "strerror", None) or error
        raise HostNotFound(f"the host name {server.host!r} cannot be resolved: {reason}") from error
    except OSError as error:
        raise LinkError(f"cannot connect to {where}: {error.strerror or error}") from error
