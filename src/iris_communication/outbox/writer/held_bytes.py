"""The bytes of what was handed out: small files in memory, read with their claim; larger ones in the spool.

Rules.
- A claim hands out at most CLAIM_BYTES_MAX of content, so what is in memory is bounded by the claims of each server
  that may be under way at once. It is given back when the item is settled.
- An archive's members are read when it is made, some at a time.

The writer's thread changes what is held, others read it: each step is a single one of a dict.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from iris_communication.errors import OutboxStorageError
from iris_communication.item import Archive, Item, Upload
from iris_communication.outbox.files.spool import Spool

CLAIM_BYTES_MAX = 8 * 1024 * 1024

Bytes = Path | bytes  # a file, or the content itself


class HeldBytes:
    """`read` asks the store for the contents of items, from any thread; it raises IrisError."""

    def __init__(self, spool: Spool, read: Callable[[Sequence[Item]], Mapping[str, bytes]]) -> None:
        self._spool = spool
        self._read = read
        self._contents: dict[str, bytes] = {}  # by item id
        self.size_bytes = 0  # of content in memory

    def hold(self, contents: Mapping[str, bytes]) -> None:
        for item_id, content in contents.items():
            self.let_go(item_id)
            self._contents[item_id] = content
            self.size_bytes += len(content)

    def let_go(self, item_id: str) -> None:
        self.size_bytes -= len(self._contents.pop(item_id, b""))

    def of(self, upload: Upload) -> Bytes:
        """What is to be sent. Raises OutboxStorageError when the writer failed since it was handed out."""
        if isinstance(upload, Archive) or not upload.in_store:
            return self._spool.held(upload)
        try:
            return self._contents[upload.id]
        except KeyError:
            raise OutboxStorageError(
                f"the content of {upload.id} was read before the outbox was opened again"
            ) from None

    def archive(self, batch_id: str) -> Path:
        """Where the archive of a batch is built."""
        return self._spool.archive(batch_id)

    def reading(self, members: Sequence[Item]) -> Callable[[Item], Bytes]:
        """A function for the bytes of each member, to be called in their order, once each: contents are read in parts
        of at most CLAIM_BYTES_MAX. It raises IrisError."""
        left, contents = list(members), dict[str, bytes]()

        def held(item: Item) -> Bytes:
            if not item.in_store:
                return self._spool.path(item.id)
            if item.id not in contents:
                contents.update(self._read(within(left[left.index(item) :], CLAIM_BYTES_MAX)))
            return contents.pop(item.id, self._spool.path(item.id))  # a file that is not there: it is gone

        return held

    @contextlib.contextmanager
    def named(self, item: Item, name: str) -> Iterator[Path]:
        """A file with the item's bytes under this name, while the context lasts. Raises SpoolMissing,
        OutboxStorageError."""
        content = self.of(item)
        with self._spool.named(item.id, name, content if isinstance(content, bytes) else None) as path:
            yield path


def within(items: Sequence[Item], bytes_max: int) -> list[Item]:
    """The first items whose contents are together at most so large, at least one."""
    size_bytes, count = 0, 0
    for item in items:
        size_bytes += item.held_bytes if item.in_store else 0
        if count and size_bytes > bytes_max:
            break
        count += 1
    return list(items[:count])
