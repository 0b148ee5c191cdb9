"""Writes a batch as one spool file: many small files in an archive, sent under one temp name and with one rename.

Rules.
- The archive is built piece by piece: memory use does not grow with a file.
- The same members give the same bytes: after a lost answer the archive is built again and has to equal the one that may
  lie on the server already. So it contains no time of building, no host and no user; the times are the files' own.
- Each member's SHA-256 is computed on the way and compared with that of acceptance. The error names a member whose
  bytes changed or are gone, so that only this member fails and the others travel without it.
- The archive is not synced: a crash leaves a file that no item owns; the next start removes it and builds it again.

What goes wrong. Another version of zlib compresses to other bytes. Then an archive whose answer was lost over an
upgrade is not recognised by its content, but still by its temp name (see `sftp.put`).
"""

import contextlib
import gzip
import hashlib
import os
import stat
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self

from iris_communication.archive.manifest import MANIFEST_NAME, Manifest, Member, as_json, entry_names
from iris_communication.errors import IrisError, SourceChanged, SpoolMissing
from iris_communication.item import Fingerprint
from iris_communication.runtime.system_trouble import trouble
from iris_communication.settings import BatchFormat

PIECE_BYTES = 256 * 1024
_LEVEL = 6  # of deflate
_MODE = stat.S_IFREG | 0o644
_UNIX = 3  # what the mode bits of a ZIP entry mean
_ZIP_YEARS = (1980, 2107)
_ZIP64_BYTES = 2**31  # from this size on an entry has 64 bits for its lengths, whatever it compresses to


@dataclass(frozen=True, slots=True)
class Content:
    """One file of a batch. `held` returns the file with its bytes, or the bytes themselves; called once."""

    item_id: str
    sequence: int
    name: str  # surrogate escapes stand for bytes that are not UTF-8
    held: Callable[[], Path | bytes]
    fingerprint: Fingerprint
    accepted_s: float


class MemberBroken(Exception):
    """One member's bytes are not those that were accepted, or cannot be read."""

    def __init__(self, item_id: str, error: IrisError) -> None:
        super().__init__(f"{item_id}: {error}")
        self.item_id = item_id
        self.error = error


def write_archive(path: Path, kind: BatchFormat, batch: str, contents: Sequence[Content]) -> Fingerprint:
    """Write `path` anew; its fingerprint. Raises MemberBroken, or OutboxStorageError when the disk refuses; then no
    file is left."""
    ordered = sorted(contents, key=lambda content: content.sequence)
    manifest = Manifest(batch, tuple(_members(ordered)))
    write = _write_zip if kind == "zip" else _write_tar
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w+b") as target:
            try:
                write(target, manifest, ordered)
                target.flush()
                return _fingerprint(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                raise
    except OSError as error:
        raise trouble(f"cannot write the archive {path}", error) from error


def _members(contents: Sequence[Content]) -> Iterator[Member]:
    entries = entry_names([(content.name, content.fingerprint.sha256, content.item_id) for content in contents])
    for entry, content in zip(entries, contents, strict=True):
        mark = content.fingerprint
        yield Member(
            entry=entry,
            name=content.name,
            size_bytes=mark.size_bytes,
            sha256=mark.sha256,
            mtime_ns=mark.mtime_ns,
            accepted_s=round(content.accepted_s, 6),
            id=content.item_id,
        )


def _fingerprint(target: BinaryIO) -> Fingerprint:
    facts = os.fstat(target.fileno())
    target.seek(0)
    digest = hashlib.sha256()
    while piece := target.read(PIECE_BYTES):
        digest.update(piece)
    return Fingerprint(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, digest.hexdigest())


def _write_zip(target: BinaryIO, manifest: Manifest, contents: Sequence[Content]) -> None:
    listed = as_json(manifest)
    with zipfile.ZipFile(target, "w") as archive:
        with archive.open(_zip_entry(MANIFEST_NAME, _latest_ns(manifest)), "w") as entry:
            entry.write(listed)
        for member, content in zip(manifest.members, contents, strict=True):
            info = _zip_entry(member.entry, member.mtime_ns)
            with (
                _Checked(content) as checked,
                archive.open(info, "w", force_zip64=member.size_bytes >= _ZIP64_BYTES) as entry,
            ):
                while piece := checked.read():
                    entry.write(piece)


def _zip_entry(name: str, mtime_ns: int) -> zipfile.ZipInfo:
    """ZIP's own times have no zone and steps of two seconds; unzip uses the extra field ("UT"), which ends in 2038."""
    seconds = mtime_ns // 10**9
    try:
        when = time.gmtime(seconds)[:6]
    except (OverflowError, ValueError, OSError):
        when = (0, 1, 1, 0, 0, 0)
    if when[0] < _ZIP_YEARS[0]:
        when = (_ZIP_YEARS[0], 1, 1, 0, 0, 0)
    elif when[0] > _ZIP_YEARS[1]:
        when = (_ZIP_YEARS[1], 12, 31, 23, 59, 58)
    info = zipfile.ZipInfo(name, when)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = _UNIX
    info.external_attr = _MODE << 16
    if -(2**31) <= seconds < 2**31:
        info.extra = struct.pack("<2sHBl", b"UT", 5, 1, seconds)
    return info


def _write_tar(target: BinaryIO, manifest: Manifest, contents: Sequence[Content]) -> None:
    listed = as_json(manifest)
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=target, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.addfile(_tar_entry(MANIFEST_NAME, len(listed), _latest_ns(manifest)), BytesIO(listed))
        for member, content in zip(manifest.members, contents, strict=True):
            with _Checked(content) as checked:
                archive.addfile(_tar_entry(member.entry, member.size_bytes, member.mtime_ns), checked)


def _tar_entry(name: str, size_bytes: int, mtime_ns: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size_bytes, mtime_ns // 10**9, 0o644
    return info


def _latest_ns(manifest: Manifest) -> int:
    return max((member.mtime_ns for member in manifest.members), default=0)


class _Checked:
    """A member's bytes, to be read once. If the context ends without an error, they were those accepted."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._digest = hashlib.sha256()
        self._left_bytes = content.fingerprint.size_bytes

    def __enter__(self) -> Self:
        with self._blamed():
            held = self._content.held()
            self._file: BinaryIO = BytesIO(held) if isinstance(held, bytes) else open(held, "rb")
        return self

    def read(self, size_bytes: int = PIECE_BYTES, /) -> bytes:
        """The next `size_bytes` bytes, or as many as are left."""
        wanted = min(size_bytes, self._left_bytes)
        with self._blamed():
            data = self._file.read(wanted)
        if len(data) != wanted:
            raise self._changed("it is shorter")
        self._left_bytes -= len(data)
        self._digest.update(data)
        return data

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is None:
                with self._blamed():
                    longer = self._file.read(1)
                if longer or self._left_bytes:
                    raise self._changed("it is longer" if longer else "it was not read to its end")
                if self._digest.hexdigest() != self._content.fingerprint.sha256:
                    raise self._changed("its SHA-256 differs")

    @contextlib.contextmanager
    def _blamed(self) -> Iterator[None]:
        name, item_id = self._content.name, self._content.item_id
        try:
            yield
        except FileNotFoundError as error:
            raise MemberBroken(
                item_id, SpoolMissing(f"{name!r} ({item_id}) cannot be read: {error.strerror}")
            ) from error
        except OSError as error:
            raise MemberBroken(item_id, trouble(f"{name!r} ({item_id}) cannot be read", error)) from error

    def _changed(self, how: str) -> MemberBroken:
        what = f"{self._content.name!r} ({self._content.item_id}) changed after it was accepted: {how}"
        return MemberBroken(self._content.item_id, SourceChanged(what))
