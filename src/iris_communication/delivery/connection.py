"""One SFTP session over one channel: pumps bytes between the two and keeps the deadline.

The session decides what is sent; this shell reads the files' bytes when the session has credit for them, gives the
channel a buffer at a time (a hundred small requests then share a few SSH packets), and ends everything at once when
the channel is lost, when it is silent while answers are owed, or when later requests are answered and an old one never
is. Only a whole answer is progress: a server that sends one byte by byte is given up. `decisions.patience` says when.

What is sent in one turn of the loop is bounded by time: while this thread works, the program's other threads stand
still, and one of them may have a frame to inspect.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from iris_communication.clock import Clock
from iris_communication.decisions import patience
from iris_communication.errors import DeliveryStopped, IrisError, LinkError, LinkTimeout, ProtocolViolation
from iris_communication.runtime.amounts import counted
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp.capabilities import Capabilities, greeted, learn, tells_limits
from iris_communication.sftp.conversations.conversation import Chunk, SourceBytes, Talk
from iris_communication.sftp.conversations.upload import Quirks
from iris_communication.sftp.credit import SMALL_WRITE_SIZE, paced_write_size
from iris_communication.sftp.session import Session
from iris_communication.sftp.token_bucket import TokenBucket
from iris_communication.sftp.trace import lines
from iris_communication.sftp.window import RequestWindow, after_epoch, after_quiet, after_trouble, is_epoch_over
from iris_communication.transport.algorithms import Negotiated
from iris_communication.transport.contract import Channel, Transport
from iris_communication.transport.server_text import hidden_of, without

log = logging.getLogger(__name__)

OUTPUT_PIECE = 32 * 1024  # bytes given to the channel at once: they fill an SSH packet
OUTPUT_PER_TURN = 256 * 1024  # bytes at most
OUTPUT_S = 0.0003  # of a turn, after which no further piece is begun
BEGINNING = RequestWindow()
NO_TURN = contextlib.nullcontext()
TROUBLE_REQUESTS = 8  # unanswered when a connection is lost: fewer do not show that too much was in flight


class Connection:
    """To be opened once. `lost` is the error it ended with, or None while it lives; `window` is how much in flight the
    server was found to take."""

    def __init__(
        self, server: Server, settings: DeliverySettings, clock: Clock, window: RequestWindow = BEGINNING
    ) -> None:
        self.server = server
        self.capabilities = Capabilities()
        self.window = window
        self.round_trip_s = 0.0  # of the shortest exchange while it was opened
        self.missing_folders: set[bytes] = set()  # see `SftpUpload`
        self.quirks = Quirks()
        self.host_key = self.software = ""
        self.algorithms: Negotiated | None = None
        self.lost: IrisError | None = None
        self.slowest_s = 0.0  # the longest wait that ended with an answer
        self.uses = 0  # conversations, without health checks
        self.on_learned: Callable[[], None] = lambda: None
        self.on_lost: Callable[[], None] = lambda: None
        self._holders = 0
        self._settings = settings
        self._clock = clock
        self._bandwidth: TokenBucket | None = None
        self._session = Session()
        self._channel: Channel | None = None
        self._mark: tuple[int, float] | None = None  # the latest request at some time, and when that was
        self._epoch: tuple[int, float] = (0, 0.0)  # bytes acknowledged when it began, and when that was
        self._early = bytearray()  # bytes that came before connect() returned
        self._loop = asyncio.get_running_loop()
        self._pumping = False
        self._answered_s = self.used_s = clock.monotonic_s()  # when the last whole answer came, or the first was owed
        self._begun_s: float | None = None  # when the answer began of which only a part has come
        self._waits: list[int] = []  # for each file under way, how often its step has timed out before
        self._said_slow = False
        self._deadline: asyncio.TimerHandle | None = None
        self._resumption: asyncio.TimerHandle | None = None  # when there is bandwidth again
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        self._learning: asyncio.Future[Capabilities] = self._loop.create_future()

    @property
    def live(self) -> int:
        """Uploads under way."""
        return self._session.live

    @property
    def is_idle(self) -> bool:
        """No conversation is under way, and no caller holds it."""
        return not self.live and not self._holders

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Inside, it is not idle, also while nothing is sent: the caller will use it again."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            self.used_s = self._clock.monotonic_s()

    @contextlib.contextmanager
    def patient(self, times: int) -> Iterator[None]:
        """Inside, wait longer: for a file of which the same step has timed out `times` times in a row."""
        self._waits.append(times)
        try:
            yield
        finally:
            self._waits.remove(times)

    @property
    def slots(self) -> int:
        """Uploads that may be under way."""
        most = self.window.files_max
        return self.capabilities.files_in_flight if most is None else min(most, self.capabilities.files_in_flight)

    @property
    def is_full(self) -> bool:
        """One more upload would have to wait, or slow down those that are under way."""
        credit = self._session.credit
        return self.live + 1 >= self.slots or (self.live > 1 and credit.bytes_used * 10 >= credit.bytes_max * 9)

    @property
    def files_open_most(self) -> int:
        """The most files that were open at once so far."""
        return self._session.handles.proven

    def bear(self, window: RequestWindow) -> None:
        self.window = window
        self._session.one_write = window.one_write
        self._session.credit.bytes_max = window.bytes_max
        self._session.credit.requests_max = window.requests_max
        self._set_write_size(self._session.write_size_bytes)

    async def open(
        self, transport: Transport, secret: Secret, turn: AbstractAsyncContextManager[Any] = NO_TURN
    ) -> None:
        """Connect and agree on the version. `turn` is waited for and held while it connects. Raises what
        `Transport.connect` raises, LinkTimeout and ProtocolViolation.

        From then on it may be used, within what is safe everywhere, while the server is asked for its limits."""
        self._session.without_secrets = partial(without, hidden_of(secret))
        async with turn:
            channel = await transport.connect(self.server, secret, self._settings, self)
        self._channel, self.host_key = channel, channel.host_key
        self.software = self._session.without_secrets(channel.software)
        self.algorithms = channel.algorithms
        early, self._early = bytes(self._early), bytearray()
        self._answered_s = begun_s = self._clock.monotonic_s()
        if self.lost is not None:  # it ended while it was handed over
            channel.close()
            raise self.lost
        self.bear(self.window)
        self._watch()
        self._pump()
        if early:
            self.data_received(early)
        if self._session.extensions is None and self.lost is None:
            await self._greeted
        if self.lost is not None:
            raise self.lost
        self.round_trip_s = (greeted_s := self._clock.monotonic_s()) - begun_s
        self._epoch = (0, greeted_s)
        facts = (channel.software, self._session.extensions or {}, self._settings.files_in_flight_max)
        self._use_capabilities(greeted(*facts))
        self._learning.add_done_callback(lambda _: self._learned(greeted_s))
        self._session.begin(learn(*facts), None, self._learning)
        self._schedule_pump()

    async def learned(self) -> None:
        """Wait until the server has stated its limits, where it does. Raises what the connection ended with."""
        await asyncio.wait([self._learning])
        if self.lost is not None:
            raise self.lost

    def _learned(self, asked_s: float) -> None:
        error = self._learning.exception()
        if isinstance(error, IrisError):  # a wrong answer, or the connection has ended already
            self._end(error)
            return
        if tells_limits(self._session.extensions or {}):  # the greeting also waits for a program to start
            self.round_trip_s = min(self.round_trip_s, self._clock.monotonic_s() - asked_s)
        self._use_capabilities(self._learning.result())
        self.on_learned()

    def _use_capabilities(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._session.handles.most = capabilities.open_files_max
        self._session.keeps_order = capabilities.keeps_order
        # Small, until the first answers show how fast the link is.
        self._set_write_size(self._session.write_size_bytes)

    async def run(self, talk: Talk, source: SourceBytes | None = None, *, is_use: bool = True) -> Any:
        """Run a conversation to its end; its result, or what it raised. Cancelling the caller does not stop it: a
        request that was sent cannot be called back. `is_use`: it keeps the connection from counting as idle."""
        if self.lost is not None:
            talk.close()
            raise type(self.lost)(str(self.lost), hint=self.lost.hint)
        if is_use:
            self.uses += 1
            self.used_s = self._clock.monotonic_s()
        outcome: asyncio.Future[Any] = self._loop.create_future()
        self._session.begin(talk, source, outcome)
        self._schedule_pump()
        return await outcome

    def limit(self, bandwidth: TokenBucket | None) -> None:
        """Limit data to this bandwidth, shared with the server's other connections; None: no limit."""
        if bandwidth is not self._bandwidth:
            self._bandwidth = bandwidth
            self._set_write_size(self._session.write_size_bytes)
            if self._resumption is not None:
                self._resumption.cancel()
            self._resume()

    def trace(self) -> list[str]:
        """The latest protocol events, one a line, oldest first; also after it was lost."""
        events = lines(self._session.events, self._clock.wall_s() - self._clock.monotonic_s())
        return events if self.lost is None else [*events, f"ended: {type(self.lost).__name__}: {self.lost}"]

    def close(self, error: IrisError | None = None) -> None:
        """End it now; every conversation under way ends with `error`."""
        self._end(error or DeliveryStopped(f"the connection to {self.server.key} was closed by us"))

    def data_received(self, data: bytes) -> None:
        if self._channel is None:
            self._early += data
            return
        now_s, acknowledged_bytes = self._clock.monotonic_s(), self._session.acknowledged_bytes
        quiet_s, answers = now_s - self._answered_s, self._session.answers
        self._session.now_s = now_s
        try:
            self._session.receive(data)
        except ProtocolViolation as error:
            text = self._session.without_secrets(str(error))
            self._end(ProtocolViolation(f"{self.server.key}: {text}", hint=error.hint))
            return
        self._note_progress(now_s, quiet_s, whole=self._session.answers > answers)
        if self._session.extensions is not None and not self._greeted.done():
            self._greeted.set_result(None)
        self._adapt(now_s)
        if new_bytes := self._session.acknowledged_bytes - acknowledged_bytes:
            self._set_write_size(
                paced_write_size(
                    new_bytes, quiet_s, self._settings.progress_timeout_s, self.capabilities.write_size_bytes
                )
            )
        self._hand_out()
        self._schedule_pump()

    def _note_progress(self, now_s: float, quiet_s: float, *, whole: bool) -> None:
        if whole:
            self._answered_s, self._begun_s = now_s, None
            self.slowest_s = max(self.slowest_s, quiet_s)
        if not self._session.is_within_an_answer:
            self._begun_s = None
        elif self._begun_s is None:
            self._begun_s = now_s

    def _adapt(self, now_s: float) -> None:
        """Adapt the window: at the end of each epoch, and after each quiet period that follows trouble."""
        if (window := after_quiet(self.window, now_s)) is not self.window:
            self.bear(window)
        session = self._session
        acknowledged_bytes, seconds = session.acknowledged_bytes - self._epoch[0], now_s - self._epoch[1]
        if is_epoch_over(self.window, acknowledged_bytes, seconds):
            was_full, session.credit.was_full = session.credit.was_full, False
            self.bear(after_epoch(self.window, acknowledged_bytes / seconds, was_full=was_full, now_s=now_s))
            self._epoch = (session.acknowledged_bytes, now_s)

    def channel_lost(self, error: IrisError) -> None:
        quiet_s = self._clock.monotonic_s() - self._answered_s
        if self._session.unanswered and quiet_s >= self._settings.progress_timeout_s and isinstance(error, LinkError):
            error = LinkTimeout(f"{self.server.key} has not answered for {quiet_s:.0f} s: {error}", hint=error.hint)
        self._end(error)

    def _schedule_pump(self) -> None:
        if not self._pumping and self.lost is None:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self.lost is not None or self._channel is None:
            return
        self._session.now_s = now_s = self._clock.monotonic_s()
        if self._session.unanswered == 0:  # silence counts from the first request that waits for an answer
            self._answered_s = now_s
        until_s, left = now_s + OUTPUT_S, OUTPUT_PER_TURN
        while pieces := self._output(min(left, OUTPUT_PIECE), now_s):
            buffer = self._filled(pieces)
            self._channel.write(buffer)
            left -= len(buffer)
            if left <= 0 or self._clock.monotonic_s() >= until_s:
                self._schedule_pump()
                break
        self._hand_out()  # also conversations that ended without a request

    def _output(self, budget_bytes: int, now_s: float) -> list[bytes | Chunk]:
        """What the session wants to send. Where bandwidth holds data back, the pump runs again when there is some."""
        bandwidth, session = self._bandwidth, self._session
        if bandwidth is None:
            return session.output(budget_bytes)
        pieces = session.output(budget_bytes, bandwidth.room_bytes(now_s))
        bandwidth.spend(sum(piece.size_bytes for piece in pieces if isinstance(piece, Chunk)))
        if session.held_back_bytes and self._resumption is None:
            wait_s = bandwidth.wait_s(session.held_back_bytes, now_s)
            self._resumption = self._loop.call_later(wait_s, self._resume)
        return pieces

    def _resume(self) -> None:
        self._resumption = None
        self._schedule_pump()

    def _set_write_size(self, size_bytes: int) -> None:
        most_bytes = self.capabilities.write_size_bytes
        if self.window.small_writes:
            most_bytes = min(most_bytes, SMALL_WRITE_SIZE)
        if self._bandwidth is not None:
            most_bytes = min(most_bytes, self._bandwidth.grain_bytes)
        self._session.write_size_bytes = min(size_bytes, most_bytes)

    def _filled(self, pieces: list[bytes | Chunk]) -> bytearray:
        """The pieces as bytes, each chunk with its data; a chunk whose data cannot be read is left out."""
        buffer = bytearray()
        for piece in pieces:
            if isinstance(piece, bytes):
                buffer += piece
                continue
            source = piece.conversation.source
            assert source is not None, "a conversation that writes has a source"
            try:
                data = source.read(piece.offset, piece.size_bytes)
            except IrisError as error:
                self._session.unsent(piece, error)
                continue
            buffer += piece.head
            buffer += data
        return buffer

    def _hand_out(self) -> None:
        for conversation in self._session.take_ended():
            outcome: asyncio.Future[Any] = conversation.tag
            if outcome.done():  # its caller was cancelled
                continue
            if conversation.error is not None:
                outcome.set_exception(conversation.error)
            else:
                outcome.set_result(conversation.result)

    def _watch(self) -> None:
        """Check the deadlines, and again when the next one can have passed at the earliest."""
        now_s = self._clock.monotonic_s()
        patience_s = self._patience_s
        if (text := self._overdue(now_s, patience_s)) is not None:
            self._end(LinkTimeout(f"{self.server.key} {text}"))
            return
        timeout_s = self._settings.progress_timeout_s
        wait_s = timeout_s
        if self._session.unanswered:
            quiet_s = now_s - self._answered_s
            if quiet_s >= timeout_s:
                self._say_slow(quiet_s, patience_s)
            wait_s = min(wait_s, (timeout_s if quiet_s < timeout_s else patience_s) - quiet_s)
        if self._begun_s is not None:
            wait_s = min(wait_s, self._begun_s + timeout_s - now_s)
        self._deadline = self._loop.call_later(wait_s, self._watch)

    @property
    def _patience_s(self) -> float:
        assert self._channel is not None, "it is watched once it is connected"
        timeout_s, times = self._settings.progress_timeout_s, max(self._waits, default=0)
        return patience.deadline_s(timeout_s, self.slowest_s, times, keeps_alive=self._channel.keeps_alive)

    def _overdue(self, now_s: float, patience_s: float) -> str | None:
        """Why the connection is given up, as the rest of a sentence about the server; None: it is not."""
        owed, quiet_s = self._session.unanswered, now_s - self._answered_s
        if owed and quiet_s >= patience_s:
            requests = counted(owed, "request is", "requests are")
            return f"has not answered for {quiet_s:.0f} s, {requests} open{self._oldest_text()}"
        if self._begun_s is not None and now_s - self._begun_s >= self._settings.progress_timeout_s:
            return f"began an answer {now_s - self._begun_s:.0f} s ago, and has not sent the rest"
        if (overtaken := self._overtaken(now_s, patience_s)) is not None:
            return f"answers others, but not {overtaken}"
        return None

    def _oldest_text(self) -> str:
        oldest = self._session.oldest
        return "" if oldest is None else f", the oldest a {type(oldest).__name__}"

    def _say_slow(self, quiet_s: float, patience_s: float) -> None:
        """Log it once: a server may be as slow with each file."""
        if not self._said_slow:
            self._said_slow = True
            text = "%s answers keep-alive, and nothing else for %.0f s%s: it is slow, and waited for up to %.0f s"
            log.warning(text, self.server.key, quiet_s, self._oldest_text(), patience_s)

    def _overtaken(self, now_s: float, patience_s: float) -> str | None:
        """The name of a request that had no answer for `patience_s`, while later ones had. It compares with a mark that
        moves to the latest request whenever all up to it are answered."""
        if self._mark is not None:
            mark, since_s = self._mark
            request = self._session.overtaken(mark)
            if request is not None and now_s - since_s >= patience_s:
                return f"a {type(request).__name__} of {now_s - since_s:.0f} s ago"
            if request is not None:
                return None
        self._mark = (self._session.latest_id, now_s)
        return None

    def _end(self, error: IrisError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        if isinstance(error, LinkError) and self._session.unanswered >= TROUBLE_REQUESTS:
            self.window = after_trouble(self.window, self.slots, self._clock.monotonic_s())
        for timer in (self._deadline, self._resumption):
            if timer is not None:
                timer.cancel()
        kind = type(error) if isinstance(error, (LinkError, ProtocolViolation)) else LinkError
        self._session.fail(lambda: kind(str(error), hint=error.hint))
        self._hand_out()
        if not self._greeted.done():
            self._greeted.set_result(None)
        if self._channel is not None:
            self._channel.close()
        self.on_lost()
