"""What carries one item to its server, and the wrapper that makes one of a user's own `transferData`.

The worker knows nothing but this contract, so anything that can move a file may be put under the outbox.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from iris_communication.clock import Clock
from iris_communication.errors import IrisError, TransferFailed
from iris_communication.item import Delivered, Item

log = logging.getLogger(__name__)


class Carrier(Protocol):
    on_change: Callable[[], None]  # set by the worker: called when slots or connections have changed

    def slots(self, server_key: str) -> int:
        """How many items it carries to this server at once, for now."""

    def connected(self, server_key: str) -> bool:
        """Whether carrying to this server needs no new connection."""

    async def carry(self, item: Item) -> Delivered:
        """Deliver one item. Raises IrisError, whose scope says who is to blame and whose effect says whether the file
        may have arrived all the same."""

    async def close(self) -> None:
        """End at once; what is under way fails with DeliveryStopped."""


class TransferData(Protocol):
    """A user's own processor. False means failed; anything else means delivered."""

    def transferData(  # noqa: N802  # the name is fixed by its users
        self, sftp_server_info: Any, file_path: str, project_settings: Any, folder_type: str
    ) -> Any: ...


class TransferDataCarrier:
    """Calls an injected `transferData` for one request at a time, in a thread of its own.

    The thread is a daemon: a call that never returns must not keep the program from ending.
    """

    def __init__(
        self,
        processor: TransferData,
        server_info: Callable[[str], Mapping[str, Any]],
        named_file: Callable[[Item], AbstractContextManager[Path]],
        clock: Clock,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._processor = processor
        self._server_info = server_info
        self._named_file = named_file
        self._clock = clock
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="iris-transferData", daemon=True)
        self._thread.start()

    def slots(self, server_key: str) -> int:
        return 1

    def connected(self, server_key: str) -> bool:
        return True  # when to connect is the processor's own business

    async def carry(self, item: Item) -> Delivered:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[None] = loop.create_future()

        def tell(error: IrisError | None) -> None:
            if outcome.done():
                return
            outcome.set_exception(error) if error else outcome.set_result(None)

        def call() -> None:
            error = self._call(item)
            try:
                loop.call_soon_threadsafe(tell, error)
            except RuntimeError:  # the uploader ended meanwhile; the item was released and is sent again
                log.warning("transferData() returned for %s after the uploader had stopped", item.remote_path)

        self._calls.put(call)
        await outcome
        assert item.fingerprint is not None, "an item without bytes is never claimed"
        return Delivered(
            final_path=item.remote_path,
            size_bytes=item.fingerprint.size_bytes,
            sha256=item.fingerprint.sha256,
            host_key=None,
            at_s=self._clock.wall_s(),
        )

    async def close(self) -> None:
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _call(self, item: Item) -> IrisError | None:
        try:
            with self._named_file(item) as path:
                done = self._processor.transferData(
                    self._server_info(item.server_key), str(path), dict(item.project_settings), item.folder_type
                )
        except IrisError as error:
            return error
        except Exception as error:  # noqa: BLE001 - injected code; the worker logs it with its traceback
            failed = TransferFailed(f"transferData() raised {type(error).__name__} for {item.remote_path!r}: {error}")
            failed.__cause__ = error
            return failed
        if done is False:
            return TransferFailed(f"transferData() answered False for {item.remote_path!r}")
        return None
