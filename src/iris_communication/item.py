"""What is owed: one file, to one server, under one name, and the states it can be in.

An item's id, server key and remote path are fixed when it is accepted. Every accepted id is in exactly one state;
`TRANSITIONS` is the whole life of an item, and code that changes a state consults it first. Four states are final: the
row of a delivered item becomes a line of the ledger; the row of a dropped, expired or cancelled item becomes a row
that says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from iris_communication.errors import Effect


class State(Enum):
    WAITING = "waiting"
    IN_FLIGHT = "in_flight"
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OWED = (State.WAITING, State.IN_FLIGHT)
OWED_OR_DEAD = (*OWED, State.DEAD)  # it has a row in the outbox
ENDED = (State.DROPPED, State.EXPIRED, State.CANCELLED)  # for good, and not delivered


class Event(Enum):
    CLAIM = "claim"  # the uploader takes it, under a new token
    DELIVER = "deliver"  # its rename is confirmed
    FAIL = "fail"  # the item's own fault: an attempt is spent, it is due later
    RELEASE = "release"  # not its fault (link, server, stop, crash): it waits again, no attempt is spent
    GIVE_UP = "give_up"  # no attempt left, or none would help
    RETRY = "retry"  # an operator's order: a dead item waits again with all its attempts
    DROP = "drop"  # an operator's order, or it gave way in a full outbox
    EXPIRE = "expire"  # its time is over: it would come too late
    CANCEL = "cancel"  # its caller takes it back


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.WAITING, Event.CLAIM): State.IN_FLIGHT,
    (State.WAITING, Event.GIVE_UP): State.DEAD,
    (State.IN_FLIGHT, Event.DELIVER): State.DELIVERED,
    (State.IN_FLIGHT, Event.FAIL): State.WAITING,
    (State.IN_FLIGHT, Event.RELEASE): State.WAITING,
    (State.IN_FLIGHT, Event.GIVE_UP): State.DEAD,
    (State.IN_FLIGHT, Event.DROP): State.DROPPED,
    (State.DEAD, Event.RETRY): State.WAITING,
    (State.DEAD, Event.DROP): State.DROPPED,
    (State.DEAD, Event.CANCEL): State.CANCELLED,
    (State.WAITING, Event.DROP): State.DROPPED,
    (State.WAITING, Event.EXPIRE): State.EXPIRED,
    (State.WAITING, Event.CANCEL): State.CANCELLED,
}


class TransitionRefused(ValueError):
    """The item's state does not allow this event: what the caller knows of the item is out of date."""


def next_state(state: State, event: Event) -> State:
    """The state after `event`. Raises TransitionRefused where the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise TransitionRefused(f"an item that is {state.value} cannot {event.value}") from None


class Take(Enum):
    """What becomes of the caller's file when it is accepted."""

    COPY = "copy"  # left where it is
    MOVE = "move"  # ours from then on: unlinked once the outbox holds it durably


class After(Enum):
    """What becomes of the source once it is delivered, if it is still the file that was accepted."""

    KEEP = "keep"
    DELETE = "delete"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Which bytes were accepted: the source's identity then, and the SHA-256 (hex) of its content."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Due:
    """A time since boot, in this boot: a wall clock that jumps changes nothing about it."""

    boot_id: str
    boot_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The last error of an item, as text that can be stored and shown."""

    error: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    sequence: int  # order of acceptance, from 1; 0 until the store has given one
    server_key: str
    source_path: str
    remote_path: str  # surrogate escapes stand for bytes that are no UTF-8, as os.fsdecode makes them
    folder_type: str
    project_settings: Mapping[str, Any]
    take: Take
    fingerprint: Fingerprint | None  # None: the source could not be taken over; such an item is dead from the start
    accepted_s: float  # wall time
    state: State = State.WAITING
    attempts: int = 0  # failed by its own fault so far
    due: Due | None = None
    token: str | None = None  # names the temp file of the latest attempt
    earlier_tokens: tuple[str, ...] = ()  # of attempts before it, oldest first, while nobody knows how far they got
    effect: Effect = Effect.NONE  # what the attempt before the next one may have left behind
    last_error: Failure | None = None
    priority: int = 0  # higher goes first
    batch: str = ""  # the queue of what may travel together: format and remote folder; empty: it is sent alone
    batch_id: str | None = None  # the archive it is in, from the claim until that archive is settled
    ttl_s: float | None = None
    expires: Due | None = None  # while it waits
    after: After = After.KEEP
    move_to: str = ""  # a folder; of MOVE
    durable_s: float | None = None  # wall time, at the latest; known from the first claim on
    in_store: bool = False  # its content is stored with its row; else its bytes are a file in the spool

    @property
    def held_bytes(self) -> int:
        """In the store or the spool."""
        return self.fingerprint.size_bytes if self.fingerprint else 0


@dataclass(frozen=True, slots=True)
class Archive:
    """Items that travel in one file: claimed under one token, carried as one, settled in one commit."""

    id: str  # its members' `batch_id`
    server_key: str
    remote_path: str
    kind: str  # its format
    token: str | None
    earlier_tokens: tuple[str, ...]
    effect: Effect
    members: tuple[Item, ...]  # in order of acceptance
    fingerprint: Fingerprint | None = None  # None: it is yet to be made


Upload = Item | Archive  # what is claimed, and travels as one file


@dataclass(frozen=True, slots=True)
class Delivered:
    """Proof of one delivery: where the file lies, what it is, and the host key of the server that took it."""

    final_path: str
    size_bytes: int
    sha256: str
    host_key: str | None  # SHA256:... fingerprint; None where an injected transferData() delivered
    at_s: float  # wall time
    archive_size_bytes: int | None = None  # if it travelled in an archive: of that archive, at `final_path`
    archive_sha256: str | None = None
