"""Reads an archive that anybody may have made: piece by piece, and nothing in it is trusted before it is checked.

Rules.
- The manifest comes first and is small; from then on every size is known before a byte of it is unpacked. An entry that
  unpacks to more than its manifest says is an error, and so is too much data between the entries.
- A member that was read to its end has the size and the SHA-256 of the manifest. When all members were read, none is
  missing, and the archive contains nothing else.
- Only regular files are read: no folder, link, device or sparse file.

What goes wrong. The libraries raise many kinds of errors while they parse; here all of them become ArchiveBroken.
"""

import contextlib
import gzip
import hashlib
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol, cast

from iris_communication.archive.manifest import MANIFEST_NAME, Manifest, ManifestBroken, Member, from_json
from iris_communication.errors import IrisError, Retry, Scope

PIECE_BYTES = 256 * 1024
MANIFEST_MAX_BYTES = 16 * 1024 * 1024
_TAR_BLOCK_BYTES = 512
_TAR_ENTRY_BYTES = 8 * _TAR_BLOCK_BYTES  # at most, beside its content: headers of the longest names, and padding
_ENCRYPTED = 0x1
_COMPRESSED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, struct.error),
    *(EOFError, RuntimeError, ValueError, OverflowError),
)


class ArchiveBroken(IrisError):
    """Not an archive of Iris, or its content is not what its manifest says."""

    scope = Scope.CALLER
    retry = Retry.NEVER
    default_hint = "fetch it again from the server; the sender's ledger has its SHA-256"


class _Entries(Protocol):
    """The entries of an archive, in its order."""

    def __iter__(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        """Name, size in bytes as the archive states it, and the bytes, to be read before the next entry."""

    def allow(self, manifest: Manifest) -> None:
        """Set the limit of what may be unpacked from now on to what the manifest needs."""


class ArchiveReader:
    """An open archive. Raises ArchiveBroken."""

    def __init__(self, path: Path, entries: _Entries) -> None:
        self._path = path
        self._entries = iter(entries)
        self.manifest = self._read_manifest()
        entries.allow(self.manifest)

    def members(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Each member, and its bytes, which the caller has to read to their end. To be called once."""
        missing = {member.entry: member for member in self.manifest.members}
        for name, size_bytes, stream in self._read_entries():
            member = missing.pop(name, None)
            if member is None:
                raise ArchiveBroken(f"{self._path} contains {name!r} twice, or its manifest does not list it")
            if size_bytes != member.size_bytes:
                raise self._changed(member, f"is listed with {size_bytes} bytes instead of {member.size_bytes}")
            yield member, self._pieces(member, stream)
        if missing:
            names = ", ".join(repr(name) for name in list(missing)[:3])
            raise ArchiveBroken(f"{self._path} lacks {len(missing)} of {len(self.manifest.members)} files: {names}")

    def _read_manifest(self) -> Manifest:
        for name, size_bytes, stream in self._read_entries():
            if name != MANIFEST_NAME or size_bytes > MANIFEST_MAX_BYTES:
                break
            with _broken_archive(self._path):
                return from_json(_whole(stream))
        raise ArchiveBroken(f"{self._path} is not a batch of Iris: it does not begin with {MANIFEST_NAME}")

    def _read_entries(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        while True:
            with _broken_archive(self._path):
                entry = next(self._entries, None)
            if entry is None:
                return
            yield entry

    def _pieces(self, member: Member, stream: IO[bytes]) -> Iterator[bytes]:
        digest, left_bytes = hashlib.sha256(), member.size_bytes
        while True:
            with _broken_archive(self._path):
                piece = stream.read(min(PIECE_BYTES, left_bytes + 1))
            if not piece:
                break
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise self._changed(member, "is longer than the manifest says")
            digest.update(piece)
            yield piece
        if left_bytes:
            raise self._changed(member, f"ends {left_bytes} bytes early")
        if digest.hexdigest() != member.sha256:
            raise self._changed(member, "has a different SHA-256 than its manifest says")

    def _changed(self, member: Member, how: str) -> ArchiveBroken:
        return ArchiveBroken(f"{self._path}: {member.entry!r} {how}")


@contextlib.contextmanager
def opened_archive(path: Path) -> Iterator[ArchiveReader]:
    """Open a ZIP or tar.gz, distinguished by its first bytes. Raises ArchiveBroken; OSError when the file itself cannot
    be read."""
    with contextlib.ExitStack() as open_files:
        file = open_files.enter_context(path.open("rb"))
        begin = file.read(4)
        file.seek(0)
        with _broken_archive(path):
            if begin == b"PK\x03\x04":
                entries: _Entries = _Zip(open_files.enter_context(zipfile.ZipFile(file)))
            elif begin[:2] == b"\x1f\x8b":
                entries = _Tar(open_files.enter_context(gzip.GzipFile(fileobj=file)))
            else:
                raise ArchiveBroken(f"{path} is neither a ZIP nor a tar.gz archive")
            archive = ArchiveReader(path, entries)
        yield archive


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def __iter__(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        for info in self._archive.infolist():
            if info.is_dir() or info.flag_bits & _ENCRYPTED or info.compress_type not in _COMPRESSED:
                raise zipfile.BadZipFile(f"{info.filename!r} is not a regular file")
            with self._archive.open(info) as stream:
                yield info.filename, info.file_size, stream

    def allow(self, manifest: Manifest) -> None:
        """Does nothing: only entries are read, and each to its own size at most."""


class _Tar:
    def __init__(self, unpacked: gzip.GzipFile) -> None:
        self._unpacked = _BoundedStream(unpacked, MANIFEST_MAX_BYTES)

    def __iter__(self) -> Iterator[tuple[str, int, IO[bytes]]]:
        stream = cast(IO[bytes], self._unpacked)  # it has the methods that tarfile uses
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            for info in archive:
                if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
                    raise tarfile.ReadError(f"{info.name!r} is not a regular file")
                content = archive.extractfile(info)
                assert content is not None, "it is a plain file"
                with content:
                    yield info.name, info.size, content

    def allow(self, manifest: Manifest) -> None:
        self._unpacked.allow(manifest.size_bytes + (len(manifest.members) + 2) * _TAR_ENTRY_BYTES)


class _BoundedStream:
    """A stream that raises where more is unpacked than is allowed, or more is requested at once than PIECE_BYTES."""

    def __init__(self, stream: gzip.GzipFile, allowed_bytes: int) -> None:
        self._stream = stream
        self._allowed_bytes = allowed_bytes

    def allow(self, size_bytes: int) -> None:
        self._allowed_bytes = self._stream.tell() + size_bytes

    def read(self, size_bytes: int) -> bytes:
        if size_bytes > PIECE_BYTES:  # a header that would have to be held in memory
            raise tarfile.ReadError(f"an entry has a header of {size_bytes} bytes")
        self._check(self.tell() + size_bytes)
        return self._stream.read(size_bytes)

    def seek(self, position: int) -> int:
        self._check(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()

    def _check(self, position: int) -> None:
        if position > self._allowed_bytes:
            raise tarfile.ReadError("it unpacks to more than its manifest says")


def _whole(stream: IO[bytes]) -> bytes:
    """All bytes of the stream, read in pieces: no more than a piece is unpacked at once."""
    pieces = []
    while piece := stream.read(PIECE_BYTES):
        pieces.append(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def _broken_archive(path: Path) -> Iterator[None]:
    try:
        yield
    except ArchiveBroken:
        raise
    except ManifestBroken as error:
        raise ArchiveBroken(f"{path}: {error}") from None
    except _BROKEN as error:
        raise ArchiveBroken(f"{path} cannot be unpacked: {error}") from error
