"""What an operator wants done, as values. `execute(order)` of an uploader, or of an `OutboxControl`, carries one out.

An order says what it makes of an item or a server; the writer commits that. An item that is under way is left alone:
its bytes are on the link, and what becomes of it is known in a moment.
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
    """Answered with what became of each item: empty when it was done, else why not, in words."""

    verb: ClassVar[str]  # also on the control socket
    ids: Sequence[str]

    @abstractmethod
    def change(self, item: Item, now_s: float) -> Update | End | str:
        """The change, or in words why there is none."""


@dataclass(frozen=True, slots=True)
class RetryItems(ItemOrder):
    """Dead items wait again, with all their attempts."""

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
    """The same for every dead item whose bytes the outbox has; within one process, since its answer has any length."""


@dataclass(frozen=True, slots=True)
class DropItems(ItemOrder):
    """Items that wait or are dead are given up for good, and their bytes in the outbox."""

    verb = "drop"
    reason: str = "dropped by hand"

    def change(self, item: Item, now_s: float) -> End | str:
        return _under_way(item) or ended(item, Event.DROP, now_s, self.reason)


@dataclass(frozen=True, slots=True)
class CancelItems(ItemOrder):
    """The same on the word of the program that queued them."""

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
    """`server` is a key, "user@host:port", or the name that a server is configured by."""

    verb: ClassVar[str]
    is_tried_at_once: ClassVar[bool] = False  # also one that waits for a person
    server: str

    @abstractmethod
    def change(self, state: ServerState) -> ServerState: ...


@dataclass(frozen=True, slots=True)
class PauseServer(ServerOrder):
    """Nothing more is sent to it until it is resumed, over any restart; what is under way is finished."""

    verb = "pause"

    def change(self, state: ServerState) -> ServerState:
        return state._replace(paused=True)


@dataclass(frozen=True, slots=True)
class ResumeServer(ServerOrder):
    """It is sent to again, and tried at once where it waits for a person (a refused login, a changed host key)."""

    verb = "resume"
    is_tried_at_once = True

    def change(self, state: ServerState) -> ServerState:
        return state._replace(paused=False, breaker=None)


Order = ItemOrder | ServerOrder
_KINDS: tuple[type[Order], ...] = (RetryItems, DropItems, CancelItems, SetPriority, PauseServer, ResumeServer)
ORDERS: Mapping[str, type[Order]] = {kind.verb: kind for kind in _KINDS}


def ended(item: Item, event: Event, now_s: float, reason: str) -> End:
    """DROP, EXPIRE or CANCEL. One whose rename was left unanswered may have arrived all the same: that is said."""
    if item.effect is Effect.UNKNOWN:
        reason = f"{reason}; it may have arrived all the same" if reason else "it may have arrived all the same"
    gone = replace(item, state=next_state(item.state, event))
    return End(gone, Note(now_s, event, item.attempts, item.last_error), reason, before=item)


def _under_way(item: Item) -> str:
    return "it is under way just now" if item.state is State.IN_FLIGHT else ""
