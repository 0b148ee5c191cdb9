"""What asyncssh and the sockets below it raise while we connect, and which error of ours that is.

How far the connection came decides as much as the kind does: a reset before the server was reached means that it cannot
be reached, a later one that the link is lost. `reached` says whether it was.
"""

import os
import socket
from typing import NamedTuple

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
from iris_communication.plain_text import PEER_TEXT_MAX, clean
from iris_communication.runtime.system_trouble import hint_of
from iris_communication.settings import Server
from iris_communication.transport import algorithms
from iris_communication.transport.algorithms import SHA1_HINT, Offer
from iris_communication.transport.contract import new_password_wanted, unforeseen
from iris_communication.transport.quick_import import SASLPrepError, asyncssh
from iris_communication.transport.server_text import REFUSES_US, without

KEY_EXCHANGE_HINT = "see the server's log; another program may answer there in its place"


class ConnectionFacts(NamedTuple):
    """What an error does not say itself.

    `heard` is what the server said beside the protocol, `asked` its last prompt, `hidden` are our secrets, `theirs` are
    its algorithms; `closed`: the connection is, by now; `signs_with_sha1`: an RSA key of ours would have to sign so;
    `wants_new_password`: it took the password and wants another in its place."""

    heard: list[str]
    asked: str = ""
    hidden: tuple[str, ...] = ()
    reached: bool = True
    closed: bool = False
    theirs: Offer | None = None
    signs_with_sha1: bool = False
    wants_new_password: bool = False


def of_ssh(error: asyncssh.Error, server: Server, facts: ConnectionFacts) -> IrisError:
    where = f"{server.host}:{server.port}"
    reason = without(facts.hidden, clean(error.reason, PEER_TEXT_MAX)) or "it gives no reason"
    if (lack := _lacking(server, facts)) is not None:
        return lack
    if isinstance(error, (asyncssh.PermissionDenied, asyncssh.IllegalUserName)) or REFUSES_US.search(reason):
        return _refused(server, reason, facts)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return SftpUnavailable(f"the key exchange with {where} failed: {reason}", hint=KEY_EXCHANGE_HINT)
    if isinstance(error, asyncssh.ChannelOpenError) and not facts.closed:
        return SftpUnavailable(f"{server.key} opened no SFTP session: {'; '.join([*facts.heard, reason])}")
    return LinkLost(f"{where} ended the connection while it was being made: {'; '.join([*facts.heard, reason])}")


def unreadable_key(error: asyncssh.Error, server: Server) -> IrisError:
    reason = clean(error.reason, PEER_TEXT_MAX)
    return SftpUnavailable(
        f"the key exchange with {server.host}:{server.port} failed: its host key cannot be read: {reason}",
        hint=KEY_EXCHANGE_HINT,
    )


def _lacking(server: Server, facts: ConnectionFacts) -> IrisError | None:
    lack = None if facts.theirs is None else algorithms.lacking(algorithms.offered(server), facts.theirs)
    return None if lack is None else algorithms.nothing_in_common(server, *lack)


def _refused(server: Server, reason: str, facts: ConnectionFacts) -> AuthenticationFailed:
    if facts.wants_new_password:
        return new_password_wanted(server, facts.heard)
    text = "; ".join([*facts.heard, reason])
    asked = f" (it asked {without(facts.hidden, facts.asked)!r})" if facts.asked else ""
    hint = SHA1_HINT if facts.signs_with_sha1 and not server.legacy_algorithms else None
    return AuthenticationFailed(f"{server.key} refused the credentials: {text}{asked}", hint=hint)


def of_the_system(error: Exception, server: Server, timeout_s: float, facts: ConnectionFacts) -> IrisError:
    where, reason = f"{server.host}:{server.port}", _reason(error)
    if isinstance(error, TimeoutError):
        return LinkTimeout(f"{where} did not finish connecting within {timeout_s:g} s")
    if isinstance(error, SASLPrepError) or (facts.reached and isinstance(error, UnicodeError)):
        return CredentialsUnusable(f"the user name or the password for {where} contains characters that cannot be sent")
    if (lack := _lacking(server, facts)) is not None:
        return lack
    if facts.reached:
        return LinkLost(f"{where} ended the connection while it was being made: {reason}")
    if isinstance(error, ConnectionRefusedError):
        return ConnectionRefused(f"{where} refuses connections")
    if isinstance(error, (socket.gaierror, UnicodeError)):  # UnicodeError: no name of a host at all
        return HostNotFound(f"the host name {server.host!r} cannot be resolved: {reason}")
    if isinstance(error, OSError):
        return LinkError(f"cannot connect to {where}: {reason}", hint=hint_of(error))
    return unforeseen(server, error)


def _reason(error: Exception) -> str:
    """The system's own text: asyncio's text of an error has the address instead."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)
