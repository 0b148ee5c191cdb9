"""Which waiting items are a batch, and travel in one archive.

An archive exists as equal facts in the rows of its items, written with the claim: one `batch_id`, one token. Its name
says how many items it has, so that this is stored nowhere else.

Rules.
- The pure decision (`decisions.batching`) forms batches of fresh items; a batch of one file is not an archive.
- An archive whose outcome is not known (a lost answer, a crash) is formed again from exactly its members: the same
  bytes under the same name, so that an archive that arrived already is recognised.
- Where that is impossible, because a member was dropped, has expired or lost its bytes, the others travel by
  themselves, and each has to remove the archive's temp file. The same where no archive can be made: the disk is full,
  or a processor that the user gave is the carrier.

What goes wrong. Such an archive may have arrived nevertheless. Then those files arrive a second time, which is better
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

ROWS_MAX = 500  # of a queue read for one claim, unless one archive may hold more


Members = tuple[Item, ...]  # of one upload, in order of acceptance: one item, or those of an archive


def batch_id(now_s: float, token: str, count: int) -> str:
    """`20261124T034501Z-1f2e3d4c5b6a7988-100`: time, token, number of members."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now_s))}-{token}-{count}"


def archive_of(members: Members) -> Archive:
    """The archive of claimed items, which share its name, its token, and what an earlier attempt has left."""
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
    """The item without its archive, to travel by itself. Its next attempt removes what the archive left on the server
    under this token."""
    effect = Effect.NONE if item.effect is Effect.NONE else Effect.UNSEEN
    return replace(item, batch="", batch_id=None, effect=effect)


class Batching:
    """Forms the batches for one claim. `now_s` is wall time."""

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
        """The uploads of a queue that may be sent now, of the sequences above `after`. Raises OutboxStorageError."""
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
            elif item.effect is not Effect.NONE:  # it was sent by itself, and nobody knows how far it got
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
