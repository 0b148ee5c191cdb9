"""A large file whose upload was cut off goes on where it ended; by choice one file travels on several connections.

Idea. What was acknowledged when a link broke is remembered here, in memory: if the process dies, the file is sent from
the start. Each part is written by a conversation of its own, on the connections there are. When all are closed, one
conversation checks the size and gives the file its name.

Rules.
- What is remembered is updated at once, so a cut at any moment costs nothing that was acknowledged before it. It is
  forgotten when the file has its name, when it is sent whole, and when its part file was discarded.
- After a link that broke, or an error of our own disk, the part file stays. After any other error it is removed: a file
  that is given up leaves no gigabytes behind, and one that fills the server's disk leaves room for those behind it.
- Whether a server lets us write to a file that exists is tried once. One that does not is sent whole files from then
  on, at once; that costs no item an attempt.
- Parts that are under way are finished, also when another one failed: their bytes need not be sent again.
- A thread of its own computes the hash after everything was sent, so that the loop does not wait for 5 GB of it. The
  connection is held meanwhile, however long nothing travels on it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from iris_communication.decisions.poison import PROGRESS_BYTES
from iris_communication.delivery.connection import Connection
from iris_communication.delivery.source import UploadSource
from iris_communication.errors import Effect, IrisError, LinkError, Scope
from iris_communication.sftp.conversations.look import discard
from iris_communication.sftp.conversations.parts import (
    PartCut,
    PartFile,
    Sample,
    holds_samples,
    missing_of,
    seams,
    shares,
    take_over,
    write_part,
)
from iris_communication.sftp.conversations.put import after_clearing, clear_away, create, finish
from iris_communication.sftp.conversations.upload import SftpUpload

SHARED_MIN_BYTES = 16 * 1024 * 1024  # of a file that several connections share
CUTS_MAX = 1000  # remembered at once, the latest


@dataclass(frozen=True, slots=True)
class _Attempt:
    """`older`: temp names of attempts before the earlier one."""

    item_id: str
    upload: SftpUpload
    older: Sequence[bytes]
    source: UploadSource
    connections: Sequence[Connection]

    @property
    def first(self) -> Connection:
        return self.connections[0]

    @property
    def earlier(self) -> list[bytes]:
        """Temp names of all attempts before this one, oldest first."""
        return [*self.older, *filter(None, [self.upload.earlier_temp])]


class InParts:
    """`several` returns that many connections to a server, or as many as there can be, at least one."""

    def __init__(self, several: Callable[[str, int], Awaitable[Sequence[Connection]]]) -> None:
        self._several = several
        self._cuts: OrderedDict[str, PartCut] = OrderedDict()  # by item id
        self._whole_only: set[str] = set()  # keys of servers that refuse or spoil parts

    def cut_off(self, item_id: str, upload: SftpUpload, error: IrisError) -> None:
        """An upload of the whole file ended with `error`: remember what was acknowledged."""
        if isinstance(error, LinkError) and upload.effect is Effect.UNSEEN:  # its rename was not sent
            missing = missing_of(PartFile(0, upload.size_bytes), error.acknowledged_bytes)
            self._remember(item_id, PartCut(upload.temp_path, upload.size_bytes, missing))

    async def carried(
        self,
        server_key: str,
        item_id: str,
        upload: SftpUpload,
        older: Sequence[bytes],
        source: UploadSource,
        streams: int,
    ) -> bytes | None:
        """The path under which it lies now; None: it has to be sent whole, and nothing was left. `older`: temp names of
        attempts before the earlier one. Raises IrisError."""
        shared = streams > 1 and upload.size_bytes >= SHARED_MIN_BYTES
        landed: bytes | None = None
        if not upload.finished and server_key not in self._whole_only and (shared or item_id in self._cuts):
            connections = await self._several(server_key, streams if shared else 1)
            attempt = _Attempt(item_id, upload, older, source, connections)
            try:
                with attempt.first.held():
                    landed = await self._landed(server_key, attempt, streams if shared else 0)
            except IrisError as error:
                if not isinstance(error, LinkError) and error.scope is not Scope.OUTBOX:
                    await self._give_up(attempt)
                error.effect = upload.effect
                raise
        self._cuts.pop(item_id, None)
        return landed

    async def _landed(self, server_key: str, attempt: _Attempt, streams: int) -> bytes | None:
        """`streams`: how many parts a file that starts from the beginning is split into; 0: it is not split."""
        upload, first = attempt.upload, attempt.first
        cut = await self._taken_over(attempt)
        if cut is None and not streams:
            return None
        if cut is None:
            creating = create(upload, first.capabilities)
            landed: bytes | None = await first.run(after_clearing(upload, attempt.older, first.capabilities, creating))
            if landed is not None:
                return landed
            cut = PartCut(upload.temp_path, upload.size_bytes, shares(upload.size_bytes, streams))
        if await self._is_whole(attempt, cut):
            await asyncio.get_running_loop().run_in_executor(None, attempt.source.confirm_anew)
            path: bytes = await first.run(finish(upload, first.capabilities))
            return path
        self._whole_only.add(server_key)
        await first.run(discard(upload))
        return None

    async def _taken_over(self, attempt: _Attempt) -> PartCut | None:
        """What was remembered, once the part file has this attempt's name; None: there is nothing to go on with."""
        cut, upload, names = self._cuts.get(attempt.item_id), attempt.upload, attempt.earlier
        if cut is not None and cut.temp_path in names:
            may_have_it = names[names.index(cut.temp_path) :]
            taking_over = take_over(upload, may_have_it, _sampled(attempt.source, cut.ends()))
            if await attempt.first.run(taking_over):
                cut = replace(cut, temp_path=upload.temp_path)
                self._remember(attempt.item_id, cut)
                await attempt.first.run(clear_away(upload, names, attempt.first.capabilities))
                return cut
        self._cuts.pop(attempt.item_id, None)
        return None

    async def _is_whole(self, attempt: _Attempt, cut: PartCut) -> bool:
        """Write what is missing; whether the server took it and spoiled nothing, as far as the seams show."""
        looked_at = tuple(dict.fromkeys([*cut.seams, *seams(cut.missing)]))
        if not await self._written(attempt, replace(cut, seams=looked_at)):
            return False
        holding = holds_samples(attempt.upload.temp_path, _sampled(attempt.source, looked_at))
        whole: bool = await attempt.first.run(holding)
        return whole

    async def _written(self, attempt: _Attempt, cut: PartCut) -> bool:
        """Whether the server lets us write all of it. Raises IrisError."""
        upload, connections = attempt.upload, attempt.connections
        users = [connections[number % len(connections)] for number in range(len(cut.missing))]
        outcomes = await asyncio.gather(
            *(
                connection.run(write_part(upload, part, connection.capabilities), attempt.source)
                for connection, part in zip(users, cut.missing, strict=True)
            ),
            return_exceptions=True,
        )
        if False in outcomes:
            return False
        left = (_left_of(part, outcome) for part, outcome in zip(cut.missing, outcomes, strict=True))
        self._remember(attempt.item_id, replace(cut, missing=tuple(part for parts in left for part in parts)))
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            raise next((error for error in errors if not isinstance(error, LinkError)), errors[0])
        return True

    async def _give_up(self, attempt: _Attempt) -> None:
        """Remove all of it from the server, as far as possible. Raises IrisError."""
        upload, first = attempt.upload, attempt.first
        self._cuts.pop(attempt.item_id, None)
        if upload.effect is Effect.UNSEEN:
            await first.run(discard(upload))
        if upload.earlier_temp is not None:
            await first.run(clear_away(upload, attempt.earlier, first.capabilities))

    def _remember(self, item_id: str, cut: PartCut) -> None:
        self._cuts.pop(item_id, None)
        if cut.known_bytes >= PROGRESS_BYTES:  # sending less again is faster than asking about it
            self._cuts[item_id] = cut
        if len(self._cuts) > CUTS_MAX:
            self._cuts.popitem(last=False)


def _left_of(part: PartFile, outcome: Any) -> tuple[PartFile, ...]:
    """What is missing of a part that ended with `outcome`."""
    if outcome is True:
        return ()
    return missing_of(part, outcome.acknowledged_bytes if isinstance(outcome, LinkError) else 0)


def _sampled(source: UploadSource, parts: Iterable[PartFile]) -> list[Sample]:
    return [(part, source.peek(*part)) for part in parts]
