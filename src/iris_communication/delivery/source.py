"""The bytes of one upload, read as the link has room for them, and proved to be those that were accepted.

The content of a small file comes with its claim. Of a larger one up to 256 KiB the file is read once and its descriptor
closed; beyond that the descriptor stays open and the file is read piece by piece, so that memory does not grow with it.
The SHA-256 of what was read is computed on the way, where it is read in order.
"""

import hashlib
import os
from pathlib import Path

from iris_communication.errors import SourceChanged, SpoolMissing
from iris_communication.item import Fingerprint
from iris_communication.runtime.system_trouble import trouble

WHOLE_MAX_BYTES = 256 * 1024


class UploadSource:
    """`held` is the file with the bytes, or the bytes themselves; `name` is shown in errors."""

    def __init__(self, held: Path | bytes, fingerprint: Fingerprint, name: str = "") -> None:
        self._held = held
        self._name = name or str(held)
        self._fingerprint = fingerprint
        self._digest = hashlib.sha256()
        self._digested_bytes = 0
        self._whole = held if isinstance(held, bytes) else None
        self._descriptor: int | None = None
        self._closed = False

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Bytes to be sent. Raises SpoolMissing when the file is gone, SourceChanged when there are fewer, and
        OutboxStorageError when the disk or the system refuses for now."""
        data = self.peek(offset, size_bytes)
        if offset == 0 and self._digested_bytes:  # from the beginning again: parts of it had been sent in vain
            self._digest, self._digested_bytes = hashlib.sha256(), 0
        if offset == self._digested_bytes:
            self._digest.update(data)
            self._digested_bytes += size_bytes
        return data

    def peek(self, offset: int, size_bytes: int) -> bytes:
        """Bytes to compare with others. Raises as `read` does."""
        if self._closed:  # its upload was cancelled, and the connection still asked for its bytes
            raise SpoolMissing(f"{self._name} was closed")
        try:
            data = self._piece(offset, size_bytes)
        except FileNotFoundError as error:
            raise SpoolMissing(f"{self._name} cannot be read: {error.strerror}") from error
        except OSError as error:
            raise trouble(f"{self._name} cannot be read", error) from error
        if len(data) != size_bytes:
            raise SourceChanged(f"{self._name} is shorter than the {self._fingerprint.size_bytes} bytes accepted")
        return data

    def confirm(self) -> None:
        """Raises SourceChanged when what was read, which has to be all of it and in order, is not what was accepted."""
        if self._digest.hexdigest() != self._fingerprint.sha256:
            raise SourceChanged(f"{self._name} changed after it was accepted: its SHA-256 differs")

    def confirm_anew(self) -> None:
        """The same after it was read in parts: reads all of the file again, and raises what `read` does. Any thread may
        call it, also while this is closed."""
        source = UploadSource(self._held, self._fingerprint, self._name)
        try:
            for offset in range(0, self._fingerprint.size_bytes, WHOLE_MAX_BYTES):
                source.read(offset, min(WHOLE_MAX_BYTES, self._fingerprint.size_bytes - offset))
            source.confirm()
        finally:
            source.close()

    def close(self) -> None:
        self._closed = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _piece(self, offset: int, size_bytes: int) -> bytes:
        if self._whole is not None:
            return self._whole[offset : offset + size_bytes]
        assert isinstance(self._held, Path), "bytes are whole"
        if self._fingerprint.size_bytes <= WHOLE_MAX_BYTES:
            self._whole = _whole(self._held, self._fingerprint.size_bytes)
            return self._whole[offset : offset + size_bytes]
        if self._descriptor is None:
            self._descriptor = os.open(self._held, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._descriptor, size_bytes, offset)


def _whole(path: Path, size_bytes: int) -> bytes:
    """The first `size_bytes` of a small file, with three system calls where `Path.read_bytes` takes nine: after each,
    this thread has to wait for the interpreter lock (GIL) again."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, size_bytes)
        while len(data) < size_bytes and (more := os.read(descriptor, size_bytes - len(data))):
            data += more
    finally:
        os.close(descriptor)
    return data
