"""How the outcome of an attempt changes its item: one change, with a line for its history where the attempt failed."""

from dataclasses import replace

from iris_communication.clock import Clock
from iris_communication.decisions import attempt
from iris_communication.errors import DeliveryStopped, IrisError
from iris_communication.item import Due, Event, Item, next_state
from iris_communication.outbox.orders import ended
from iris_communication.outbox.store import ledger
from iris_communication.outbox.store.contract import Deliver, End, Note, Update
from iris_communication.outbox.writer.batching import unbatched
from iris_communication.outbox.writer.messages import Settle


def settled(settle: Settle, item: Item, head: str, clock: Clock) -> Update | Deliver | End:
    """`item` is the stored item, in flight; `head` is the hash before the ledger line of a delivery."""
    if settle.event is Event.DELIVER:
        assert settle.delivered is not None, "a delivery comes with its proof"
        line = ledger.line(head, ledger.entry(item, settle.delivered))
        return Deliver(replace(item, state=next_state(item.state, settle.event)), line, item)
    if settle.event is Event.DROP:
        return ended(item, Event.DROP, clock.wall_s(), str(settle.error or ""))
    if settle.event is Event.RELEASE:
        released = attempt.released(item, settle.error, settle.effect)
        return Update(unbatched(released) if settle.unbatched else released, item, _note(settle, item, clock))
    due = None
    if settle.event is Event.FAIL:
        due = Due(clock.boot_id, clock.boot_s() + settle.delay_s)
    failed = attempt.failed(item, settle.event, settle.error, settle.effect, due)
    return Update(failed, item, _note(settle, failed, clock), settle.trace)


def _note(settle: Settle, item: Item, clock: Clock) -> Note | None:
    """None where nothing failed (it was not begun, or delivery stopped), and where the link fails with the same error
    as before: an outage of a week is one line."""
    error: IrisError | None = settle.error
    if error is None or isinstance(error, DeliveryStopped):
        return None
    failure = attempt.failure(error)
    if settle.event is Event.RELEASE and item.last_error == failure:
        return None
    return Note(clock.wall_s(), settle.event, item.attempts, failure)
