"""How a claim and its outcome change an item: pure values.

A token is open while its temp file may lie on the server and nobody knows how far it got. The next attempt has to know
every open token, or that file stays there for ever.

- Each claim has a new token, so that a late request of a dead session cannot touch its file. The open tokens stand in
  `earlier_tokens`, oldest first. More than one is rare: it takes two kills, the second before an attempt has cleared up
  after the first.
- Only an item whose rename was not answered (UNKNOWN) keeps its token: that attempt is finished, not repeated.
- An attempt that touched nothing (the link was down) opens no token and closes none.
- A member of an archive stays in it for as long as the archive may have arrived.
"""

from dataclasses import replace

from iris_communication.errors import Effect, IrisError
from iris_communication.item import Due, Event, Failure, Item, Upload, next_state

EARLIER_MAX = 8  # tokens kept for one item: one for each kill in a row without an answer of the server


def claimed(item: Item, token: str) -> Item:
    """The item in flight, under `token`."""
    state = next_state(item.state, Event.CLAIM)
    if item.effect is Effect.UNKNOWN:
        return replace(item, state=state)
    earlier = (*item.earlier_tokens, item.token) if item.effect is Effect.UNSEEN and item.token else ()
    return replace(item, state=state, token=token, earlier_tokens=earlier[-EARLIER_MAX:])


def failed(item: Item, event: Event, error: IrisError | None, effect: Effect, due: Due | None) -> Item:
    """The item after FAIL or GIVE_UP: an attempt is spent. `effect` is what this attempt may have left behind."""
    return replace(
        item,
        state=next_state(item.state, event),
        attempts=item.attempts + 1,
        due=due,
        effect=effect,
        batch_id=None,
        last_error=failure(error) if error else item.last_error,
    )


def released(item: Item, error: IrisError | None, effect: Effect) -> Item:
    """The item waits again and no attempt is spent. `effect` NONE: this attempt touched nothing on the server."""
    token, earlier = item.token, item.earlier_tokens
    if effect is Effect.NONE:
        effect = item.effect
        if effect is Effect.UNSEEN and earlier:
            token, earlier = earlier[-1], earlier[:-1]
    return replace(
        item,
        state=next_state(item.state, Event.RELEASE),
        token=token,
        earlier_tokens=earlier,
        effect=effect,
        batch_id=None if effect is Effect.NONE else item.batch_id,
        last_error=failure(error) if error else item.last_error,
    )


def unclear(upload: Upload) -> Effect:
    """The effect after an attempt with an unknown end: UNKNOWN stays, as the stronger fact."""
    return Effect.UNKNOWN if upload.effect is Effect.UNKNOWN else Effect.UNSEEN


def failure(error: IrisError) -> Failure:
    return Failure(type(error).__name__, str(error), error.hint)
