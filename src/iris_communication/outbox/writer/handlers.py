"""The handler of each message: checks it against what is stored, and turns it into changes of one group.

Everything here runs on the writer's thread. A message is prepared, then the group is committed, and only then callers
are answered (`recorded`).
"""

import contextlib
import logging
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from iris_communication.clock import Clock
from iris_communication.decisions.breaker import BreakerState
from iris_communication.errors import IrisError, ItemCancelled, ItemDropped, ItemExpired, OutboxStorageError
from iris_communication.item import After, Delivered, Event, Item, State
from iris_communication.outbox.files.servers import Servers
from iris_communication.outbox.files.spool import still_is
from iris_communication.outbox.orders import ItemOrder, RetryAllDead, RetryItems, ServerOrder, ended
from iris_communication.outbox.recovery.source_action import after_delivery
from iris_communication.outbox.store.contract import End, ServerState
from iris_communication.outbox.writer.accepting import Accepting
from iris_communication.outbox.writer.claiming import Claiming
from iris_communication.outbox.writer.commit_group import CommitGroup
from iris_communication.outbox.writer.committer import Committer
from iris_communication.outbox.writer.messages import (
    Accept,
    Claim,
    CloseOutbox,
    Execute,
    Flush,
    KeepBreaker,
    Message,
    OwedNames,
    ReadContents,
    RememberServer,
    Settle,
    SettleArchive,
)
from iris_communication.outbox.writer.receipt import Receipt
from iris_communication.outbox.writer.settling import settled
from iris_communication.outbox.writer.tokens import Tokens
from iris_communication.plain_text import ERROR_TEXT_MAX, clean
from iris_communication.runtime.repeats import Repeats
from iris_communication.settings import Secret, Server

log = logging.getLogger(__name__)

EXPIRED_AT_ONCE = 100

Receipts = weakref.WeakValueDictionary[str, Receipt]


class Handlers:
    """`server_changed` is called with the key of a server that has new facts; `receipts` outlive the handlers."""

    def __init__(
        self,
        committer: Committer,
        servers: Servers,
        acceptance: Accepting,
        claims: Claiming,
        tokens: Tokens,
        clock: Clock,
        server_changed: Callable[[str], None],
        receipts: Receipts,
    ) -> None:
        self._committer = committer
        self._servers = servers
        self._acceptance = acceptance
        self._claims = claims
        self._tokens = tokens
        self._clock = clock
        self._treated: list[str] = []  # delivered items whose source was treated, to be recorded
        self._repeats = Repeats(log, clock.monotonic_s, per_file=True)
        self._server_changed = server_changed
        self._sequence = committer.last_sequence
        self._receipts = receipts
        self._handler_of: dict[type[Message], Callable[[Any, CommitGroup], None]] = {
            Accept: self._prepare_accept,
            Claim: self._prepare_claim,
            CloseOutbox: lambda message, group: None,  # the writer ends after this group
            Execute: self._prepare_order,
            Flush: self._prepare_flush,
            KeepBreaker: self._prepare_breaker,
            OwedNames: self._prepare_owed_names,
            ReadContents: self._prepare_contents,
            RememberServer: self._prepare_server,
            Settle: self._prepare_settle,
            SettleArchive: self._prepare_settles,
        }

    def begin(self) -> CommitGroup:
        """A new group; refused messages of the group before have used up no sequence."""
        self._sequence = self._committer.last_sequence
        group = CommitGroup()
        group.treated = self._treated.copy()
        self.expire(group)
        return group

    @property
    def next_expiry_in_s(self) -> float | None:
        """Seconds until the next waiting item expires; None: none does. Raises OutboxStorageError."""
        next_s = self._committer.counters.next_expiry_s
        return None if next_s is None else max(0.0, next_s - self._clock.boot_s())

    def expire(self, group: CommitGroup) -> None:
        """End waiting items whose time to live is over, before they could be handed out."""
        try:
            next_s = self._committer.counters.next_expiry_s
            if next_s is None or next_s > self._clock.boot_s():
                return
            with self._committer.reading() as store:
                over = store.expired(self._clock.boot_s(), EXPIRED_AT_ONCE)
        except OutboxStorageError:
            return  # the store is opened anew, then asked again
        for item in over:
            reason = f"not delivered within {item.ttl_s:g} s"
            path = clean(item.remote_path, ERROR_TEXT_MAX)
            self._repeats.log("expired", logging.WARNING, "%s (%s) has expired: %s", path, item.id, reason)
            group.add(ended(item, Event.EXPIRE, self._clock.wall_s(), reason))

    def prepare(self, message: Message, group: CommitGroup) -> None:
        """Add the message's changes to the group. Raises IrisError when it cannot be carried out, now or ever; then
        nothing of it is in the group."""
        self._handler_of[type(message)](message, group)

    def _prepare_accept(self, accept: Accept, group: CommitGroup) -> None:
        for destination in accept.destinations:
            # Even when the outbox is full: what fills it may be waiting for just this password.
            self._remember(destination.server, destination.secret, group)
        accepted = self._acceptance.prepare(accept, group, self._tokens(), self._sequence)
        self._sequence += len(accepted)
        receipts = [Receipt(each.item.id) for each in accepted]
        for receipt, each in zip(receipts, accepted, strict=True):
            if each.error is not None:
                receipt.settle(each.error)
            self._receipts[receipt.id] = receipt
        group.then(lambda: accept.answer.give(receipts), accept.answer.give)

    def _remember(self, server: Server, secret: Secret, group: CommitGroup, name: str | None = None) -> None:
        """Store a server. New facts release a held breaker; known facts do not."""
        if self._servers.knows(server, secret):
            if name is not None and self._servers.named(name) != server:
                self._servers.remember(server, secret, name)
            return
        self._servers.remember(server, secret, name)
        kept = self._server_state(server.key, group).breaker
        if kept is not None and kept.get("state") == BreakerState.HELD.value:
            self._set_server(server.key, group, breaker=None)  # also for a worker that has not read it yet
        self._server_changed(server.key)

    def _prepare_claim(self, claim: Claim, group: CommitGroup) -> None:
        with self._committer.reading() as store:
            claimed = self._claims.prepare(store, claim, group, full=not self._acceptance.has_reserve)
            contents = store.contents([upload for upload in claimed if isinstance(upload, Item)])

        def hand_out() -> None:
            self._claims.held.hold(contents)
            claim.reply(claimed)

        group.then(hand_out, lambda error: claim.reply([]))

    def _prepare_settle(self, settle: Settle, group: CommitGroup) -> None:
        item = self._committer.counters.in_flight.get(settle.item.id)
        if item is None or group.touches(item.id):
            return  # settled before: a repeated settlement does nothing
        group.add(settled(settle, item, group.head or self._committer.head, self._clock))
        group.settles.append(settle)

    def _prepare_settles(self, archive: SettleArchive, group: CommitGroup) -> None:
        for settle in archive.settles:
            self._prepare_settle(settle, group)

    def _prepare_order(self, execute: Execute, group: CommitGroup) -> None:
        order = execute.order
        outcomes: dict[str, str] = {}
        if isinstance(order, ServerOrder):
            self._order_server(order, group)
        else:
            outcomes = self._order_items(order, group)
        group.then(lambda: execute.answer.give(outcomes), execute.answer.give)

    def _order_server(self, order: ServerOrder, group: CommitGroup) -> None:
        group.servers[order.server] = order.change(self._server_state(order.server, group))
        if order.is_tried_at_once:
            group.done.append(lambda: self._server_changed(order.server))

    def _order_items(self, order: ItemOrder | RetryAllDead, group: CommitGroup) -> dict[str, str]:
        """Each item is read again: the operator saw an earlier state."""
        outcomes: dict[str, str] = {}
        with self._committer.reading() as store:
            if isinstance(order, RetryAllDead):
                dead = [item for item in store.dead(self._committer.counters.dead) if item.fingerprint is not None]
                found: Iterable[tuple[str, Item | None]] = [(item.id, item) for item in dead]
                order = RetryItems(())
            else:
                found = [(item_id, store.item(item_id)) for item_id in order.ids]
            for item_id, item in found:
                if item is None:
                    state = store.state(item_id)
                    outcomes[item_id] = f"it is {state}" if state else "no such item"
                elif group.touches(item_id):
                    outcomes[item_id] = "it changes just now"
                else:
                    outcomes[item_id] = self._order_item(order, item, group)
        if isinstance(order, RetryItems):
            again = [item_id for item_id, why in outcomes.items() if not why]
            group.done.append(lambda: self._owe_again(again))
        return outcomes

    def _order_item(self, order: ItemOrder, item: Item, group: CommitGroup) -> str:
        change = order.change(item, self._clock.wall_s())
        if isinstance(change, str):
            return change
        if isinstance(change, End):
            log.info("%s (%s) is %s: %s", item.remote_path, item.id, change.item.state.value, change.reason)
        group.add(change)
        return ""

    def _owe_again(self, ids: Iterable[str]) -> None:
        for item_id in ids:
            receipt = self._receipts.get(item_id)
            if receipt is not None:
                receipt.owe_again()

    def _prepare_breaker(self, breaker: KeepBreaker, group: CommitGroup) -> None:
        self._set_server(breaker.server_key, group, breaker=breaker.facts)

    def _prepare_server(self, message: RememberServer, group: CommitGroup) -> None:
        self._remember(message.server, message.secret, group, message.name)
        message.answer.give(None)

    def _prepare_contents(self, message: ReadContents, group: CommitGroup) -> None:
        with self._committer.reading() as store:
            message.answer.give(store.contents(message.items))

    def _prepare_owed_names(self, message: OwedNames, group: CommitGroup) -> None:
        with self._committer.reading() as store:
            message.answer.give(frozenset(store.owed_names()))

    def _prepare_flush(self, flush: Flush, group: CommitGroup) -> None:
        group.last.append(lambda: flush.answer.give(None))

    def _set_server(self, server_key: str, group: CommitGroup, **facts: Any) -> None:
        """Change these facts of a server in the group, which has one change for each server; the others stay."""
        group.servers[server_key] = self._server_state(server_key, group)._replace(**facts)

    def _server_state(self, server_key: str, group: CommitGroup) -> ServerState:
        return group.servers.get(server_key) or self._committer.snapshot.servers.get(server_key, ServerState())

    def recorded(self, group: CommitGroup) -> None:
        """After the commit: callers are answered first, as they are waiting; then bytes that are not owed any more are
        removed."""
        self._treated = self._treated[len(group.treated) :]
        for done in group.done:
            done()
        for settle in group.settles:
            self._settled(settle)
        for item in group.ended:
            self._withdrawn(item)
        group.end()

    def _settled(self, settle: Settle) -> None:
        item = settle.item
        self._claims.held.let_go(item.id)
        if settle.event is Event.DELIVER:
            if item.after is not After.KEEP:
                self._act_on_source(item)
                self._treated.append(item.id)
            self._committer.release(item)
            self._settle_receipt(item.id, settle.delivered)
        elif settle.event in (Event.GIVE_UP, Event.DROP):
            self._settle_receipt(item.id, settle.error)

    def _act_on_source(self, item: Item) -> None:
        fingerprint = item.fingerprint
        assert fingerprint is not None, "what was delivered had bytes"
        with contextlib.suppress(OutboxStorageError), self._committer.reading() as store:
            line = store.line_of(item.id)
            if line is not None:
                after_delivery(store, line, lambda source: still_is(source, fingerprint))

    def _withdrawn(self, item: Item) -> None:
        self._committer.release(item)
        kind = {State.DROPPED: ItemDropped, State.EXPIRED: ItemExpired, State.CANCELLED: ItemCancelled}[item.state]
        self._settle_receipt(item.id, kind(f"{item.remote_path!r} ({item.id}) is {item.state.value}"))

    def _settle_receipt(self, item_id: str, outcome: Delivered | IrisError | None) -> None:
        receipt = self._receipts.get(item_id)
        if receipt is not None and outcome is not None and receipt.outcome is None:
            receipt.settle(outcome)
