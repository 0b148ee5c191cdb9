"""A file that is written in several parts: what an attempt that was cut off left to do, or shares of several streams.

Rules.
- Only what the server acknowledged in one piece from the beginning of a part is known to be there, however long the
  file on the server is.
- The temp file of the attempt before is first renamed to this attempt's own name: late requests of a dead session by
  the old name then find nothing. Late writes through its handle are the same bytes at the same places.
- Where that rename was left unanswered the file has one of the two names, so the next attempt tries both.
- The last bytes of each piece that is known to be there are read back and compared: a server that lost data in between
  (a crash, a disk changed) may hold less than it acknowledged. Where reading is forbidden, the file is sent anew.
- Parts do not overlap and each is written in ascending order through a handle of its own.

What goes wrong. Some servers refuse to write to a file that exists, or anywhere but at its end; one that emptied it at
each OPEN would leave a hole of the right size. So the seams are read back once all is written, by the attempt that
finishes it, and a server that fails either way is sent whole files. A WRITE that is refused for a reason that is stated
or found (a full disk, a permission) is no such sign: it is handled as that of a whole file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from iris_communication.errors import RemoteFailure, RemoteNameRefused
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import Capabilities
from iris_communication.sftp.conversations.conversation import Talk
from iris_communication.sftp.conversations.look import discard, reason
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.wire import READ, WRITE

SAMPLE_BYTES = 32 * 1024  # every server answers a READ of this size in one packet


class PartFile(NamedTuple):
    offset: int
    size_bytes: int


Sample = tuple[PartFile, bytes]  # and what it holds


@dataclass(frozen=True, slots=True)
class PartCut:
    """An upload that ended in the middle: its temp file, the parts that were not acknowledged, ascending, and the seams
    of those that were written, which are to be checked once all is there."""

    temp_path: bytes
    size_bytes: int  # of the whole file
    missing: tuple[PartFile, ...]
    seams: tuple[PartFile, ...] = ()

    @property
    def known_bytes(self) -> int:
        return self.size_bytes - sum(part.size_bytes for part in self.missing)

    def ends(self) -> Iterator[PartFile]:
        """The last bytes of each piece that is there."""
        known_from = 0
        for offset, size_bytes in (*self.missing, PartFile(self.size_bytes, 0)):
            if offset > known_from:
                sample_bytes = min(SAMPLE_BYTES, offset - known_from)
                yield PartFile(offset - sample_bytes, sample_bytes)
            known_from = offset + size_bytes


def shares(size_bytes: int, count: int) -> tuple[PartFile, ...]:
    """A whole file in so many parts, their sizes as even as can be."""
    ends = [size_bytes * (number + 1) // count for number in range(count)]
    return tuple(PartFile(begin, end - begin) for begin, end in zip([0, *ends], ends, strict=False))


def missing_of(part: PartFile, acknowledged_bytes: int) -> tuple[PartFile, ...]:
    left_bytes = part.size_bytes - acknowledged_bytes
    return (PartFile(part.offset + acknowledged_bytes, left_bytes),) if left_bytes else ()


def seams(parts: Sequence[PartFile]) -> Iterator[PartFile]:
    """The bytes on either side of where each part begins, none of them of more than one part."""
    for offset, size_bytes in parts:
        before_bytes = min(SAMPLE_BYTES, offset)
        if before_bytes:
            yield PartFile(offset - before_bytes, before_bytes)
        yield PartFile(offset, min(SAMPLE_BYTES, size_bytes))


def take_over(upload: SftpUpload, names: Sequence[bytes], expected: Sequence[Sample]) -> Talk:
    """Whether the file that an attempt before has left under one of `names` is now this attempt's, and holds what it
    should as far as samples show."""
    upload.opened = True
    for name in names:
        (renamed,) = yield (wire.Rename(name, upload.temp_path),)
        if not isinstance(renamed, StatusError):
            break
    else:
        upload.opened = False
        return False
    upload.earlier_temp = None
    if (yield from holds_samples(upload.temp_path, expected)):
        return True
    yield from discard(upload)
    return False


def holds_samples(path: bytes, expected: Sequence[Sample]) -> Talk:
    (opened,) = yield (wire.Open(path, READ),)
    if isinstance(opened, StatusError):
        return False
    reads = (wire.Read(opened.handle, part.offset, part.size_bytes) for part, _ in expected)
    *answers, _ = yield (*reads, wire.Close(opened.handle))
    return answers == [wire.Data(content) for _, content in expected]


def write_part(upload: SftpUpload, part: PartFile, capabilities: Capabilities) -> Talk:
    """Whether the server lets us write there: False, where it refuses and nothing shows that a whole file would fare no
    better. Raises IrisError."""
    (opened,) = yield (wire.Open(upload.temp_path, WRITE),)
    if isinstance(opened, StatusError):
        return False
    written, closed = yield wire.Write(opened.handle, part.offset, part.size_bytes), wire.Close(opened.handle)
    for refused in (written, closed):
        if isinstance(refused, StatusError):
            failure = yield from reason(refused, "write", upload, capabilities)
            if isinstance(failure, (RemoteFailure, RemoteNameRefused)):
                return False
            raise failure from (None if failure is refused.__cause__ else refused)
    return True
