"""What a transport is: it opens one SFTP byte stream to a server, authenticated and with the host key checked.

It maps everything that can go wrong to this package's errors, so that no caller has to know which library or program
carries the bytes.
"""

from collections.abc import Sequence
from typing import Protocol

from iris_communication.errors import AND_READ_AGAIN, AuthenticationFailed, CredentialsUnusable, IrisError, LinkError
from iris_communication.runtime.system_trouble import hint_of, link_trouble
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.algorithms import Negotiated

# A link that has fallen silent is given up when the third keep-alive would be sent.
KEEPALIVES_LOST = 2  # asyncssh and OpenSSH tolerate so many, and end the connection instead of sending one more
KEEPALIVE_MIN_S = 1

EXPIRED_HINT = (
    f"the password has expired: log in as that user, choose a new one, and give it {AND_READ_AGAIN}. Nothing is tried "
    "until then"
)


class Receiver(Protocol):
    """The user of a channel. All calls come on the event loop's thread."""

    def data_received(self, data: bytes) -> None: ...

    def channel_lost(self, error: IrisError) -> None:
        """The channel ended, from whichever side; called once, last."""


class Channel(Protocol):
    software: str  # the server's own name for itself, e.g. "OpenSSH_9.2p1"; empty when not known
    keeps_alive: bool  # it ends about `progress_timeout_s` after its other end has fallen silent
    algorithms: Negotiated | None  # None: not known
    host_key: str  # SHA256:... fingerprint of the key the server proved to hold

    def write(self, data: bytes | bytearray) -> None:
        """Queue bytes to send; never blocks. After the channel is lost they are dropped."""

    def close(self) -> None:
        """End it now; what is queued may be dropped. May be called twice."""


class Transport(Protocol):
    async def connect(self, server: Server, secret: Secret, settings: DeliverySettings, receiver: Receiver) -> Channel:
        """A channel with the server's SFTP subsystem at its other end.

        Raises LinkError kinds, AuthenticationFailed, HostKeyRejected, CredentialsUnusable, SftpUnavailable;
        within `settings.connect_timeout_s` in any case.
        """


def keepalive_s(settings: DeliverySettings) -> int:
    """Between two keep-alives: whole seconds, as `ssh` has them."""
    return max(KEEPALIVE_MIN_S, round(settings.progress_timeout_s / (KEEPALIVES_LOST + 1)))


def unforeseen(server: Server, error: Exception) -> LinkError:
    """For unexpected errors of connecting, such as a machine out of file descriptors. No file is to blame, so none
    loses an attempt."""
    return LinkError(
        f"cannot connect to {server.host}:{server.port}: {type(error).__name__}: {error}",
        hint=hint_of(error) or "something on this machine is in the way, not the server; it is tried again",
    )


def new_password_wanted(server: Server, said: Sequence[str]) -> AuthenticationFailed:
    text = f": {'; '.join(said)}" if said else ""
    what = "took the password and wants a new one in its place"
    return AuthenticationFailed(f"{server.key} {what}{text}", hint=EXPIRED_HINT)


def unusable(what: str, error: Exception) -> IrisError:
    """For a key or a certificate; one that cannot be read for now is a LinkError, and is tried again."""
    return link_trouble(what, error) or CredentialsUnusable(f"{what}: {error}")
