"""What a person's word, a full outbox or the clock make of an item: pure values.

An item that is under way is left alone: its bytes are on the link, and what becomes of it is known in a moment.
"""

from dataclasses import replace

from iris_communication.errors import Effect
from iris_communication.item import Event, Item, State, next_state
from iris_communication.outbox.store.contract import End, Note, Update
from iris_communication.outbox.writer.messages import Order

_IN_THE_WAY = {
    State.IN_FLIGHT: "it is under way just now",
    State.WAITING: "it waits already",
}


def carried_out(order: Order, item: Item, now_s: float) -> Update | End | str:
    """The change, or in words why there is none."""
    if order.event is None:
        assert order.priority is not None, "an order says what is to be done"
        if item.state is State.IN_FLIGHT:
            return _IN_THE_WAY[item.state]
        return Update(replace(item, priority=order.priority), item)
    if order.event is Event.RETRY:
        if item.state is not State.DEAD:
            return _IN_THE_WAY[item.state]
        if item.fingerprint is None:
            return "its source was never taken over: queue it again"
        again = replace(item, state=next_state(item.state, Event.RETRY), attempts=0, due=None)
        return Update(again, item, Note(now_s, Event.RETRY, item.attempts))
    if item.state is State.IN_FLIGHT:
        return _IN_THE_WAY[item.state]
    return ended(item, order.event, now_s, order.reason)


def ended(item: Item, event: Event, now_s: float, reason: str) -> End:
    """DROP, EXPIRE or CANCEL. One whose rename was left unanswered may have arrived all the same: that is said."""
    if item.effect is Effect.UNKNOWN:
        reason = f"{reason}; it may have arrived all the same" if reason else "it may have arrived all the same"
    gone = replace(item, state=next_state(item.state, event))
    return End(gone, Note(now_s, event, item.attempts, item.last_error), reason, before=item)
