"""Which waiting items are a batch, and travel in one archive.

An archive is an agreement among items that is written into their rows with the claim: one `batch_id`, one token. Its
name says how many they are, so that nobody has to remember it elsewhere.

Rules.
- What is fresh is a batch as the pure decision says (`decisions.batching`); a batch of one file is no archive.
- An archive whose fate is not known (a lost answer, a crash) is formed again of exactly its members: the same bytes
  under the same name, so that what arrived already is recognised.
- Where that cannot be any more, because one of them was dropped, has expired or lost its bytes, the others go by
  themselves, each with the archive's temp file to be cleared away. The same where an archive cannot be made: the disk
  is full, or somebody's own code carries.

What goes wrong. Such an archive may have arrived all the same. Then those files arrive a second time, which is better
than never.
"""

import posixpath
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from iris_communication.decisions import rules
from iris_communication.decisions.batching import Depart, departure
from iris_communication.errors import Effect
from iris_communication.item import Archive, Item, State
from iris_communication.outbox.store.contract import QueueKey, Store
from iris_communication.outbox.writer.commit_group import CommitGroup
from iris_communication.outbox.writer.messages import Claim
from iris_communication.settings import DeliverySettings, Rule

ROWS_MAX = 500  # of a queue looked at in one claim, unless one archive may hold more


Members = tuple[Item, ...]  # of one upload, in order of acceptance: one item, or those of an archive


def batch_id(now_s: float, token: str, count: int) -> str:
    """`20261124T034501Z-1f2e3d4c5b6a7988-100`: when, which one, of how many."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now_s))}-{token}-{count}"


def archive_of(members: Members) -> Archive:
    """Of claimed items, which share its name, its token, and whatever an attempt before has left."""
    first = members[0]
    assert first.batch_id is not None, "an archive has a name"
    kind, _, folder = first.batch.partition(":")
    return Archive(
        id=first.batch_id,
        server_key=first.server_key,
        remote_path=posixpath.join(folder, f"{first.batch_id}.{kind}"),
        kind=kind,
        token=first.token,
        earlier_tokens=first.earlier_tokens,
        effect=first.effect,
        members=members,
    )


def unbatched(item: Item) -> Item:
    """The item once it has nothing to do with an archive any more. What that left on the server under this token is
    for the next attempt to clear away."""
    effect = Effect.NONE if item.effect is Effect.NONE else Effect.UNSEEN
    return replace(item, batch="", batch_id=None, effect=effect)


class Batching:
    """One claim's look at the queues of batches. `now_s` is wall time."""

    def __init__(
        self, store: Store, claim: Claim, group: CommitGroup, settings: DeliverySettings, now_s: float
    ) -> None:
        self._store = store
        self._claim = claim
        self._group = group
        self._rules = settings.rules
        self._now_s = now_s
        self._archives = claim.archives or 0  # the most that may be handed out

    def uploads(self, queue: QueueKey, after: int = 0) -> list[Members]:
        """What of a queue may go now, of the sequences above `after`. Raises OutboxStorageError."""
        key = self._claim.server_key
        head = self._store.fresh(key, queue, after, 1)
        if not head or not self._archives:
            return []
        files_max = self._rule(head[0]).batch_files_max
        rows_max = 1 + max(files_max, min(self._archives * files_max, ROWS_MAX))
        rows = self._store.fresh(key, queue, after, rows_max)
        return list(
            self._formed([item for item in rows if not self._group.touches(item.id)], more=len(rows) == rows_max)
        )

    def _formed(self, rows: Sequence[Item], *, more: bool) -> Iterator[Members]:
        loose: list[Item] = []
        seen: set[str] = set()
        for item in rows:
            if item.batch_id is not None:
                if item.batch_id not in seen:
                    seen.add(item.batch_id)
                    yield from self._again(item.batch_id)
            elif item.effect is not Effect.NONE:  # it went by itself, and nobody knows how far it got
                yield (item,)
            else:
                loose.append(item)
        formed = 0
        while loose and formed < self._archives:
            decision = departure(
                [item.fingerprint.size_bytes if item.fingerprint else 0 for item in loose],
                self._now_s - loose[0].accepted_s,
                self._rule(loose[0]),
                draining=self._claim.draining,
            )
            if not isinstance(decision, Depart) or (formed and more and decision.files == len(loose)):
                return
            members, loose = tuple(loose[: decision.files]), loose[decision.files :]
            formed += 1
            yield members

    def _again(self, name: str) -> Iterator[Members]:
        members = self._store.members(name)
        if any(self._group.touches(item.id) for item in members):
            return
        waiting = [item for item in members if item.state is State.WAITING]
        if len(waiting) == _count(name) and len({item.token for item in waiting}) == 1:
            yield tuple(waiting)
        else:
            yield from ((item,) for item in waiting)

    def _rule(self, item: Item) -> Rule:
        return rules.facts(self._rules.values(), item.folder_type, posixpath.basename(item.source_path))


def _count(name: str) -> int:
    return int(name.rpartition("-")[2])
