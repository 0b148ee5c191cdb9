"""What follows from how an attempt, or a health check, ended: for the item, the breaker and the link.

Blame decides (`decisions/retry.py`). Each change of a breaker is stored; every claimed item is settled here, once. A
server that refuses one file mostly refuses every file, so its reason is logged once and counted.
"""

import logging
import posixpath
from collections.abc import Callable, Hashable, Iterable

from iris_communication.clock import Clock
from iris_communication.decisions import breaker as breaking
from iris_communication.decisions import rules
from iris_communication.decisions.breaker import BreakerState
from iris_communication.decisions.poison import after_arrival, after_trouble
from iris_communication.decisions.retry import Decision, Retrying, after_failure
from iris_communication.delivery.batches import settles
from iris_communication.delivery.carrier import Carrier
from iris_communication.delivery.destination import DestinationState
from iris_communication.errors import DeliveryStopped, Effect, IrisError, Retry, Scope
from iris_communication.item import Archive, Delivered, Event, Item, Upload
from iris_communication.outbox.store.contract import ServerState
from iris_communication.outbox.writer.messages import Settle, SettleArchive
from iris_communication.outbox.writer.writer import Writer
from iris_communication.plain_text import ERROR_TEXT_MAX, clean
from iris_communication.runtime.repeats import Repeats
from iris_communication.settings import DeliverySettings

log = logging.getLogger(__name__)

CLAIM_PAUSE_S = 1.0  # after a claim that brought nothing, or an error of our own disk


class Outcomes:
    """`destinations` are the worker's, by server; `news` wakes the worker."""

    def __init__(
        self,
        writer: Writer,
        carrier: Carrier,
        destinations: dict[str, DestinationState],
        settings: DeliverySettings,
        clock: Clock,
        jitter: Callable[[], float],
        news: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._carrier = carrier
        self._destinations = destinations
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self.news = news
        self._repeats = Repeats(log, clock.monotonic_s, per_file=True)
        self._refusing: dict[str, set[Hashable]] = {}  # causes that were logged, by server

    def delivered(self, key: str, destination: DestinationState, upload: Upload, delivered: Delivered) -> None:
        self.answered(key, destination, delivered=True)
        destination.poison_watch = after_arrival(destination.poison_watch, upload.id)
        if refusing := self._refusing.pop(key, None):
            self._repeats.over(refusing, "%s takes files", key)
        self._settle(upload, Event.DELIVER, delivered)
        log.debug("delivered %s to %s as %r", upload.id, key, delivered.final_path)

    def failed(self, key: str, destination: DestinationState, upload: Upload, error: IrisError, revision: int) -> None:
        """`revision`: of what was known about the server when the attempt began."""
        decision = self._decision(upload, error)
        if error.scope is Scope.OUTBOX:
            decision = Decision(Event.RELEASE)
            self._pause(key, destination, error)
        elif decision.event is Event.RELEASE:
            self.trouble(key, destination, error, revision)
            destination.poison_watch, blame = after_trouble(
                destination.poison_watch, upload.id, error, alone=destination.alone_id == upload.id
            )
            if blame is not None:
                error, decision = blame, self._decision(upload, blame)
                self._log_failure(key, upload, error, decision)
        else:
            self.answered(key, destination)
            if isinstance(upload, Item):  # an archive's files are sent one by one next, and counted then
                destination.refusals.refused(error, self._clock.wall_s(), is_new=upload.attempts == 0)
            self._log_failure(key, upload, error, decision)
        destination.falls_back = destination.falls_back or isinstance(upload, Archive)
        trace = "\n".join(self._carrier.trace(key)) if decision.event is Event.GIVE_UP else ""
        self._settle(upload, decision.event, None, error, error.effect, decision.delay_s, trace)

    def _settle(  # the fields of a Settle
        self,
        upload: Upload,
        event: Event,
        delivered: Delivered | None = None,
        error: IrisError | None = None,
        effect: Effect = Effect.NONE,
        delay_s: float = 0.0,
        trace: str = "",
    ) -> None:
        if isinstance(upload, Archive):
            self._destinations[upload.server_key].archives.discard(upload.id)
            self._writer.settle(SettleArchive(tuple(settles(upload, event, delivered, error, effect))))
        else:
            self._writer.settle(Settle(upload, event, delivered, error, effect, delay_s, trace))

    def _decision(self, upload: Upload, error: IrisError) -> Decision:
        item = upload.members[0] if isinstance(upload, Archive) else upload
        return after_failure(error, item.attempts, self._retrying(item), self._jitter())

    def _retrying(self, item: Item) -> Retrying:
        rule = rules.facts(self._settings.rules.values(), item.folder_type, posixpath.basename(item.source_path))
        return rules.retrying(self._writer.servers.known(item.server_key), rule, self._settings)

    def _pause(self, key: str, destination: DestinationState, error: IrisError) -> None:
        """Our own disk failed: it costs no item an attempt, and trying the next one at once gains nothing."""
        self._repeats.log((key, "waits", *error.cause), logging.ERROR, "%s waits: %s. %s", key, error, error.hint)
        destination.claim_after_s = self._clock.monotonic_s() + CLAIM_PAUSE_S
        self.put_back(destination)

    def answered(self, key: str, destination: DestinationState, *, delivered: bool = False) -> None:
        """The server answered as it should: its breaker closes, its link is up."""
        destination.health.answered(self._clock.monotonic_s(), delivered=delivered)
        if delivered:
            destination.refusals.delivered()
        self.set_breaker(key, destination, breaking.on_answer(destination.breaker))
        destination.found_dead = False
        was_down = destination.link == "down"
        if destination.see("up", self._clock.monotonic_s()):
            log.info("the link to %s is up", key)
            if was_down:
                destination.backlog_until = self._writer.snapshot.last_sequence

    def set_breaker(self, key: str, destination: DestinationState, breaker: breaking.Breaker) -> None:
        if breaker is destination.breaker:
            return
        destination.breaker = breaker
        boot = (self._clock.boot_id, self._clock.boot_s())
        self._writer.keep_breaker(key, breaking.kept(breaker, self._clock.monotonic_s(), boot) or None)

    def trouble(self, key: str, destination: DestinationState, error: IrisError, revision: int) -> None:
        if isinstance(error, DeliveryStopped) or (
            error.retry is Retry.AFTER_OPERATOR and revision != destination.revision  # changed meanwhile
        ):
            self.set_breaker(key, destination, breaking.on_release(destination.breaker))
            return
        now_s, before = self._clock.monotonic_s(), destination.breaker
        self.set_breaker(key, destination, breaking.on_failure(before, error, self._settings, self._jitter(), now_s))
        if destination.breaker is before:
            return
        destination.found_dead = True
        changed = destination.see("down", self._clock.monotonic_s())
        held = destination.breaker.state is BreakerState.HELD
        then = (
            "nothing is tried until that is mended"
            if held
            else f"next try in {destination.breaker.until_s - now_s:.1f} s"
        )
        text = f"{'%s takes nothing' if error.scope is Scope.SERVER else 'the link to %s is down'}: %s; %s (%s)"
        if changed or held:
            log.warning(text, key, error, then, error.hint, exc_info=error if error.unforeseen else None)
        else:
            self._repeats.log((key, "down", *error.cause), logging.INFO, text, key, error, then, error.hint)

    def release_breaker(self, key: str) -> None:
        destination = self._destinations.get(key)
        if destination is None:
            return
        destination.revision += 1
        destination.claim_after_s = 0.0  # released items wait with the writer
        state = self._writer.snapshot.servers.get(key, ServerState())
        if destination.breaker.state is BreakerState.HELD or (destination.breaker.failures and state.breaker is None):
            self.set_breaker(key, destination, breaking.Breaker())  # second case: ordered by a person
        self.news()

    def release(self, uploads: Iterable[Upload]) -> None:
        """Release uploads that were not begun."""
        for upload in uploads:
            self._settle(upload, Event.RELEASE)

    def put_back(self, destination: DestinationState) -> None:
        """Release what is claimed for a destination that may send nothing now: an order cannot reach a claimed item."""
        self.release([*destination.claimed])
        destination.claimed.clear()

    def _log_failure(self, key: str, upload: Upload, error: IrisError, decision: Decision) -> None:
        """Log a failure that the upload itself is to blame for."""
        kept = decision.event is Event.DROP
        then = f"next try in {decision.delay_s:.0f} s" if decision.event is Event.FAIL else "given up"
        then = "its files go by themselves" if isinstance(upload, Archive) else then
        cause = (key, decision.event, *error.cause)
        self._refusing.setdefault(key, set()).add(cause)
        self._repeats.log(
            cause,
            logging.WARNING if kept else logging.ERROR,
            "%s (%s): %s; %s. %s",
            clean(upload.remote_path, ERROR_TEXT_MAX),
            upload.id,
            error,
            "dropped" if kept else then,
            error.hint,
            exc_info=error if error.unforeseen else None,
        )
