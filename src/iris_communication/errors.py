"""What went wrong, who is to blame, whether to try again, and what a person can do.

Every error of this package answers four questions, because every decision downstream hangs on them:

- `scope`: who is to blame, and so what has to stop. A CALLER error stops one call; an ITEM error costs that item an
  attempt and nothing else; SERVER and LINK errors open that server's breaker and cost no item anything; an OUTBOX
  error means the disk under us refuses.
- `retry`: LATER by itself, NEVER, or only AFTER_OPERATOR changed something.
- `effect`: whether the attempt may have delivered the file all the same. A lost answer is not a failure.
- `hint`: one line of what to do.

The message names the thing (which file, which server) and carries the other side's own text, never a secret. It is
one line of limited length that may be stored, logged and shown as it stands, whoever wrote parts of it.
"""

from enum import Enum
from typing import ClassVar

from iris_communication.plain_text import ERROR_TEXT_MAX, clean


class Scope(Enum):
    CALLER = "caller"
    ITEM = "item"
    SERVER = "server"
    LINK = "link"
    OUTBOX = "outbox"


class Retry(Enum):
    LATER = "later"
    NEVER = "never"
    AFTER_OPERATOR = "after operator"


class Effect(Enum):
    """What an unfinished attempt may have left on the server."""

    NONE = "none"  # certainly nothing under the final name
    UNKNOWN = "unknown"  # the rename was sent and its answer never came
    UNSEEN = "unseen"  # a temp file may be left; if our process died during the attempt, nobody knows how far it got


class IrisError(Exception):
    """Base of every error this package raises; see the module for what its fields decide."""

    scope: ClassVar[Scope] = Scope.ITEM
    retry: ClassVar[Retry] = Retry.LATER
    default_hint: ClassVar[str] = ""
    # The kind of an exception that nobody expected and that became this: its traceback belongs into the log.
    unforeseen: type[BaseException] | None = None

    def __init__(self, message: str, *, hint: str | None = None, effect: Effect = Effect.NONE) -> None:
        super().__init__(clean(message, ERROR_TEXT_MAX))
        self.hint = self.default_hint if hint is None else clean(hint, ERROR_TEXT_MAX)
        self.effect = effect

    @property
    def cause(self) -> tuple[object, ...]:
        """Equal for all errors with the same reason, whatever server or file they concern."""
        return type(self), self.hint, self.unforeseen


# -- the caller's -------------------------------------------------------------------------------------------------


class InvalidRequest(IrisError, ValueError):
    """A request that could never be delivered as it stands."""

    scope = Scope.CALLER
    retry = Retry.NEVER


class ServerNotConfigured(InvalidRequest):
    default_hint = "configure it with configure_server(name, info), or pass the server as a mapping"


class SourceReplaced(InvalidRequest):
    """The path leads to another file than the one that its caller examined, so it is not taken."""

    default_hint = "check the file, and queue its current content"


class NotStarted(IrisError, RuntimeError):
    """The outbox is not open, so nothing can be accepted durably."""

    scope = Scope.CALLER
    default_hint = "call start() first; after close() make a new uploader"


class OptionsDiffer(IrisError, ValueError):
    scope = Scope.CALLER
    retry = Retry.NEVER
    default_hint = "there is one uploader per process: pass its options once, at the first call"


class ForkedProcess(IrisError, RuntimeError):
    """This uploader belongs to the parent process: its threads and locks did not survive the fork."""

    scope = Scope.CALLER
    retry = Retry.NEVER
    default_hint = "in the child, make a new uploader with its own outbox folder, or start children with 'spawn'"


# -- the outbox's -------------------------------------------------------------------------------------------------


class OutboxFull(IrisError):
    scope = Scope.OUTBOX
    default_hint = "queue the file again when there is room, or raise max_queue_size"


class OutboxStorageError(IrisError):
    """The disk under the outbox refused; nothing was accepted by this call."""

    scope = Scope.OUTBOX
    default_hint = "free space on the outbox's disk or correct its permissions, then queue the file again"


class OutboxInUse(OutboxStorageError):
    retry = Retry.AFTER_OPERATOR
    default_hint = (
        "stop the other process, or give this one another folder ([outbox] folder, --outbox or "
        "IRIS_OUTBOX; outbox_dir in a program)"
    )


class OutboxDamaged(OutboxStorageError):
    retry = Retry.AFTER_OPERATOR
    default_hint = (
        "the next start of the uploader, or `iris outbox check --repair`, saves what can be read into a new database "
        "and keeps the rest"
    )


# -- one item's ---------------------------------------------------------------------------------------------------


class SourceMissing(IrisError):
    retry = Retry.NEVER
    default_hint = "the file disappeared before Iris could read it: queue a file only once it is complete"


class SourceUnreadable(IrisError):
    retry = Retry.NEVER
    default_hint = "give this process read permission on the file"


class SourceNotAFile(IrisError):
    retry = Retry.NEVER
    default_hint = "queue regular files only; queue a folder's files one by one"


class SourceChanged(IrisError):
    """The bytes are no longer those that were accepted, so they are not delivered under its name."""

    retry = Retry.NEVER
    default_hint = "queue a file only once nothing writes to it any more, then queue it again"


class ItemDropped(IrisError):
    """It gave way in a full outbox, or a person dropped it; `iris queue show` says which."""

    retry = Retry.NEVER
    default_hint = "queue the file again if it is still wanted"


class ItemExpired(IrisError):
    retry = Retry.NEVER
    default_hint = "it was not delivered in time (ttl_s): queue it again if it is still wanted"


class ItemCancelled(IrisError):
    retry = Retry.NEVER
    default_hint = "nothing to do: its caller cancelled it"


class SpoolMissing(IrisError):
    retry = Retry.NEVER
    default_hint = "somebody removed a file from the outbox's spool folder: queue the source again"


class RemoteRefused(IrisError):
    default_hint = "check the user's permissions on the remote folder"


class RemoteNameRefused(IrisError):
    retry = Retry.NEVER
    default_hint = "the server does not accept this name or path: rename the file and queue it again"


class RemoteNameTaken(IrisError):
    retry = Retry.NEVER
    default_hint = "the final name and its alternative both hold other content: move those files away, then retry"


class RemoteNameKept(IrisError):
    """The final name holds other content, which by the server's setting stays; nothing of the file was delivered. That
    was chosen, so there is no retry and no dead item: the item is dropped, with this reason."""

    retry = Retry.NEVER
    default_hint = "conflict is keep, so the existing file stays; the alternatives are rename, overwrite and fail"


class RemoteFailure(IrisError):
    default_hint = "the server gave no reason: see its log"


class TransferFailed(IrisError):
    """An injected transferData() raised or answered False."""

    default_hint = "see the traceback in the log"


# -- a server's ---------------------------------------------------------------------------------------------------

# A running uploader does not read the settings file again by itself, and a resumed server keeps what it was given.
AND_READ_AGAIN = (
    "in the settings and have them read again (kill -HUP, or a restart), or pass the server again with "
    "configure_server()"
)


class RemoteDiskFull(IrisError):
    scope = Scope.SERVER
    default_hint = "free space or raise the quota on the server; delivery resumes by itself"


class AuthenticationFailed(IrisError):
    scope = Scope.SERVER
    retry = Retry.AFTER_OPERATOR
    default_hint = (
        f"correct the user name, password or key {AND_READ_AGAIN}; after a fix on the server's side, resume it "
        "(iris queue resume SERVER). Nothing is tried until then"
    )


class HostKeyRejected(IrisError):
    scope = Scope.SERVER
    retry = Retry.AFTER_OPERATOR
    default_hint = (
        "find out why the server shows another key; if that is right, correct its host_key "
        f"{AND_READ_AGAIN}, or correct known_hosts and resume the server (iris queue resume SERVER)"
    )


class ServerUnresolved(IrisError):
    """An item's server has no address or secret on record any more."""

    scope = Scope.SERVER
    retry = Retry.AFTER_OPERATOR
    default_hint = f"give the server's address and secret {AND_READ_AGAIN}, or with any upload"


class CredentialsUnusable(IrisError):
    scope = Scope.SERVER
    retry = Retry.AFTER_OPERATOR
    default_hint = (
        f"correct the private key file, or its name or passphrase {AND_READ_AGAIN}; if only the file was corrected, "
        "resume the server (iris queue resume SERVER)"
    )


class SftpUnavailable(IrisError):
    scope = Scope.SERVER
    default_hint = "the server speaks SSH but offers no SFTP session: enable its sftp subsystem for this user"


class ProtocolViolation(IrisError):
    scope = Scope.SERVER
    default_hint = "the other side does not speak SFTP version 3: check that the port belongs to an SFTP server"


class SshProgramMissing(IrisError):
    """This machine lacks the program that was chosen to carry the bytes."""

    scope = Scope.SERVER
    default_hint = 'install OpenSSH\'s client (Debian: openssh-client), or set transport = "asyncssh"'


class SshProgramUnusable(IrisError):
    """The `ssh` program is there and does not begin: it is too old, or its configuration is wrong."""

    scope = Scope.SERVER
    default_hint = 'correct what ssh complains about (OpenSSH 8.7 or later is needed), or set transport = "asyncssh"'


# -- the link's ---------------------------------------------------------------------------------------------------


class LinkError(IrisError):
    scope = Scope.LINK
    default_hint = "check the network and that the server runs; delivery resumes by itself"
    acknowledged_bytes = 0  # of the file that was being written: in one piece from where writing began


class ConnectionRefused(LinkError):
    default_hint = "nothing listens there: check host and port, and that the server runs"


class HostNotFound(LinkError):
    default_hint = "check the host name and this machine's name resolution"


class LinkTimeout(LinkError):
    """No answer and no progress within the deadline."""

    step = ""  # the kind of this file's own request that was not answered


class LinkLost(LinkError):
    """The connection ended while work was under way."""


class JumpHostFailed(LinkError):
    """The server was not reached, because what ssh_config puts on the way to it (ProxyJump, ProxyCommand) failed."""

    default_hint = "check the jump host or proxy that ssh_config names for this server; delivery resumes by itself"


class DeliveryStopped(LinkError):
    """The uploader was stopped before this attempt ended; the item waits for the next start."""

    default_hint = "nothing to do: Iris sends it after the next start"


def scope_of(name: str) -> Scope | None:
    """The scope of an error that was stored by its name; None: no error has this name."""
    kind = globals().get(name)
    return kind.scope if isinstance(kind, type) and issubclass(kind, IrisError) else None
