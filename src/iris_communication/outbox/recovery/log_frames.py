"""A database's log, frame by frame: where in it the latest committed bytes of a page lie.

It is read here, and not by SQLite alone, because SQLite takes the first frame with a wrong checksum for the end of the
log: damage undoes every later commit, and no error reports it. A log that is merely cut off, as by a killed process, is
sound. So is one whose last frames have wrong checksums and were never committed: SQLite writes over them while a
transaction lasts. A power cut leaves the last transaction torn, its commit perhaps before its pages: no caller was
answered for it, because answers come after the sync of the log. It is damage when a caller was answered: when the log's
index has the frame as committed (it is written after the sync, and a killed process leaves it), or when a later commit
follows, which began after the sync of the one before.

Source: "The Write-Ahead Log" in SQLite's description of its file format, sections 4.1 to 4.3, and "WAL-mode File
Format", section 2.1.
"""

import struct
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
INDEX_HEADER_BYTES = 48  # the index begins with two copies of it
CHECKED_LITTLE_ENDIAN, CHECKED_BIG_ENDIAN = 0x377F0682, 0x377F0683

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LogFrames:
    page_bytes: int = 0  # 0: there is no log, or none that can be read
    offsets: dict[int, int] = field(default_factory=dict)  # page number -> where its bytes begin
    committed_bytes: int = 0  # of the frames up to the last commit that can be read
    is_sound: bool = True  # False: some of what was committed and synced cannot be read


def is_page_size(size_bytes: int) -> bool:
    return 512 <= size_bytes <= 65536 and size_bytes & (size_bytes - 1) == 0


def log_frames(path: Path) -> LogFrames:
    """The frames of the log at `path`; none where it is missing. Raises OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return LogFrames()
    with file:
        header = file.read(HEADER_BYTES)
        if not header:
            return LogFrames()
        if len(header) < HEADER_BYTES:
            return LogFrames(is_sound=False)
        magic, _, page_bytes = struct.unpack_from(">III", header)
        order = "<" if magic == CHECKED_LITTLE_ENDIAN else ">"
        sums = _sums(order, header[:24], (0, 0))
        acknowledged = _acknowledged(path.with_name(f"{path.name.removesuffix('-wal')}-shm"), header[16:24])
        known = magic in (CHECKED_LITTLE_ENDIAN, CHECKED_BIG_ENDIAN) and is_page_size(page_bytes)
        if not known or sums != struct.unpack_from(">II", header, 24):
            return LogFrames(is_sound=False)
        found, commits_behind = _frames(file, page_bytes, order, header[16:24], sums)
        readable = found.committed_bytes // (FRAME_HEADER_BYTES + page_bytes)
        return replace(found, is_sound=commits_behind <= 1 and acknowledged <= readable)


def _acknowledged(index: Path, salts: bytes) -> int:
    """How many frames were committed and synced, by the log's index; 0 where it does not say. After a power cut the
    index may be older than the log, and never newer."""
    try:
        with index.open("rb") as file:
            first, second = file.read(INDEX_HEADER_BYTES), file.read(INDEX_HEADER_BYTES)
    except OSError:
        return 0
    if len(first) < INDEX_HEADER_BYTES or first != second or first[32:40] != salts:
        return 0
    order = "<" if sys.byteorder == "little" else ">"
    if _sums(order, first[:40], (0, 0)) != struct.unpack_from("=II", first, 40):
        return 0
    return int(struct.unpack_from("=I", first, 16)[0])


def _frames(file: BinaryIO, page_bytes: int, order: str, salts: bytes, sums: Sums) -> tuple[LogFrames, int]:
    """The readable frames, and how many commits of this round follow them."""
    committed: dict[int, int] = {}
    pending: dict[int, int] = {}
    offset, size_bytes, committed_bytes = HEADER_BYTES, FRAME_HEADER_BYTES + page_bytes, 0
    while len(frame := file.read(size_bytes)) == size_bytes:
        number, pages_after_commit = struct.unpack_from(">II", frame)
        if frame[8:16] == salts:
            sums = _sums(order, frame[FRAME_HEADER_BYTES:], _sums(order, frame[:8], sums))
        # Frames with other salts are of an earlier round: SQLite overwrites a log from its beginning.
        if frame[8:16] != salts or sums != struct.unpack_from(">II", frame, 16):
            file.seek(offset)
            return LogFrames(page_bytes, committed, committed_bytes), _commits(file, size_bytes, salts)
        pending[number] = offset + FRAME_HEADER_BYTES
        if pages_after_commit:
            committed |= pending
            pending = {}
        offset += size_bytes
        if pages_after_commit:
            committed_bytes = offset - HEADER_BYTES
    return LogFrames(page_bytes, committed, committed_bytes), 0


def _commits(file: BinaryIO, size_bytes: int, salts: bytes) -> int:
    """How many commits of this round the rest of the file has."""
    count = 0
    while len(frame := file.read(size_bytes)) == size_bytes:
        count += frame[8:16] == salts and any(frame[4:8])
    return count


def _sums(order: str, data: bytes, before: Sums) -> Sums:
    first, second = before
    numbers = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, other in zip(numbers, numbers, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
