"""The pages of a database file and its log, whatever state the file is in: read as bytes, without SQLite.

Nothing is written, no lock is taken, and no page is trusted: one that is missing is None.

Source: SQLite's description of its file format, sections 1.2 to 1.6.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from iris_communication.outbox.recovery.log_frames import is_page_size, log_frames

MAGIC = b"SQLite format 3\0"
DEFAULT_PAGE_BYTES = 4096  # of every SQLite since 2016
HEADER_BYTES = 100  # at the beginning of page 1


class Pages:
    """The constructor and the methods raise OSError. A context manager, which closes the files."""

    def __init__(self, path: Path) -> None:
        log_path = path.with_name(f"{path.name}-wal")
        frames = log_frames(log_path)
        self._log_offsets = frames.offsets
        self._file = path.open("rb") if path.exists() else None
        self._log = log_path.open("rb") if frames.offsets else None
        size_bytes = path.stat().st_size if self._file else 0
        self.page_bytes = frames.page_bytes or self._header_page_bytes() or DEFAULT_PAGE_BYTES
        self.count = max([size_bytes // self.page_bytes, *frames.offsets])

    def __enter__(self) -> "Pages":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for file in (self._file, self._log):
            if file is not None:
                file.close()

    def page(self, number: int) -> bytes | None:
        """The page of this number, from 1; None where there is no whole page."""
        file, offset = self._file, (number - 1) * self.page_bytes
        if number in self._log_offsets:
            file, offset = self._log, self._log_offsets[number]
        if file is None or number < 1:
            return None
        file.seek(offset)
        found = file.read(self.page_bytes)
        return found if len(found) == self.page_bytes else None

    @property
    def free(self) -> frozenset[int]:
        """Pages on SQLite's freelist, as far as it can be read: their content is obsolete."""
        first = self.page(1)
        found: set[int] = set()
        if first is None or not first.startswith(MAGIC):
            return frozenset()
        (trunk,) = struct.unpack_from(">I", first, 32)
        while trunk and trunk not in found and (page := self.page(trunk)) is not None:
            found.add(trunk)
            trunk, count = struct.unpack_from(">II", page)
            found.update(_numbers(page, min(count, self.page_bytes // 4 - 2)))
        return frozenset(found)

    def _header_page_bytes(self) -> int:
        """The page size in the header; 0 where there is none or it is impossible."""
        if self._file is None:
            return 0
        header = self._file.read(HEADER_BYTES)
        if not header.startswith(MAGIC) or len(header) < HEADER_BYTES:
            return 0
        (stated,) = struct.unpack_from(">H", header, 16)
        size_bytes = 65536 if stated == 1 else int(stated)
        return size_bytes if is_page_size(size_bytes) else 0


def _numbers(page: bytes, count: int) -> Iterator[int]:
    return (number for (number,) in struct.iter_unpack(">I", page[8 : 8 + 4 * count]))
