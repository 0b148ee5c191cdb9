"""A database's log, frame by frame: where in it the latest committed bytes of a page lie.

It is read here, and not by SQLite alone, because SQLite takes the first frame that does not check for the end of the
log: damage in it quietly takes back every commit behind, and nothing else tells. A log that is merely cut off, as by a
killed process, is sound, and so is one whose last frames do not check and were never committed: SQLite writes over them
while a transaction lasts. Where a commit stands at or behind the bad place, it is not.

Source: "The Write-Ahead Log" in SQLite's description of its file format, sections 4.1 to 4.3.
"""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
CHECKED_LITTLE_ENDIAN, CHECKED_BIG_ENDIAN = 0x377F0682, 0x377F0683

Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LogFrames:
    page_bytes: int = 0  # 0: there is no log, or none that can be read
    offsets: dict[int, int] = field(default_factory=dict)  # page number -> where its bytes begin
    is_sound: bool = True  # False: commits may lie behind what cannot be read


def is_page_size(size_bytes: int) -> bool:
    return 512 <= size_bytes <= 65536 and size_bytes & (size_bytes - 1) == 0


def log_frames(path: Path) -> LogFrames:
    """Raises OSError, but not for a log that is not there."""
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
        known = magic in (CHECKED_LITTLE_ENDIAN, CHECKED_BIG_ENDIAN) and is_page_size(page_bytes)
        if not known or sums != struct.unpack_from(">II", header, 24):
            return LogFrames(is_sound=False)
        return _frames(file, page_bytes, order, header[16:24], sums)


def _frames(file: BinaryIO, page_bytes: int, order: str, salts: bytes, sums: Sums) -> LogFrames:
    committed: dict[int, int] = {}
    pending: dict[int, int] = {}
    offset, size_bytes = HEADER_BYTES, FRAME_HEADER_BYTES + page_bytes
    while len(frame := file.read(size_bytes)) == size_bytes:
        number, pages_after_commit = struct.unpack_from(">II", frame)
        if frame[8:16] == salts:
            sums = _sums(order, frame[FRAME_HEADER_BYTES:], _sums(order, frame[:8], sums))
        # Other salts are of an earlier round: a log is written over from its beginning.
        if frame[8:16] != salts or sums != struct.unpack_from(">II", frame, 16):
            file.seek(offset)
            return LogFrames(page_bytes, committed, is_sound=not _commits(file, size_bytes, salts))
        pending[number] = offset + FRAME_HEADER_BYTES
        if pages_after_commit:
            committed |= pending
            pending = {}
        offset += size_bytes
    return LogFrames(page_bytes, committed)


def _commits(file: BinaryIO, size_bytes: int, salts: bytes) -> bool:
    """Whether a commit of this round stands in what follows."""
    while len(frame := file.read(size_bytes)) == size_bytes:
        if frame[8:16] == salts and any(frame[4:8]):
            return True
    return False


def _sums(order: str, data: bytes, before: Sums) -> Sums:
    first, second = before
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, other in zip(words, words, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second
