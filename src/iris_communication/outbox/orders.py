"""What an operator wants done, as values. `execute(order)` of an uploader, or of an `OutboxControl`, carries one out.

An order says how it changes an item or a server; the writer commits that. It changes no item in flight: its bytes are
on the link, and its outcome is known in a moment.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from iris_communication.errors import Effect
from iris_communication.item import Event, Item, State, next_state
from iris_communication.outbox.store.contract import End, Note, ServerState, Update
from iris_communication.settings import check_priority


@dataclass(frozen=True, slots=True)
class ItemOrder(ABC):
    """Answered with the outcome for each item: empty when it was done, else a sentence why not."""

    verb: ClassVar[str]  # also on the control socket
    ids: Sequence[str]

    @abstractmethod
    def change(self, item: Item, now_s: float) -> Update | End | str:
        """The change, or a sentence why there is none."""


@dataclass(frozen=True, slots=True)
class RetryItems(ItemOrder):
    """Dead items wait again, and have all their attempts again."""

    verb = "retry"

    def change(self, item: Item, now_s: float) -> Update | str:
        if item.state is not State.DEAD:
            return _under_way(item) or "it waits already"
        if item.fingerprint is None:
            return "its source was never taken over: queue it again"
        again = replace(item, state=next_state(item.state, Event.RETRY), attempts=0, due=None)
        return Update(again, item, Note(now_s, Event.RETRY, item.attempts))


@dataclass(frozen=True, slots=True)
class RetryAllDead:
    """The same for every dead item whose bytes the outbox has. Not on the control socket, since its answer may have any
    length."""


@dataclass(frozen=True, slots=True)
class DropItems(ItemOrder):
    """Waiting and dead items end undelivered, and their bytes in the outbox are removed."""

    verb = "drop"
    reason: str = "dropped by hand"

    def change(self, item: Item, now_s: float) -> End | str:
        return _under_way(item) or ended(item, Event.DROP, now_s, self.reason)


@dataclass(frozen=True, slots=True)
class CancelItems(ItemOrder):
    """The same at the request of the program that queued them."""

    verb = "cancel"
    reason: str = "its caller took it back"

    def change(self, item: Item, now_s: float) -> End | str:
        return _under_way(item) or ended(item, Event.CANCEL, now_s, self.reason)


@dataclass(frozen=True, slots=True)
class SetPriority(ItemOrder):
    """From -9 to 9; higher priorities are sent first. Making one raises InvalidRequest."""

    verb = "priority"
    priority: int

    def __post_init__(self) -> None:
        check_priority(self.priority)

    def change(self, item: Item, now_s: float) -> Update | str:
        return _under_way(item) or Update(replace(item, priority=self.priority), item)


@dataclass(frozen=True, slots=True)
class ServerOrder(ABC):
    """`server` is a key, "user@host:port", or the name of a configured server."""

    verb: ClassVar[str]
    is_tried_at_once: ClassVar[bool] = False  # also a server whose breaker is held
    server: str

    @abstractmethod
    def change(self, state: ServerState) -> ServerState: ...


@dataclass(frozen=True, slots=True)
class PauseServer(ServerOrder):
    """The worker sends nothing more to it until it is resumed, also after a restart; uploads under way are finished."""

    verb = "pause"

    def change(self, state: ServerState) -> ServerState:
        return state._replace(paused=True)


@dataclass(frozen=True, slots=True)
class ResumeServer(ServerOrder):
    """The worker sends to it again, and tries at once where it waited for a person (a refused login, a changed host
    key)."""

    verb = "resume"
    is_tried_at_once = True

    def change(self, state: ServerState) -> ServerState:
        return state._replace(paused=False, breaker=None)


Order = ItemOrder | ServerOrder
_KINDS: tuple[type[Order], ...] = (RetryItems, DropItems, CancelItems, SetPriority, PauseServer, ResumeServer)
ORDERS: Mapping[str, type[Order]] = {kind.verb: kind for kind in _KINDS}


def ended(item: Item, event: Event, now_s: float, reason: str) -> End:
    """DROP, EXPIRE or CANCEL. An item whose rename was not answered may have arrived: then the reason says so."""
    if item.effect is Effect.UNKNOWN:
        reason = f"{reason}; it may have arrived all the same" if reason else "it may have arrived all the same"
    gone = replace(item, state=next_state(item.state, event))
    return End(gone, Note(now_s, event, item.attempts, item.last_error), reason, before=item)


def _under_way(item: Item) -> str:
    return "it is under way just now" if item.state is State.IN_FLIGHT else ""
