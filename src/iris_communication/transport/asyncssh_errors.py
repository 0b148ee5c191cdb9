"""What asyncssh and the sockets below it raise while we connect, and which error of ours that is.

How far it came decides as much as the kind does: a reset is no way there before the server was reached, and a lost link
afterwards. `reached` says whether it was.
"""

import os
import re
import socket

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
from iris_communication.settings import Server
from iris_communication.transport.contract import PREFERRED_CIPHERS, unforeseen
from iris_communication.transport.quick_import import SASLPrepError, asyncssh
from iris_communication.transport.server_words import REFUSES_US

NUMBER = re.compile(r"\[Errno (\d+)\]")


def of_ssh(error: asyncssh.Error, server: Server, heard: list[str], *, closed: bool) -> IrisError:
    """`heard` is what the server said before its name; `closed` whether the connection is, by now."""
    where, reason = f"{server.host}:{server.port}", clean(error.reason, PEER_TEXT_MAX)
    if isinstance(error, (asyncssh.PermissionDenied, asyncssh.IllegalUserName)) or REFUSES_US.search(reason):
        return AuthenticationFailed(f"{server.key} refused our credentials: {reason}")
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return SftpUnavailable(
            f"no algorithm in common with {where}: {reason}",
            hint="update the server's SSH, or enable one of " + ", ".join(PREFERRED_CIPHERS),
        )
    if isinstance(error, asyncssh.ChannelOpenError) and not closed:
        return SftpUnavailable(f"{server.key} opened no SFTP session: {reason}")
    return LinkLost(f"{where} ended the connection while it was being made: {'; '.join([*heard, reason])}")


def of_the_system(error: Exception, server: Server, timeout_s: float, *, reached: bool) -> IrisError:
    error = _last_of(error) if isinstance(error, OSError) else error
    where, reason = f"{server.host}:{server.port}", getattr(error, "strerror", None) or str(error)
    if isinstance(error, TimeoutError):
        return LinkTimeout(f"{where} did not finish connecting within {timeout_s:g} s")
    if isinstance(error, SASLPrepError) or (reached and isinstance(error, UnicodeError)):
        return CredentialsUnusable(f"the user name or the password for {where} holds what cannot be sent")
    if reached:
        return LinkLost(f"{where} ended the connection while it was being made: {reason}")
    if isinstance(error, ConnectionRefusedError):
        return ConnectionRefused(f"{where} refuses connections")
    if isinstance(error, (socket.gaierror, UnicodeError)):  # UnicodeError: no name of a host at all
        return HostNotFound(f"the host name {server.host!r} cannot be resolved: {reason}")
    if isinstance(error, OSError):
        return LinkError(f"cannot connect to {where}: {reason}")
    return unforeseen(server, error)


def _last_of(error: OSError) -> OSError:
    """Where a name has several addresses, asyncio tells what became of each in one text. The last counts, as with the
    ssh program."""
    numbers = NUMBER.findall(str(error)) if error.errno is None else []
    return OSError(int(numbers[-1]), os.strerror(int(numbers[-1]))) if numbers else error
