"""Puts right what a crash left, before anything new is accepted. Every step may be interrupted and done again.

- An item that was in flight waits again, and nobody knows how far it got: its next attempt asks the server first.
- A source that was handed over for good, and was not unlinked yet, is unlinked now, if it is still that very file.
- The source of a delivered file is deleted or moved where its rule asks for that and the process before did not come to
  it.
- A spool file without a row was never accepted, or its delivery is recorded: it is removed. Where commits may have been
  lost, such a file may be all that is left of an item: it is put aside.
- An item without its bytes is dead, and logged with its source; the others go on.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace

from iris_communication.decisions.attempt import failure, unclear
from iris_communication.errors import SpoolMissing
from iris_communication.item import Event, Item, State, Take, next_state
from iris_communication.outbox.files.spool import Spool, still_is
from iris_communication.outbox.recovery.source_action import after_delivery
from iris_communication.outbox.store.contract import SourceTreated, Store, Update

log = logging.getLogger(__name__)

CHANGES_AT_ONCE = 1000


def recover(store: Store, spool: Spool, put_aside: Callable[[str], None] | None = None) -> None:
    """`put_aside` is given where commits may have been lost: it takes the id of a spool file without a row."""
    sizes = spool.sizes()
    changes: list[Update] = []
    for item in list(store.unfinished()):
        fingerprint = item.fingerprint
        assert fingerprint is not None, "the schema keeps items without bytes dead"
        if not item.in_store:
            held = sizes.pop(item.id, None)
            if held != fingerprint.size_bytes:
                changes.append(Update(_without_bytes(item, held)))
                continue
        if item.take is Take.MOVE and still_is(item.source_path, fingerprint):
            with contextlib.suppress(OSError):
                os.unlink(item.source_path)
        if item.state is State.IN_FLIGHT:
            changes.append(Update(_cut_off(item)))
    for start in range(0, len(changes), CHANGES_AT_ONCE):
        store.commit(changes[start : start + CHANGES_AT_ONCE])
    treat_sources(store)
    for item_id in sizes:
        if store.state(item_id) == State.DEAD.value:
            continue
        if put_aside is not None and store.state(item_id) is None:
            put_aside(item_id)
        else:
            _sweep(spool, item_id)


def treat_sources(store: Store) -> None:
    """Delete or move the sources that are yet to be treated; a damaged line is logged."""
    treated = []
    for item_id in store.source_actions():
        line = store.line_of(item_id)
        try:
            if line is not None:
                after_delivery(store, line)
        except (ValueError, TypeError, KeyError) as error:
            log.error("the ledger's line of %s cannot be read (%r): its source stays in place", item_id, error)
        treated.append(SourceTreated(item_id))
    if treated:
        store.commit(treated)


def _sweep(spool: Spool, item_id: str) -> None:
    try:
        spool.discard(item_id)
    except OSError as error:
        log.error("%s belongs to no item and cannot be removed: %s", spool.path(item_id), error.strerror)


def _cut_off(item: Item) -> Item:
    return replace(item, state=next_state(item.state, Event.RELEASE), effect=unclear(item))


def _without_bytes(item: Item, held: int | None) -> Item:
    what = "is gone from" if held is None else "has another size in"
    error = SpoolMissing(f"{item.source_path!r} ({item.id}) {what} the spool")
    log.error("%s; it is dead", error)
    return replace(item, state=next_state(item.state, Event.GIVE_UP), last_error=failure(error))
