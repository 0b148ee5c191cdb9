"""Orders to an outbox from outside, and files to take in.

    with OutboxControl(folder) as control:
        left = control.execute(RetryItems(ids))      # id -> "" when it waits again, else why not

Idea. One process owns an outbox. If one runs, it gets the order through the control socket and carries it out itself.
If none does, this process owns the outbox for a moment, delivers nothing, and gives it back. The caller need not know
which.

What goes wrong.
- An owner that is about to start or to end: both ways are tried in turn for a while.
- An owner without a control socket (an older program, a folder that can hold none) is OutboxInUse: stop it first.
- The outbox of another user is refused: files would be left behind which that user cannot read.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from iris_communication.admin.listing import NoSuchItem, NoSuchServer
from iris_communication.clock import Clock, SystemClock
from iris_communication.control.client import ControlClient, OwnerSilent
from iris_communication.errors import IrisError, NotStarted, OutboxInUse, OutboxStorageError
from iris_communication.outbox.files import private
from iris_communication.outbox.files.lock import holder_of
from iris_communication.outbox.orders import Order
from iris_communication.outbox.store.reader import NoOutbox
from iris_communication.runtime.default_folder import absolute
from iris_communication.sftp_uploader_thread import SftpUploaderThread, default_outbox_dir
from iris_communication.upload_request import SftpUploadRequest

__all__ = ["NoOutbox", "NoSuchItem", "NoSuchServer", "OutboxControl", "OwnerSilent", "check_folder", "holder_of"]

IN_BETWEEN_S = 5.0  # for which an owner may be starting or ending
PAUSE_S = 0.05
CLOSE_S = 1.0


def check_folder(folder: Path) -> None:
    """Raises OutboxStorageError for a folder that this user may not own as an outbox: another user's, or one that
    others may write into. One that is not there yet can be made."""
    if folder.exists():
        private.check_folder(folder)


class OutboxControl:
    """Entering it raises NoOutbox, OutboxInUse, OutboxStorageError, OutboxDamaged, OwnerSilent. Its methods raise the
    latter four and InvalidRequest; after an OwnerSilent whose effect is UNKNOWN the order may have been
    carried out."""

    def __init__(
        self,
        folder: "str | os.PathLike[str] | None" = None,
        *,
        clock: Clock | None = None,
        in_between_s: float = IN_BETWEEN_S,
    ) -> None:
        self.folder = Path(absolute(folder if folder is not None else default_outbox_dir()))
        self._clock = clock or SystemClock()
        self._in_between_s = in_between_s
        self._target: ControlClient | SftpUploaderThread | None = None

    @property
    def owner_pid(self) -> int | None:
        """The process that carries the orders out; None: this one does."""
        return self._target.pid if isinstance(self._target, ControlClient) else None

    def execute(self, order: Order) -> dict[str, str]:
        """What became of each of its items: empty when it was done, else why it was not."""
        return self._open.execute(order)

    def accept(self, requests: Sequence[SftpUploadRequest]) -> list[list[str] | IrisError]:
        """Take files in, durably: of each request the ids of its items, one a destination, or why it was refused.
        Their paths have to mean the same to the process that owns the outbox, and to its user. The rules and limits are
        the owner's; where none runs, those that an uploader has by default."""
        target = self._open
        if isinstance(target, ControlClient):
            return target.accept(requests)
        return [
            each if isinstance(each, IrisError) else [receipt.id for receipt in each]
            for each in target.submit_requests(requests)
        ]

    def __enter__(self) -> "OutboxControl":
        give_up_s = self._clock.monotonic_s() + self._in_between_s
        while self._target is None:
            try:
                self._target = self._asked() or self._taken()
            except (OutboxInUse, OwnerSilent) as error:
                # In use: it may not listen yet. Silent: it may just have ended; if it hangs, waiting does not help.
                if self._clock.monotonic_s() >= give_up_s or isinstance(error.__cause__, TimeoutError):
                    raise _final(error) from error
                time.sleep(PAUSE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        target, self._target = self._target, None
        if isinstance(target, SftpUploaderThread):
            target.close(CLOSE_S)

    @property
    def _open(self) -> ControlClient | SftpUploaderThread:
        if self._target is None:
            raise NotStarted("this OutboxControl is not open", hint="use it in a `with` block")
        return self._target

    def _asked(self) -> ControlClient | None:
        """The owner, where one listens."""
        try:
            return ControlClient(self.folder)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except OSError as error:
            hint = "run the command as the user who runs the uploader"
            raise OutboxStorageError(f"cannot reach the owner of {self.folder}: {error.strerror}", hint=hint) from error

    def _taken(self) -> SftpUploaderThread:
        """The outbox itself, for as long as the block lasts."""
        try:
            os.stat(self.folder / "outbox.db")
        except (FileNotFoundError, NotADirectoryError):
            raise NoOutbox.in_folder(self.folder) from None
        except OSError as error:
            raise OutboxStorageError(f"cannot examine {self.folder}: {error.strerror}") from error
        uploader = SftpUploaderThread(self.folder, clock=self._clock)
        uploader.open()
        return uploader


def _final(error: OutboxInUse | OwnerSilent) -> OutboxInUse | OwnerSilent:
    if isinstance(error, OwnerSilent):
        return error
    return OutboxInUse(str(error), hint="that process has no control socket: stop it, then run the command again")
