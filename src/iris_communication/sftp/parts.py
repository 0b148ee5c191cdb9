"""A file that is written in several parts: what an attempt that was cut off left to do, or shares of several streams.

Rules.
- What is known to be there is what the server acknowledged in one piece from the beginning of a part. Nothing else is,
  however long the file on the server is.
- The temp file of the attempt before is first renamed to this attempt's own: what a dead session still asks for by name
  then finds nothing. What it still writes through its handle are the same bytes at the same places.
- The last bytes known to be there are read back and compared: a server that lost its memory in between (a crash, a disk
  changed) may hold less than it acknowledged. Where that is forbidden, the file is sent anew.
- Parts do not overlap and each is written in ascending order through a handle of its own.

What goes wrong. Some servers refuse to write to a file that exists; one that emptied it at each OPEN would leave a hole
of the right size. So the seams are read back once all is written, and a server that fails either way is sent whole
files.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from iris_communication.errors import IrisError
from iris_communication.sftp import wire
from iris_communication.sftp.look import discard
from iris_communication.sftp.session import Talk
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.upload import Upload
from iris_communication.sftp.wire import READ, WRITE

SAMPLE_BYTES = 32 * 1024  # every server answers a READ of as much in one packet


class Part(NamedTuple):
    offset: int
    size_bytes: int


Sample = tuple[Part, bytes]  # and what it holds


@dataclass(frozen=True, slots=True)
class Cut:
    """An upload that ended in the middle: its temp file, and the parts that were not acknowledged, ascending."""

    temp_path: bytes
    missing: tuple[Part, ...]

    def ends(self) -> Iterator[Part]:
        """The last bytes of each piece that is there."""
        known_from = 0
        for offset, size_bytes in self.missing:
            if offset > known_from:
                sample_bytes = min(SAMPLE_BYTES, offset - known_from)
                yield Part(offset - sample_bytes, sample_bytes)
            known_from = offset + size_bytes


def shares(size_bytes: int, count: int) -> tuple[Part, ...]:
    """A whole file in so many parts, their sizes as even as can be."""
    ends = [size_bytes * (number + 1) // count for number in range(count)]
    return tuple(Part(begin, end - begin) for begin, end in zip([0, *ends], ends, strict=False))


def missing_of(part: Part, acknowledged_bytes: int) -> tuple[Part, ...]:
    left_bytes = part.size_bytes - acknowledged_bytes
    return (Part(part.offset + acknowledged_bytes, left_bytes),) if left_bytes else ()


def seams(parts: Sequence[Part]) -> Iterator[Part]:
    """The bytes on either side of where each part begins, none of them of more than one part."""
    for offset, size_bytes in parts:
        before_bytes = min(SAMPLE_BYTES, offset)
        if before_bytes:
            yield Part(offset - before_bytes, before_bytes)
        yield Part(offset, min(SAMPLE_BYTES, size_bytes))


def take_over(upload: Upload, cut: Cut, expected: Sequence[Sample]) -> Talk:
    """Whether the file that `cut` left is now this attempt's, and holds what it should as far as samples tell."""
    upload.opened = True
    (renamed,) = yield (wire.Rename(cut.temp_path, upload.temp_path),)
    if isinstance(renamed, StatusError):
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


def write_part(upload: Upload, part: Part) -> Talk:
    """None, or the StatusError with which the server refused it. Raises IrisError when the source cannot be read."""
    (opened,) = yield (wire.Open(upload.temp_path, WRITE),)
    if isinstance(opened, StatusError):
        return opened
    written, closed = yield wire.Write(opened.handle, part.offset, part.size_bytes), wire.Close(opened.handle)
    refused = next((answer for answer in (written, closed) if isinstance(answer, StatusError)), None)
    if refused is not None and isinstance(refused.__cause__, IrisError):
        raise refused.__cause__
    return refused
