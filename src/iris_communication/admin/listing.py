"""What lies in an outbox, item by item, and one item's whole story; for people and their programs.

It only reads, as every process beside the owner does. A long list is read in pages, each a snapshot of its own, so an
item that changes meanwhile is listed as it was when its page was read. An item that changes tables between two pages
may be listed twice, and none is skipped: owed items come first, then ended ones, then delivered ones.
"""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from iris_communication.clock import Clock
from iris_communication.errors import InvalidRequest, OutboxDamaged
from iris_communication.item import ENDED, OWED_OR_DEAD, State
from iris_communication.naming import host_names
from iris_communication.outbox.store.reader import Reader, ReadTransaction

ANY = "all"
IN_ITEMS = tuple(state.value for state in OWED_OR_DEAD)
IN_ENDED = tuple(state.value for state in ENDED)
DELIVERED = State.DELIVERED.value
STATES = (*IN_ITEMS, *IN_ENDED, DELIVERED)
PREFIXES_SHOWN = 10
_FAILURE = ("error", "message", "hint")  # as errors are stored

Story = dict[str, Any]


class NoSuchItem(InvalidRequest):
    """An id, or the beginning of one, that no item has."""

    default_hint = "`iris queue list --state all` lists every id"


class NoSuchServer(InvalidRequest):
    default_hint = "give a server's name from the settings, or its key: user@host:port"


class QueueListing:
    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    def items(
        self,
        state: str | None = None,
        server: str | None = None,
        folder_type: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Story]:
        """Items in order of acceptance, the delivered ones in order of delivery; `state` None: what is owed or dead,
        "all": every item ever accepted. `server` is a key. Raises InvalidRequest for an unknown state."""
        if state not in (None, ANY, *STATES):
            raise InvalidRequest(f"no state {state!r}", hint=f"there are {', '.join(STATES)} and {ANY}")
        yield from islice(self._items(state, server, folder_type), None if limit is None else max(0, limit))

    def story(self, item_id: str) -> Story:
        """What is known of one item: its facts, each thing that happened to it, the proof of its delivery, the protocol
        events of a dead one. Raises NoSuchItem."""
        return self._reader.read(lambda snapshot: self._story(snapshot, item_id))

    def matching(self, beginning: str) -> list[str]:
        """Up to PREFIXES_SHOWN ids that begin so; a whole id is alone. Raises NoSuchItem."""
        if not beginning.isascii() or not beginning.isprintable():
            raise NoSuchItem(f"no item has the id {beginning!r}")
        between = (beginning, beginning + "\x7f")

        def ask(snapshot: ReadTransaction) -> list[str]:
            return [item_id for (item_id,) in snapshot.all("ids_from", *between * 3, PREFIXES_SHOWN)]

        found = sorted(self._reader.read(ask)) if beginning else []
        if not found:
            raise NoSuchItem(f"no item has an id that begins with {beginning!r}")
        return [beginning] if beginning in found else found

    def server_key(self, word: str) -> str:
        """The key of the server that is meant by a configured name, or by the key itself. Raises NoSuchServer."""
        names, keys = self._servers()
        if word in names:
            return names[word]
        keys |= {key for (key,) in self._reader.read(lambda snapshot: snapshot.all("known_servers"))}
        for key in (word, host_names.canonical_key(word)):
            if key in keys:
                return key
        known = ", ".join([*sorted(names), *sorted(keys)]) or "none yet"
        raise NoSuchServer(f"this outbox has no server {word!r}; it has {known}")

    def halted(self) -> list[Story]:
        """The servers that are sent nothing now, each with why: `paused` by a person, `held` until a person has
        corrected what `error` says, or neither: it did not answer, and is retried automatically."""
        rows = self._reader.read(lambda snapshot: snapshot.all("server_states"))
        return [server for row in rows if (server := _halted(*row))]

    def _items(self, state: str | None, server: str | None, folder_type: str | None) -> Iterator[Story]:
        only = (None if state == ANY else state, server, folder_type)
        twice = [value for each in only for value in (each, each)]
        if state in (None, ANY, *IN_ITEMS):
            yield from map(_from_row, self._reader.rows("item_rows", *twice))
        if state in (ANY, *IN_ENDED):
            yield from map(_from_row, self._reader.rows("ended_rows", *twice))
        if state in (ANY, DELIVERED):
            for _, item_id, line, _ in self._reader.rows("ledger_after"):
                item = _delivered(line, item_id)
                if server in (None, item["server"]) and folder_type in (None, item["folder_type"]):
                    yield item

    def _story(self, snapshot: ReadTransaction, item_id: str) -> Story:
        facts = self._facts(snapshot, item_id)
        history = [{"at": facts["accepted"], "event": "accept", "attempt": 0, "error": None}]
        for at_s, event, attempt, error in snapshot.all("history_of", item_id):
            history.append({"at": utc(at_s), "event": event, "attempt": attempt, "error": _failure(error)})
        if facts["delivery"] is not None:
            done = {"at": facts["ended"], "event": "deliver", "attempt": facts["attempts"], "error": None}
            history.append(done)
        return {**facts, "history": history, "trace": snapshot.one("trace_of", item_id)}

    def _facts(self, snapshot: ReadTransaction, item_id: str) -> Story:
        if rows := snapshot.all("item_row", item_id):
            return _from_row(rows[0]) | self._more(rows[0]) | {"delivery": None}
        if rows := snapshot.all("ended_row", item_id):
            return _from_row(rows[0]) | {"delivery": None}
        line = snapshot.one("ledger_line", item_id)
        if line is None:
            raise NoSuchItem(f"no item has the id {item_id!r}")
        return _delivered(line, item_id) | {"delivery": _line(line, item_id)}

    def _more(self, row: tuple[Any, ...]) -> Story:
        """What is known of an item only as long as it is owed or dead."""
        settings, take, sha256, durable_s, batch_id, ttl_s, after, move_to, due_boot_id, due_boot_s = row[15:]
        due_in_s = None
        if due_boot_s is not None:
            due_in_s = max(0.0, due_boot_s - self._clock.boot_s()) if due_boot_id == self._clock.boot_id else 0.0
        return {
            "project_settings": json.loads(settings),
            "take": take,
            "sha256": sha256,
            "durable": None if durable_s is None else utc(durable_s),
            "batch_id": batch_id,
            "ttl_s": ttl_s,
            "after_delivery": after,
            "move_to": os.fsdecode(move_to),
            "due_in_s": due_in_s,
        }

    def _servers(self) -> tuple[dict[str, str], set[str]]:
        """The configured names with their keys, and every key on record; nothing where the file cannot be read: its
        owner reports that."""
        try:
            stored = json.loads((self._reader.folder / "servers.json").read_text(encoding="utf-8"))
            names = {str(name): _key(facts) for name, facts in stored["names"].items()}
            return names, {str(key) for key in stored["servers"]}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}, set()


def utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _from_row(row: tuple[Any, ...]) -> Story:
    sequence, item_id, state, server, source, remote_path, folder_type, priority, size_bytes, accepted_s = row[:10]
    attempts, effect, error, ended_s, reason = row[10:15]
    return {
        "id": item_id,
        "state": state,
        "sequence": sequence,
        "server": server,
        "source": os.fsdecode(source),
        "remote_path": os.fsdecode(remote_path),
        "folder_type": folder_type,
        "priority": priority,
        "size_bytes": size_bytes,
        "accepted": utc(accepted_s),
        "attempts": attempts,
        "may_have_arrived": effect == "unknown",  # a rename was sent, and its answer never came
        "error": _failure(error),
        "ended": None if ended_s is None else utc(ended_s),
        "reason": reason,
    }


def _delivered(line: str, item_id: str) -> Story:
    """The same facts of a delivered item. A line that an older version wrote lacks some."""
    facts = _line(line, item_id)
    return _readable(item_id, lambda: {
        "id": item_id,
        "state": DELIVERED,
        "sequence": facts["sequence"],
        "server": facts["server"],
        "source": facts["source"],
        "remote_path": facts["remote_path"],
        "folder_type": facts.get("folder_type"),
        "priority": facts.get("priority"),
        "size_bytes": facts["size_bytes"],
        "accepted": utc(facts["accepted_s"]),
        "attempts": facts["attempts"],
        "may_have_arrived": None,
        "error": None,
        "ended": utc(facts["delivered_s"]),
        "reason": None,
    })  # fmt: skip


def _line(line: str, item_id: str) -> Story:
    facts: Story = _readable(item_id, lambda: dict(json.loads(line)))
    return facts


def _readable(item_id: str, read: Callable[[], Story]) -> Story:
    try:
        return read()
    except (ValueError, TypeError, KeyError, OverflowError, OSError) as error:
        raise OutboxDamaged(f"the ledger's line of {item_id} cannot be read: {type(error).__name__}") from error


def _halted(server_key: str, paused: int, breaker: str | None) -> Story | None:
    facts = json.loads(breaker or "{}")
    failure = facts.get("failure")
    if not paused and not failure:
        return None
    return {
        "server": server_key,
        "paused": bool(paused),
        "held": facts.get("state") == "held",
        "error": dict(zip(_FAILURE, failure, strict=True)) if failure else None,
    }


def _failure(stored: str | None) -> Story | None:
    return dict(zip(_FAILURE, json.loads(stored), strict=True)) if stored else None


def _key(facts: dict[str, Any]) -> str:
    return f"{facts['username']}@{facts['host']}:{facts.get('port', 22)}"
