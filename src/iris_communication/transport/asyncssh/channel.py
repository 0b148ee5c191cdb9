"""The default transport: asyncssh carries the SSH connection, our engine speaks SFTP over its raw channel.

asyncssh's own SFTP client is not used: it keeps one task per request and handles each file on its own. What we take
from it is key exchange, ciphers, authentication and the channel's window.
"""

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iris_communication.errors import CredentialsUnusable, IrisError
from iris_communication.plain_text import PEER_NAME_MAX, PEER_TEXT_MAX, clean
from iris_communication.server import private_keys
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport import algorithms, host_keys, reaching
from iris_communication.transport.asyncssh import errors as asyncssh_errors
from iris_communication.transport.contract import KEEPALIVES_LOST, Receiver, keepalive_s, unusable
from iris_communication.transport.prompts import is_for_the_password
from iris_communication.transport.quick_import import KEY_EXCHANGES, MACS, asyncssh
from iris_communication.transport.server_text import Greeting, ServerText, ended, hidden_of, without

Keys = Sequence[asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate] | asyncssh.SSHKeyPair]

# Of keys that no server has as its host key.
SIGNATURES_BESIDE = ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed448")
RECEIVE_MAX = 1024  # bytes in one turn of the loop: about twenty answers


class AsyncsshTransport:
    """`accepted` is the file where keys of unknown servers are remembered, for those whose host_key_policy is
    accept-new; by default in the user's state folder."""

    def __init__(self, accepted: Path | None = None) -> None:
        self._accepted = accepted

    async def connect(
        self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver
    ) -> "AsyncsshChannel":
        client = _Client(secret)
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                return await self._connected(client, server, secret, settings, receiver)
        except IrisError:
            raise
        except asyncssh.HostKeyNotVerifiable as error:
            if client.refusal is None:  # it could not be read
                raise asyncssh_errors.unreadable_key(error, server) from error
            raise host_keys.rejected(server, client.refusal) from error
        except asyncssh.Error as error:
            raise asyncssh_errors.of_ssh(error, server, client.facts()) from error
        except Exception as error:  # noqa: BLE001 - a server's text may make asyncssh raise any kind
            failure = asyncssh_errors.of_the_system(error, server, settings.connect_timeout_s, client.facts())
            # The original error holds all of what cannot be sent, which may be the password.
            raise failure from None if isinstance(failure, CredentialsUnusable) else error

    async def _connected(
        self, client: "_Client", server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver
    ) -> "AsyncsshChannel":
        session = _Session(server, secret, receiver)
        trust = host_keys.trust(server, self._accepted)
        client.judge = trust.judge
        async with contextlib.AsyncExitStack() as meanwhile:
            keys = _keys_of(secret) if secret else await _keys_of_the_agent(meanwhile)
            client.has_rsa_key = any(map(_is_rsa, keys))
            options = _options(server, secret, keys, trust, keepalive_s(settings))
            sock = await reaching.connected(server.host, server.port)
            client.reached = True
            try:
                connection, _ = await asyncssh.create_connection(
                    lambda: client,
                    server.host,
                    server.port,
                    sock=sock,
                    username=server.username,
                    config=None,  # stated again: the default of connecting itself goes before what the options say
                    options=options,
                    login_timeout=settings.connect_timeout_s,
                )
            except BaseException:
                sock.close()
                raise
            try:
                chan, _ = await connection.create_session(lambda: session, subsystem="sftp", encoding=None)
            except BaseException:
                connection.abort()
                raise
        return AsyncsshChannel(connection, chan, session, client.negotiated(server))


class AsyncsshChannel:
    keeps_alive = True

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        chan: "asyncssh.SSHClientChannel[bytes]",
        session: "_Session",
        negotiated: algorithms.Negotiated | None,
    ) -> None:
        self.algorithms = negotiated
        self._connection = connection
        self._chan = chan
        self._session = session
        version = connection.get_extra_info("server_version", "")
        self.software = clean(version.removeprefix("SSH-2.0-"), PEER_NAME_MAX)
        key = connection.get_server_host_key()
        self.host_key = key.get_fingerprint() if key is not None else ""
        # Our credit limits how much is in flight: asyncssh shall not pause us as well.
        chan.set_write_buffer_limits(1 << 30)
        _receive_in_slices(connection)

    def write(self, data: bytes | bytearray) -> None:
        # It may be closing before connection_lost() is called: what is written then is lost like all unanswered data.
        if not self._session.lost and not self._chan.is_closing():
            self._chan.write(data)  # it copies whatever is bytes-like

    def close(self) -> None:
        """Abort the connection: a polite close would wait for a server that may have gone silent."""
        self._connection.abort()


def _receive_in_slices(connection: asyncssh.SSHClientConnection) -> None:
    """Let one turn of the loop read so much at most: asyncssh works through all that was read at once, and a hundred
    answers would hold up the program's other threads for milliseconds. Neither asyncssh nor asyncio has a public
    interface for it; where the attribute has another name, turns are merely longer."""
    transport: Any = getattr(connection, "_transport", None)
    if hasattr(transport, "max_size"):
        transport.max_size = RECEIVE_MAX


class _Client(asyncssh.SSHClient):
    """Checks the host key, answers prompts, and remembers what asyncssh's errors cannot say: why a key was refused, how
    far we came, and the server's own text."""

    judge: host_keys.HostKeyCheck  # set before it connects

    def __init__(self, secret: Secret) -> None:
        self._password = secret.password
        self._hidden = hidden_of(secret)
        self._may_ask = secret.password is not None
        self._has_answered = self._wants_new_password = False
        self._greeting = Greeting()
        self._said = ServerText(self._hidden)
        self._asked: list[str] = []
        self._connection: asyncssh.SSHClientConnection | None = None
        self.refusal: host_keys.Refusal | None = None
        self.reached = self.has_rsa_key = self._lost = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn
        self._greeting.listen_to(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.refusal = self.judge(key)
        return self.refusal is None

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self._said.hear(msg.encode() + b"\n")

    def kbdint_auth_requested(self) -> str | None:
        """Offered once: asyncssh asks as long as the server lists it, and a server counts what it refuses."""
        may_ask, self._may_ask = self._may_ask, False
        return "" if may_ask else None

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """None: no answer, and the next method is tried."""
        self._said.hear(f"{name}\n{instructions}\n".encode())
        self._asked += [clean(prompt.strip(), PEER_TEXT_MAX) for prompt, _ in prompts]
        if not prompts:  # only text from the server, no question
            return []
        ((prompt, is_shown), *others) = prompts
        if others or is_shown or self._has_answered or self._password is None or not is_for_the_password(prompt):
            return None
        self._has_answered = True
        return [self._password]

    def password_change_requested(self, prompt: str, lang: str) -> Any:
        """A person has to choose the new one."""
        self._said.hear(f"{prompt}\n".encode())
        self._wants_new_password = True
        return NotImplemented

    def facts(self) -> asyncssh_errors.ConnectionFacts:
        return asyncssh_errors.ConnectionFacts(
            heard=[*self._greeting.lines, *self._said.lines],
            asked=self._asked[-1] if self._asked else "",
            hidden=self._hidden,
            reached=self.reached,
            closed=self._lost,
            theirs=self._theirs(),
            wants_new_password=self._wants_new_password,
            signs_with_sha1=self.has_rsa_key and not getattr(self._connection, "_server_sig_algs", True),
        )

    def negotiated(self, server: Server) -> algorithms.Negotiated | None:
        theirs = self._theirs()
        return None if theirs is None else algorithms.negotiated(_offer(server), theirs)

    def _theirs(self) -> algorithms.Offer | None:
        """asyncssh has no public interface for it; where the attribute has another name, it is merely not known."""
        return algorithms.of_kexinit(getattr(self._connection, "_server_kexinit", b""))


class _Session(asyncssh.SSHClientSession[bytes]):
    def __init__(self, server: Server, secret: Secret, receiver: Receiver) -> None:
        self._server = server
        self._receiver = receiver
        self._hidden = hidden_of(secret)
        self._said = ServerText(self._hidden)
        self._end = ""
        self.lost = False

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is None:
            self._receiver.data_received(data)
        else:  # what the server writes to stderr is text for people
            self._said.hear(data)

    def exit_status_received(self, status: int) -> None:
        self._end = f"exit status {status}"

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._said.hear(msg.encode())
        self._end = f"ended by the signal {without(self._hidden, clean(signal, PEER_NAME_MAX))}"

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        reason = clean(f"{type(exc).__name__}: {exc}", PEER_TEXT_MAX) if exc else ""
        error = ended(self._server.key, self._said.lines, without(self._hidden, reason), self._end)
        self._receiver.channel_lost(error)


def _offer(server: Server) -> algorithms.Offer:
    """What asyncssh supports of our offer on this machine."""
    offer = algorithms.offered(server)
    return offer._replace(
        key_exchanges=tuple(name for name in offer.key_exchanges if name in KEY_EXCHANGES),
        macs=tuple(name for name in offer.macs if name in MACS),
    )


def _options(
    server: Server, secret: Secret, keys: Keys, trust: host_keys.Trust, keepalive_interval_s: float
) -> asyncssh.SSHClientConnectionOptions:
    """Nothing of the user's own ssh set-up applies by accident: only what was configured for this server, and the
    user's agent where nothing was."""
    offer = _offer(server)
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        known_hosts=((), (), ()),  # empty, so that every key is put to _Client
        server_host_key_algs=trust.algorithms,
        client_keys=keys or None,  # an empty list would mean whatever lies in ~/.ssh
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        password=secret.password,
        agent_path=None,
        agent_forwarding=False,
        gss_host=None,
        preferred_auth=("publickey", "keyboard-interactive", "password"),
        kex_algs=offer.key_exchanges,
        encryption_algs=offer.ciphers,
        mac_algs=offer.macs,
        compression_algs=offer.compressions,
        signature_algs=(*offer.host_keys, *SIGNATURES_BESIDE),
        keepalive_interval=keepalive_interval_s,
        keepalive_count_max=KEEPALIVES_LOST,
    )


def _keys_of(secret: Secret) -> Keys:
    if secret.private_key is None:
        return []
    key = _private_key(secret.private_key, secret.passphrase)
    return [*((key, certificate) for certificate in _certificates(secret.private_key)), key]


async def _keys_of_the_agent(meanwhile: contextlib.AsyncExitStack) -> Keys:
    """To be used while `meanwhile` is open. An agent that does not answer has none."""
    if place := os.environ.get("SSH_AUTH_SOCK"):
        with contextlib.suppress(OSError, ValueError):
            agent = await meanwhile.enter_async_context(asyncssh.connect_agent(place))
            return list(await agent.get_keys())
    return []


def _private_key(text_or_path: str, passphrase: str | None) -> asyncssh.SSHKey:
    which = private_keys.shown(text_or_path)
    try:
        key = private_keys.content(text_or_path)
        if (trouble := private_keys.trouble(key)) is not None:
            raise CredentialsUnusable(f"the private key {which} cannot be used: it {trouble}")
        return asyncssh.import_private_key(private_keys.in_order(key), passphrase)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: "~name" of a user there is not
        raise unusable(f"the private key {which} cannot be used", error) from None


def _is_rsa(key: "asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate] | asyncssh.SSHKeyPair") -> bool:
    alone = key[0] if isinstance(key, tuple) else key
    return alone.get_algorithm().startswith(algorithms.SIGNED_WITH_SHA1)


def _certificates(text_or_path: str) -> list[asyncssh.SSHCertificate]:
    """What lies beside a key's file, under the name that ssh-keygen gives it."""
    if private_keys.is_text(text_or_path):
        return []
    path = Path(f"{text_or_path}{private_keys.CERTIFICATE_ENDING}").expanduser()
    try:
        return [asyncssh.import_certificate(private_keys.read(path))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise unusable(f"the certificate {str(path)!r} cannot be used", error) from None
