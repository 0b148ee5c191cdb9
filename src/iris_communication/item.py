"""What is owed: one file, to one server, under one name, and the states it can be in.

An item's id, server key and remote path are fixed when it is accepted. Every accepted id is in exactly one state;
`TRANSITIONS` is the whole life of an item, and whoever changes a state asks it first. `delivered` has no way out:
its row becomes a line of the ledger.
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


class Event(Enum):
    CLAIM = "claim"  # the uploader takes it, under a new token
    DELIVER = "deliver"  # its rename is confirmed
    FAIL = "fail"  # the item's own fault: an attempt is spent, it is due later
    RELEASE = "release"  # not its fault (link, server, stop, crash): it waits again, no attempt is spent
    GIVE_UP = "give_up"  # no attempt left, or none would help
    RETRY = "retry"  # the operator's word: a dead one waits again with all its attempts


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.WAITING, Event.CLAIM): State.IN_FLIGHT,
    (State.WAITING, Event.GIVE_UP): State.DEAD,
    (State.IN_FLIGHT, Event.DELIVER): State.DELIVERED,
    (State.IN_FLIGHT, Event.FAIL): State.WAITING,
    (State.IN_FLIGHT, Event.RELEASE): State.WAITING,
    (State.IN_FLIGHT, Event.GIVE_UP): State.DEAD,
    (State.DEAD, Event.RETRY): State.WAITING,
}


class TransitionRefused(ValueError):
    """An event that its state does not know: the caller's picture of the item is out of date."""


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
    """Not before this time since boot, in this boot; after a reboot it is due at once."""

    boot_id: str
    boot_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """The last error of an item, in words that can be stored and shown."""

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
    earlier_token: str | None = None  # of the attempt before, while nobody knows how far that one got
    effect: Effect = Effect.NONE  # what the attempt before the next one may have left behind
    last_error: Failure | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """Proof of one delivery: where it lies now, what it is, and whose host key took it."""

    final_path: str
    size_bytes: int
    sha256: str
    host_key: str | None  # SHA256:... fingerprint; None where an injected transferData() delivered
    at_s: float  # wall time
