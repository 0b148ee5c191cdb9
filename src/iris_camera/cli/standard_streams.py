"""The command's three standard streams, which may be closed, a pipe without a reader, or a file on a full disk.

A closed stream is replaced by /dev/null before any file is opened: else the next file, perhaps an outbox's database,
would get its descriptor number, and a library would write its standard error into it. A failed write to standard output
ends the command with one line and exit status 1; without the line if the reader has left, as `head` does. A failed
write to standard error loses that text and nothing else: a full disk behind it is no reason to stop inspecting.
"""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator

EXIT_CANNOT_TELL = 1


class OutputLost(OSError):
    """Standard output cannot be written."""


class _Output(io.RawIOBase):
    """Standard output. After the first failure no write is tried again, not even when the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lost = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: bytes) -> int:  # type: ignore[override]  # a BufferedWriter above hands over bytes
        if self._lost:
            return len(data)
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            self._lost = True
            raise OutputLost(error.errno, error.strerror) from None


class _Complaints(_Output):
    """Standard error. Each write is tried: the disk may have room again."""

    def write(self, data: bytes) -> int:  # type: ignore[override]  # a BufferedWriter above hands over bytes
        try:
            return os.write(self._descriptor, data)
        except OSError:
            return len(data)


def open_closed_streams() -> None:
    """Reads then return nothing, writes to standard output fail, and standard error is discarded."""
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, flags)  # the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115  # as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115  # as long as the process


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Standard output for a verb: a failed write ends the command without a traceback."""
    original = sys.stdout
    encoding, errors = (original.encoding, original.errors) if original is not None else ("utf-8", "strict")
    output = _Output(1)
    buffered = io.BufferedWriter(output)  # type: ignore[type-var]  # a RawIOBase is what it takes
    sys.stdout = io.TextIOWrapper(buffered, encoding, errors, line_buffering=output.isatty())
    complaints = io.BufferedWriter(_Complaints(2))  # type: ignore[type-var]  # a RawIOBase is what it takes
    sys.stderr = io.TextIOWrapper(complaints, encoding, "backslashreplace", line_buffering=True)
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OutputLost as lost:
        if lost.errno != errno.EPIPE:
            sys.stderr.write(f"iris: standard output cannot be written: {lost.strerror}\n")
        sys.exit(EXIT_CANNOT_TELL)
