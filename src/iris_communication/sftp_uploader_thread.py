"""Queue a file and go on; a thread of its own delivers it.

    uploader = get_sftp_uploader()
    uploader.start()
    accepted = uploader.queue_upload(sftp_server_info=..., file_path=..., project_settings=..., folder_type="model")

`queue_upload` returns at once: True once the outbox holds the file durably, False when it is full. From then on the
file survives a crash of this process and a power cut, and waits out any outage. It may be removed or replaced by a new
one; only a large one may not be written into (see `SftpUploadRequest`). This module only wires the parts:
the writer (what is owed), a carrier (how it travels) and the worker (who does it).
"""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, Unpack

from iris_communication.clock import Clock, SystemClock
from iris_communication.control.server import ControlServer
from iris_communication.delivery.carrier import TransferData
from iris_communication.delivery.daemon_threads import run
from iris_communication.delivery.worker import Drain, Worker, take_back
from iris_communication.errors import (
    ForkedProcess,
    InvalidRequest,
    IrisError,
    NotStarted,
    OptionsDiffer,
    ServerNotConfigured,
)
from iris_communication.outbox.orders import Order, RetryAllDead, RetryItems, ServerOrder
from iris_communication.outbox.store.log_readers import log_details
from iris_communication.outbox.store.open_store import open_store
from iris_communication.outbox.writer.last_answer import LastAnswer
from iris_communication.outbox.writer.messages import Accept
from iris_communication.outbox.writer.receipt import Receipt
from iris_communication.outbox.writer.refusals import QueueRefusals
from iris_communication.outbox.writer.snapshot import Snapshot, Stats
from iris_communication.outbox.writer.writer import Writer
from iris_communication.runtime.amounts import counted, files
from iris_communication.runtime.default_folder import absolute, default_outbox_dir
from iris_communication.runtime.supervised_thread import PAUSE_CAP_S, SupervisedThread, pause_after
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings, Limits, Secret, Server
from iris_communication.sftp_processor import SftpProcessor, carrier_for
from iris_communication.transport import accepted_keys, chosen
from iris_communication.upload_request import ServerInfo, SftpUploadRequest, accept_message, check_text

__all__ = ["SftpUploadRequest", "SftpUploaderThread", "UploaderOptions", "default_outbox_dir", "get_sftp_uploader"]

log = logging.getLogger(__name__)

DEFAULT_QUEUE_SIZE = 100
WRITER_POLL_S = 0.1  # between two checks whether a failed writer is open again
JOIN_GRACE_S = 3.0  # beyond stop's timeout, for settling what was broken off


class SftpUploaderThread:
    """Constructing opens nothing; `start()` opens the outbox. Every method may be called from any thread."""

    def __init__(
        self,
        outbox_dir: "str | os.PathLike[str] | None" = None,
        sftp_processor: TransferData | None = None,
        max_queue_size: int = DEFAULT_QUEUE_SIZE,
        *,
        settings: DeliverySettings | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        if max_queue_size < 1:
            raise InvalidRequest(f"max_queue_size is {max_queue_size}: expected at least 1")
        self._folder = Path(absolute(outbox_dir if outbox_dir is not None else default_outbox_dir()))
        self._settings = settings or DeliverySettings()
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._refusals = QueueRefusals(log, self._clock.monotonic_s)
        transport = chosen.ChosenTransport(self._folder / accepted_keys.NAME)
        self._processor = sftp_processor or SftpProcessor(self._settings, transport, self._clock)
        self._one_at_a_time = threading.Lock()  # of an injected processor's calls, over stop and start
        self._max_queue_size = max_queue_size
        self._writer: Writer | None = None
        self._control: ControlServer | None = None
        self._worker: Worker | None = None
        self._left = 0  # the last sequence of what waited when start() was called
        self._thread: SupervisedThread | None = None
        self._lifecycle = threading.RLock()  # a signal handler may stop what it interrupted in start()
        self._stopping: Drain | None = None
        self._stop_event = threading.Event()
        self._closed = False
        self._opened = 0.0, 0.0  # when the outbox was opened: wall time, monotonic time
        self._last_error: str | None = None
        self._last_answer = LastAnswer()
        self._configured: frozenset[str] = frozenset()  # keys; replaced, never changed
        self._pid = os.getpid()

    def start(self) -> None:
        """Open the outbox and start delivering; does nothing while running. Raises OutboxInUse, OutboxStorageError,
        OutboxDamaged; NotStarted after close()."""
        self._check_process()
        with self._lifecycle:
            if self._closed:
                raise NotStarted("this uploader is closed")
            if self._thread is not None and self._thread.is_alive():
                return
            try:
                self._open()
            except IrisError as error:
                self._last_error = str(error)
                raise
            if isinstance(self._processor, SftpProcessor):
                chosen.load()
            self._stopping = None
            self._stop_event.clear()
            self._left = self._open_writer().snapshot.last_sequence
            self._thread = SupervisedThread(
                self._upload_worker,
                "iris-uploader",
                on_failure=self._note_failure,
                pause_s=pause_after,
                well_after_s=PAUSE_CAP_S,
            )
            self._thread.start()

    def open(self) -> None:
        """Open the outbox without delivering: to queue files and to carry out orders. Raises like start()."""
        self._check_process()
        with self._lifecycle:
            if self._closed:
                raise NotStarted("this uploader is closed")
            self._open()

    def _open(self) -> None:
        if self._writer is None:
            store = partial(open_store, self._folder, self._clock)
            writer = Writer(self._folder, store, self._clock, self._max_queue_size, self._limits, self._settings)
            self._opened = self._clock.wall_s(), self._clock.monotonic_s()
            writer.open()
            self._writer = writer
            self._last_error = writer.notice or None
            self._control = ControlServer(self._folder, self, self._clock)
            self._control.open()

    def queue_upload(  # noqa: PLR0913  # four are fixed by its users, the others are keywords
        self,
        sftp_server_info: ServerInfo | Sequence[ServerInfo],
        file_path: "str | os.PathLike[str]",
        project_settings: str | Mapping[str, Any],
        folder_type: str,
        *,
        take: str = "copy",
        priority: int | None = None,
        ttl_s: float | None = None,
        after_delivery: str | None = None,
        move_to: "str | os.PathLike[str] | None" = None,
    ) -> bool:
        """True: accepted, durably. False: refused, because the outbox is full or its disk refuses; nothing changed.

        After True the source may be removed or replaced (a new file under its name). It may be written into in place
        only up to 1 MiB: a larger file, or a moved one of over 100 kB, is held by a hard link and not copied, so such
        a write changes the outbox's bytes too, and the item is dead as changed instead of being delivered.

        A file that is missing or unreadable is accepted and dead at once: logged, listed, counted as failed. Raises
        InvalidRequest for what could never be delivered as it stands, and NotStarted. The arguments are those of
        SftpUploadRequest; a file for several servers is accepted for all of them or for none.
        """
        request = SftpUploadRequest(
            sftp_server_info, file_path, project_settings, folder_type, take, priority, ttl_s, after_delivery, move_to
        )
        return self.queue_uploads([request])[0]

    def queue_uploads(self, requests: Sequence[SftpUploadRequest]) -> list[bool]:
        """`queue_upload` of many: each as durable, all for about the price of one, because they share a commit. The
        answers are in the order of the requests. Raises like queue_upload; then none of them is queued."""
        self._check_process()
        writer = self._open_writer()
        outcomes = writer.accept_all([accept_message(request, self._settings, self._server) for request in requests])
        self._last_answer.record(outcomes)
        self._refusals.record([request.file_path for request in requests], outcomes)
        return [not isinstance(outcome, IrisError) for outcome in outcomes]

    def submit(self, request: SftpUploadRequest) -> Receipt:
        """Like queue_upload, for callers that want to know: raises OutboxFull or OutboxStorageError when refused, and
        returns a Receipt to wait on. For one destination; submit_to_servers() takes several."""
        self._check_process()
        accept = accept_message(request, self._settings, self._server)
        if len(accept.destinations) > 1:
            servers = counted(len(accept.destinations), "server")
            raise InvalidRequest(f"{request.file_path} goes to {servers}: use submit_to_servers()")
        return self._open_writer().accept(accept)[0]

    def submit_to_servers(self, request: SftpUploadRequest) -> list[Receipt]:
        """The same for several destinations: a receipt for each, in their order."""
        self._check_process()
        return self._open_writer().accept(accept_message(request, self._settings, self._server))

    def submit_requests(self, requests: Sequence[SftpUploadRequest]) -> list[list[Receipt] | IrisError]:
        """The same for many, as durable and for about the price of one commit: of each request its receipts, or why it
        was refused. Raises NotStarted."""
        self._check_process()
        asked = [self._asked(request) for request in requests]
        outcomes = iter(self._open_writer().accept_all([each for each in asked if isinstance(each, Accept)]))
        return [next(outcomes) if isinstance(each, Accept) else each for each in asked]

    def _asked(self, request: SftpUploadRequest) -> Accept | InvalidRequest:
        try:
            return accept_message(request, self._settings, self._server)
        except InvalidRequest as error:
            return error

    def configure_server(self, name: str, info: Mapping[str, Any]) -> None:
        """Give a server a name that `sftp_server_info` may use, or new facts to one that has it. From then on, until
        this process ends, its health is checked though nothing is sent to it."""
        self._check_process()
        server, secret = parse_server(info)
        check_text("a server's name", name)
        self._open_writer().remember(server, secret, name)
        self._configured |= {server.key}
        if self._worker is not None:
            self._worker.wake()

    def execute(self, order: Order | RetryAllDead) -> dict[str, str]:
        """Carry out an order of `outbox.orders`, durably. Returns what became of each of its items: empty when it was
        done, else a sentence why it was not. Raises ServerNotConfigured, NotStarted, OutboxStorageError; then nothing
        was done."""
        self._check_process()
        writer = self._open_writer()
        if isinstance(order, ServerOrder):
            order = replace(order, server=_known_key(writer, order.server))
        return writer.execute(order)

    def retry_dead(self, item_id: str | None = None) -> int:
        """Let one dead item, or all, wait again with all their attempts; returns how many do."""
        outcomes = self.execute(RetryAllDead() if item_id is None else RetryItems([item_id]))
        return sum(not why for why in outcomes.values())

    def owed_names(self) -> frozenset[str]:
        """File names (of `file_path`) of everything accepted and not delivered: waiting, in flight and dead. Once a
        file's name is missing here, a copy of it may be thrown away. Waits for the outbox's thread; raises NotStarted,
        OutboxStorageError."""
        self._check_process()
        return self._open_writer().owed_names()

    @property
    def running(self) -> bool:
        """Whether it delivers: false as well while one of its threads waits to be started again after a failure, and
        while another process has the outbox."""
        if self._writer is not None and self._writer.lost:
            return False
        return self._thread is not None and self._thread.running and all(each["running"] for each in self._threads())

    def _threads(self) -> list[dict[str, Any]]:
        parts = (self._writer, self._control)
        states = [part.thread() for part in parts if part is not None]
        return states if self._thread is None else [*states, self._thread.state()]

    def get_stats(self) -> dict[str, int]:
        """Exactly total_queued, total_uploaded, total_failed and queue_size; see `snapshot.Stats`. Never waits."""
        self._check_process()
        return dict(self._stats()._asdict())

    def get_details(self) -> dict[str, Any]:
        """Everything else: state, each server's link and backlog, the latest dead items, the oldest waiting age."""
        self._check_process()
        worker, snapshot = self._worker, self._writer.snapshot if self._writer else Snapshot()
        return {
            "running": self.running,
            "state": self._state(),
            "stats": self.get_stats(),
            **snapshot.details(self._clock.wall_s(), self._opened[0], self._clock.monotonic_s() - self._opened[1]),
            "servers": worker.details() if worker else {},
            "refusing": self._last_answer.refusal,
            "threads": self._threads(),
            "last_error": (self._writer.lost if self._writer else "") or self._last_error,
            "outbox_dir": str(self._folder),
            "content_in_memory_bytes": self._writer.held.size_bytes if self._writer else 0,
            **log_details(self._folder),
            "max_queue_size": self._max_queue_size,
        }

    def stop(self, timeout: float = 10.0, *, connect: bool = True) -> bool:
        """End delivery: finish what is under way and drain what can be delivered, at most `timeout` seconds; promptly
        with the link down. Returns whether the thread has ended. What is left waits for the next start, and acceptance
        goes on until close(). `connect=False` opens no new connection (at interpreter exit that fails)."""
        self._check_process()
        with self._lifecycle:
            thread, writer = self._thread, self._writer
            if thread is None or not thread.is_alive():
                return True
            order = Drain(self._clock.monotonic_s() + timeout, connect)
            self._stopping = order
            self._stop_event.set()
            thread.let_end()
            if self._worker is not None:
                self._worker.drain(order)
        thread.join(timeout + JOIN_GRACE_S)
        if writer is not None:
            writer.flush(JOIN_GRACE_S)
        left = self._stats().queue_size
        if left:
            log.info("the uploader stopped with %s waiting; they are sent after the next start", files(left))
        return not thread.is_alive()

    def close(self, timeout: float = 10.0) -> None:
        """stop(), then end acceptance and give the outbox back. May be called twice."""
        self.stop(timeout)
        if self._control is not None:
            self._control.close()  # a request under way may need the lock below
        with self._lifecycle:
            self._closed = True
            if self._writer is not None:
                self._writer.close()

    def _upload_worker(self) -> None:
        """The uploader thread; called again after a failure of the worker loop itself, whose items were released on the
        way out. A worker also ends when the writer has failed; the next one begins once the writer is open again."""
        writer = self._open_writer()
        while True:
            incarnation = writer.incarnation
            take_back(writer, JOIN_GRACE_S)
            run(self._deliver(), self._settings.event_loop)
            if writer.incarnation == incarnation:
                return
            while not writer.is_open:
                if self._stop_event.wait(WRITER_POLL_S):
                    return

    def _note_failure(self, error: BaseException) -> None:
        self._last_error = f"the uploader's loop failed: {error!r}"

    async def _deliver(self) -> None:
        writer = self._open_writer()
        carrier = carrier_for(
            self._processor, writer.servers, writer.held, self._folder, self._clock, self._one_at_a_time
        )
        worker = Worker(
            writer, carrier, self._settings, self._clock, configured=lambda: self._configured, backlog_until=self._left
        )
        self._worker = worker
        if self._stopping is not None:
            worker.drain(self._stopping)
        try:
            await worker.run()
        finally:
            await carrier.close()  # the worker does so as well; a restart must never leave a thread behind

    def _open_writer(self) -> Writer:
        if self._writer is None or self._closed:
            raise NotStarted("the uploader's outbox is not open")
        return self._writer

    def _server(self, info: str | Mapping[str, Any]) -> tuple[Server, Secret]:
        if isinstance(info, Mapping):
            return parse_server(info)
        if not isinstance(info, str):
            raise InvalidRequest(f"sftp_server_info is a {type(info).__name__}: expected a mapping or a server's name")
        servers = self._open_writer().servers
        server = servers.named(info)
        if server is None:
            known = _listed(self._open_writer())
            raise ServerNotConfigured(f"no server is configured under the name {info!r}; known: {known}")
        return server, Secret()

    def _stats(self) -> Stats:
        return self._writer.snapshot.stats if self._writer else Stats()

    def _state(self) -> str:
        if self._closed:
            return "closed"
        if self._thread is None:
            return "new"
        if not self._thread.is_alive():
            return "stopped"
        if not self.running:
            return "failed"
        return "draining" if self._stopping is not None else "running"

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ForkedProcess("this uploader belongs to the process that made it")


_only: SftpUploaderThread | None = None
_only_options: Mapping[str, object] = {}
_only_lock = threading.Lock()


class UploaderOptions(TypedDict, total=False):
    """The arguments of SftpUploaderThread."""

    outbox_dir: "str | os.PathLike[str] | None"
    sftp_processor: TransferData | None
    max_queue_size: int
    settings: DeliverySettings | None
    limits: Limits | None
    clock: Clock | None


def get_sftp_uploader(**options: Unpack[UploaderOptions]) -> SftpUploaderThread:
    """The process's one uploader. Options count at the first call; later calls may
    repeat them or give none, others raise OptionsDiffer."""
    global _only, _only_options  # noqa: PLW0603  # one per process is what this function is for
    with _only_lock:
        if _only is None:
            _only = SftpUploaderThread(**options)
            _only_options = options
        elif options and options != _only_options:
            differing = sorted(k for k in {**options, **_only_options} if options.get(k) != _only_options.get(k))
            raise OptionsDiffer(f"the uploader exists already, with other {', '.join(differing)}")
        _only._check_process()
        return _only


def _known_key(writer: Writer, key_or_name: str) -> str:
    named = writer.servers.named(key_or_name)
    key = named.key if named else key_or_name
    if writer.servers.known(key) is None:
        raise ServerNotConfigured(f"no server is known as {key_or_name!r}; known: {_listed(writer)}")
    return key


def _listed(writer: Writer) -> str:
    return ", ".join(writer.servers.names) or "none yet"
