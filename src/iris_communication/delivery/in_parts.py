"""A large file whose upload was cut off goes on where it ended; by choice one file travels on several connections.

Idea. What was acknowledged when a link broke is remembered here, in memory: a process that dies forgets it, and then
the file is sent anew. Parts are written each by a conversation of its own, on the connections there are; only when all
are closed does one conversation look at the size, and give the file its name.

Rules.
- Whether a server lets us write to a file that exists is tried once. One that does not is sent whole files from then
  on, at once and at no item's cost.
- Parts that are under way end, also when another one failed: what they brought need not be sent again.
- The hash is taken by a thread of its own, after everything was sent: nobody waits for 5 GB of it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from iris_communication.delivery.connection import Connection
from iris_communication.delivery.source import SpoolFile
from iris_communication.errors import Effect, IrisError, LinkError
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.look import discard
from iris_communication.sftp.parts import (
    Cut,
    Part,
    Sample,
    holds_samples,
    missing_of,
    seams,
    shares,
    take_over,
    write_part,
)
from iris_communication.sftp.put import clear_away, create, finish
from iris_communication.sftp.session import Talk
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.upload import Upload

RESUMED_MIN_BYTES = 1024 * 1024  # acknowledged; less is sent again sooner than asked about
SHARED_MIN_BYTES = 16 * 1024 * 1024  # of a file that several connections share
CUTS_MAX = 1000  # remembered at once, the latest


class InParts:
    """`several` gives so many connections to a server, or as many as there can be, at least one."""

    def __init__(self, several: Callable[[str, int], Awaitable[Sequence[Connection]]]) -> None:
        self._several = several
        self._cuts: OrderedDict[str, Cut] = OrderedDict()  # by item id
        self._whole_only: set[str] = set()  # keys of servers that spoil parts

    def cut_off(self, item_id: str, upload: Upload, error: IrisError) -> None:
        """An upload of the whole file ended with `error`: what was acknowledged is remembered."""
        if isinstance(error, LinkError) and error.acknowledged_bytes >= RESUMED_MIN_BYTES:
            self._remember(item_id, upload, missing_of(Part(0, upload.size_bytes), error.acknowledged_bytes))

    async def carried(
        self, server_key: str, item_id: str, upload: Upload, older: Sequence[bytes], source: SpoolFile, streams: int
    ) -> bytes | None:
        """The path under which it lies now; None: it has to be sent whole, and nothing was left. `older`: temp names of
        attempts before the earlier one. Raises IrisError."""
        cut = self._cuts.pop(item_id, None)
        shared = streams > 1 and upload.size_bytes >= SHARED_MIN_BYTES
        if upload.finished or server_key in self._whole_only or not (shared or cut):
            return None
        connections = await self._several(server_key, streams if shared else 1)
        first = connections[0]
        missing: tuple[Part, ...] | None = None
        if cut is not None and cut.temp_path == upload.earlier_temp:
            taking_over = take_over(upload, cut, _sampled(source, cut.ends()))
            if await first.run(_after_clearing(upload, older, first.capabilities, taking_over)):
                missing = cut.missing
        if missing is None and shared:
            creating = create(upload, first.capabilities)
            landed: bytes | None = await first.run(_after_clearing(upload, older, first.capabilities, creating))
            if landed is not None:
                return landed
            missing = shares(upload.size_bytes, streams)
        if missing is None:
            return None
        if await self._written(item_id, upload, missing, source, connections):
            expected = _sampled(source, seams(missing))
            if await first.run(holds_samples(upload.temp_path, expected)):
                await self._confirm(upload, source, first)
                path: bytes = await first.run(finish(upload, first.capabilities))
                return path
        self._whole_only.add(server_key)
        await first.run(discard(upload))
        return None

    async def _written(
        self,
        item_id: str,
        upload: Upload,
        parts: Sequence[Part],
        source: SpoolFile,
        connections: Sequence[Connection],
    ) -> bool:
        """Whether the server took all of it. Raises IrisError."""
        outcomes = await asyncio.gather(
            *(
                connections[number % len(connections)].run(write_part(upload, part), source)
                for number, part in enumerate(parts)
            ),
            return_exceptions=True,
        )
        refusals = [outcome for outcome in outcomes if isinstance(outcome, StatusError)]
        errors = [outcome for outcome in outcomes if outcome is not None and outcome not in refusals]
        if not errors:
            return not refusals
        error = next((error for error in errors if not isinstance(error, LinkError)), errors[0])
        if isinstance(error, LinkError) and not refusals:
            left = [
                missing
                for part, outcome in zip(parts, outcomes, strict=True)
                for missing in (missing_of(part, outcome.acknowledged_bytes) if isinstance(outcome, LinkError) else ())
            ]
            self._remember(item_id, upload, tuple(left))
        elif isinstance(error, IrisError):
            await self._give_up(upload, error, connections[0])
        raise error

    async def _confirm(self, upload: Upload, source: SpoolFile, connection: Connection) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, source.confirm_anew)
        except IrisError as error:
            await self._give_up(upload, error, connection)
            raise

    async def _give_up(self, upload: Upload, error: IrisError, connection: Connection) -> None:
        await connection.run(discard(upload))
        error.effect = upload.effect

    def _remember(self, item_id: str, upload: Upload, missing: tuple[Part, ...]) -> None:
        if upload.effect is Effect.UNSEEN:  # its rename was not sent
            self._cuts[item_id] = Cut(upload.temp_path, missing)
            if len(self._cuts) > CUTS_MAX:
                self._cuts.popitem(last=False)


def _sampled(source: SpoolFile, parts: Iterable[Part]) -> list[Sample]:
    return [(part, source.peek(*part)) for part in parts]


def _after_clearing(upload: Upload, older: Sequence[bytes], capabilities: Capabilities, then: Talk) -> Talk:
    for temp in older:
        yield from clear_away(upload, temp, capabilities)
    return (yield from then)
