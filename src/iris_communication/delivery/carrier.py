"""What carries one upload to its server, and the carrier that wraps a user's own `transferData`.

The worker knows nothing but this contract, so anything that can move a file may be a carrier.
"""

import asyncio
import contextlib
import logging
import queue
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from iris_communication.clock import Clock
from iris_communication.errors import DeliveryStopped, Effect, IrisError, TransferFailed
from iris_communication.item import Delivered, Item, Upload
from iris_communication.plain_text import text_of
from iris_communication.runtime.supervised_thread import SupervisedThread
from iris_communication.server import private_keys
from iris_communication.settings import SECRET_KEYS
from iris_communication.sftp.trials.probe import Health

log = logging.getLogger(__name__)


class Carrier(Protocol):
    on_change: Callable[[], None]  # set by the worker: called when slots or connections have changed
    checks_health: bool  # whether `check` finds anything out
    takes_archives: bool  # whether it carries several files in one

    def slots(self, server_key: str) -> int:
        """How many uploads it carries to this server at once, for now."""

    def connected(self, server_key: str) -> bool:
        """Whether carrying to this server needs no new connection."""

    async def carry(self, upload: Upload) -> Delivered:
        """Deliver it. Raises IrisError, whose scope says who is to blame and whose effect says what this attempt
        may have left behind; NONE: it touched nothing."""

    async def check(self, server_key: str, *, round_trip: bool) -> Health:
        """Check whether the server answers and would take a file, while uploads go on. Raises IrisError."""

    def trace(self, server_key: str) -> list[str]:
        """The latest protocol events of its connection, oldest first, for people; also shortly after it was lost."""

    async def close(self) -> None:
        """End at once; uploads under way fail with DeliveryStopped."""


class TransferData(Protocol):
    """A user's own processor. False means failed; anything else means delivered."""

    def transferData(  # noqa: N802  # the name is fixed by its users
        self, sftp_server_info: Any, file_path: str, project_settings: Any, folder_type: str
    ) -> Any: ...


class _Call(NamedTuple):
    item: Item
    outcome: asyncio.Future[None]


class TransferDataCarrier:
    """Calls an injected `transferData` for one item at a time, in a thread of its own.

    The thread is a daemon: a call that never returns must not keep the program from ending. Such a call outlives its
    carrier, so carriers share the lock `one_at_a_time`: the next one waits until the earlier call has returned.
    """

    checks_health = False  # a processor can only transfer
    takes_archives = False  # each call is about one file of one project

    def __init__(
        self,
        processor: TransferData,
        server_info: Callable[[Item], Mapping[str, Any]],
        named_file: Callable[[Item], AbstractContextManager[Path]],
        clock: Clock,
        one_at_a_time: threading.Lock,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._processor = processor
        self._server_info = server_info
        self._named_file = named_file
        self._clock = clock
        self._one_at_a_time = one_at_a_time
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._open: dict[asyncio.Future[None], Item] = {}
        self._begun: asyncio.Future[None] | None = None  # written by the thread, under the lock
        self._closed = False
        self._thread = SupervisedThread(self._serve, "iris-transferData")
        self._thread.start()

    def slots(self, server_key: str) -> int:
        return 1

    def connected(self, server_key: str) -> bool:
        return True  # the processor decides when to connect

    async def carry(self, upload: Upload) -> Delivered:
        assert isinstance(upload, Item), "it takes no archives"
        if self._closed:
            raise DeliveryStopped(f"{upload.remote_path!r} was not begun: the uploader is stopping")
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open[outcome] = upload
        self._calls.put(_Call(upload, outcome))
        try:
            await outcome
        finally:
            del self._open[outcome]
        assert upload.fingerprint is not None, "an item without bytes is never claimed"
        return Delivered(
            final_path=upload.remote_path,
            size_bytes=upload.fingerprint.size_bytes,
            sha256=upload.fingerprint.sha256,
            host_key=None,
            at_s=self._clock.wall_s(),
        )

    async def check(self, server_key: str, *, round_trip: bool) -> Health:
        return Health(ok=True, done=())

    def trace(self, server_key: str) -> list[str]:
        return []  # the processor's protocol events are not known

    async def close(self) -> None:
        self._closed = True
        self._thread.let_end()
        self._calls.put(None)
        for outcome, item in self._open.items():
            # A call that is under way goes on, and its result is lost.
            effect = Effect.UNSEEN if outcome is self._begun else Effect.NONE
            _resolve(
                outcome, DeliveryStopped(f"{item.remote_path!r} was cancelled: the uploader stopped", effect=effect)
            )

    def _serve(self) -> None:
        """Called again after a failure; the upload that it failed at gets an error."""
        while (call := self._calls.get()) is not None:
            what = f"the thread that calls transferData() failed at {call.item.remote_path!r}"
            error: IrisError | None = TransferFailed(what, effect=Effect.UNSEEN)
            try:
                with self._one_at_a_time:
                    self._begun = call.outcome
                    if self._stopped():  # after `_begun` is set: either this thread sees `_closed`, or close() `_begun`
                        return
                    error = self._call(call.item)
                    self._begun = None
            finally:
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    call.outcome.get_loop().call_soon_threadsafe(_resolve, call.outcome, error)
            if self._stopped():
                log.warning("transferData() returned for %r after the uploader had stopped", call.item.remote_path)

    def _stopped(self) -> bool:
        return self._closed  # set by another thread: a type checker would assume that it stays what it was

    def _call(self, item: Item) -> IrisError | None:
        info: Mapping[str, Any] = {}
        try:
            info = self._server_info(item)
            with self._named_file(item) as path:
                done = self._processor.transferData(info, str(path), dict(item.project_settings), item.folder_type)
        except IrisError as error:
            return error
        except BaseException as error:  # noqa: BLE001 - injected code, which may even exit; `Outcomes` logs it
            return _failed(item, info, error)
        if done is False:
            return TransferFailed(f"transferData() answered False for {item.remote_path!r}")
        return None


def _resolve(outcome: asyncio.Future[None], error: IrisError | None) -> None:
    if outcome.done():
        return
    outcome.set_exception(error) if error else outcome.set_result(None)


def _failed(item: Item, info: Mapping[str, Any], error: BaseException) -> TransferFailed:
    """With its message and traceback as text, without the secrets they may hold: both are stored and logged."""
    what = f"transferData() raised {type(error).__name__} for {item.remote_path!r}: {text_of(error)}"
    failed = TransferFailed(_without_secrets(what, info))
    failed.unforeseen = type(error)
    failed.add_note(_without_secrets("".join(traceback.format_exception(error)), info))
    return failed


def _without_secrets(text: str, info: Mapping[str, Any]) -> str:
    for key in SECRET_KEYS:
        secret = info.get(key)
        if secret and (key != "private_key" or private_keys.is_text(secret)):  # else it is a file's path
            text = text.replace(secret, "***").replace(repr(secret)[1:-1], "***")
    return text
