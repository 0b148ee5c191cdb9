"""The accepted bytes: of a small file its content, which the store keeps with its row; of a larger one a file, named by
the item's id, from acceptance until its delivery is recorded.

Rules.
- A file of at most SMALL_MAX_BYTES is read, and nothing of it lies here: where the curves cross, a row with its content
  in one commit costs less than a synced file.
- Others up to 1 MiB are copied. A larger one, and any that the caller hands over for good, is linked: the same bytes
  under a second name, without copying. Where the file system cannot link, it is copied after all.
- Each file is synced before its row is committed, and its folder once for the whole group.
- A link does not protect from a program that goes on writing into the file. So its SHA-256 is taken here, and the
  uploader compares it with the bytes that it sent, before they get their final name.

What goes wrong. A file without a row is an acceptance that was never answered: recovery removes it at the next start.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from iris_communication.errors import (
    IrisError,
    OutboxStorageError,
    SourceChanged,
    SourceMissing,
    SourceNotAFile,
    SourceReplaced,
    SourceUnreadable,
    SpoolMissing,
)
from iris_communication.item import Archive, Fingerprint, Take, Upload
from iris_communication.outbox.files import private
from iris_communication.runtime.safe_files import CANNOT_LINK, open_folder, open_private
from iris_communication.runtime.system_trouble import hint_of, is_the_files_own, trouble

SMALL_MAX_BYTES = 100_000
COPY_MAX_BYTES = 1024 * 1024
_PIECE = 1024 * 1024
_PIECE_MIN = 64 * 1024
GROWS_MAX_BYTES = 64 * 1024 * 1024  # while it is read: a file that grows as fast as it is read has no end
_GONE = (
    "the folder of the outbox was removed or is not mounted any more: put it back as it was, or restart this program, "
    "which makes another"
)


class TakenFile(NamedTuple):
    """What was taken over; `content` None: it is a file in the spool."""

    fingerprint: Fingerprint
    content: bytes | None = None


class Spool:
    """`small_max_bytes`: up to so many a source is read, and the store keeps its content."""

    def __init__(self, folder: Path, small_max_bytes: int = SMALL_MAX_BYTES) -> None:
        self._folder = folder
        self._small_max_bytes = small_max_bytes
        self._named = folder.with_name("handed-out")
        self._archives = folder.with_name("archives")
        private.make_folder(folder)
        shutil.rmtree(self._archives, ignore_errors=True)  # of a crash; they are built again from their members
        private.make_folder(self._archives)
        shutil.rmtree(self._named, ignore_errors=True)  # links a crash left; the bytes are in the spool
        self._descriptor: int | None = None  # of the folder, opened when it is first needed
        self._mark: tuple[int, int] | None = None  # device and inode of what that descriptor was opened on

    def close(self) -> None:
        """Close the folder's descriptor; harmless when there is none, and where other code closed it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and _marked(descriptor) == self._mark:
            os.close(descriptor)

    def path(self, item_id: str) -> Path:
        return self._folder / item_id

    def archive(self, batch_id: str) -> Path:
        """Where the archive of a batch is built; the code that builds it removes it."""
        return self._archives / batch_id

    def held(self, upload: Upload) -> Path:
        """The file with the bytes to send."""
        return self.archive(upload.id) if isinstance(upload, Archive) else self.path(upload.id)

    def take(self, source: str, item_id: str, take: Take, identity: tuple[int, int] | None = None) -> TakenFile:
        """Read a small source, or hold its bytes as `item_id`, synced except for the folder (`sync` does that for a
        group). With an `identity` (device, inode) only if the source is that very file.

        Raises SourceReplaced, SourceMissing, SourceUnreadable, SourceNotAFile, SourceChanged; OutboxStorageError when
        our own disk, process or machine refuses.
        """
        descriptor, facts = open_source(source)
        try:
            if identity is not None and (facts.st_dev, facts.st_ino) != identity:
                raise SourceReplaced(f"{source!r} is not the file that was examined")
            opened = _Source(source, descriptor, facts.st_size)
            if (content := _small(opened, self._small_max_bytes)) is not None:
                return TakenFile(_fingerprint(facts, hashlib.sha256(content).hexdigest(), len(content)), content)
            target = os.fspath(self.path(item_id))
            with self._errors(f"take {source!r} into the spool {self._folder}"):
                to_link = take is Take.MOVE or facts.st_size > COPY_MAX_BYTES
                hold = _sync_link if to_link and self._link(descriptor, target) else _copy
                return TakenFile(_fingerprint(facts, *hold(target, opened)))
        finally:
            os.close(descriptor)

    def share(self, item_id: str, other_id: str) -> None:
        """Hold the same bytes a second time, for another item. Raises OutboxStorageError."""
        source, target = self.path(item_id), os.fspath(self.path(other_id))
        with self._errors(f"hold {source} a second time"):
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in CANNOT_LINK:
                    raise
                descriptor, facts = open_source(os.fspath(source))
                try:
                    _copy(target, _Source(os.fspath(source), descriptor, facts.st_size))
                finally:
                    os.close(descriptor)

    def sync(self) -> None:
        """Make the names of all files taken since the last call durable."""
        with self._errors(f"sync the spool {self._folder}"):
            descriptor = self._opened_folder()
            if not _marked(descriptor) == self._mark == _marked(self._folder):
                self.close()  # the descriptor was reused, or the folder exchanged
                descriptor = self._opened_folder()
            os.fsync(descriptor)

    @contextlib.contextmanager
    def named(self, item_id: str, name: str, content: bytes | None = None) -> Iterator[Path]:
        """The bytes under a file name that the caller chooses, while the context lasts: for code that sends a file
        under its local name. `content`: the bytes, if the spool does not hold them. Raises SpoolMissing,
        OutboxStorageError."""
        folder = self._named / item_id
        path = folder / name
        try:
            with self._errors(f"hand out {name!r} in {folder}"):
                if content is None and not self.path(item_id).exists():
                    raise SpoolMissing(f"{name!r} ({item_id}) is gone from the spool {self._folder}")
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                if content is None:
                    self._link_named(self.path(item_id), path)
                else:
                    with os.fdopen(open_private(os.fspath(path), os.O_WRONLY | os.O_EXCL), "wb") as file:
                        file.write(content)
            yield path
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _link_named(self, held: Path, path: Path) -> None:
        try:
            os.link(held, path)
        except OSError as error:
            if error.errno not in CANNOT_LINK:
                raise
            shutil.copyfile(held, path)

    def discard(self, item_id: str) -> None:
        """Remove these bytes; harmless when they are gone already."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(item_id))

    def sizes(self) -> dict[str, int]:
        """Size in bytes of each file held, by item id."""
        with os.scandir(self._folder) as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}

    def _link(self, descriptor: int, target: str) -> bool:
        """Whether `target` is now a second name of the open file: of that very file, whatever lies under its first name
        by now."""
        try:
            # Only with a folder to start from does Python call linkat(), which follows /proc's link to the open file.
            os.link(f"/proc/self/fd/{descriptor}", target, src_dir_fd=self._opened_folder(), follow_symlinks=True)
        except OSError as error:
            if error.errno in CANNOT_LINK or error.errno == errno.ENOENT:
                return False
            raise
        return True

    def _opened_folder(self) -> int:
        """Its descriptor, opened once: after each system call an acceptance waits for the interpreter lock again."""
        if self._descriptor is None:
            self._descriptor = open_folder(self._folder)
            self._mark = _marked(self._descriptor)
        return self._descriptor

    @contextlib.contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutboxStorageError(f"cannot {doing}: {error.strerror}", hint=self._hint(error)) from error

    def _hint(self, error: OSError) -> str | None:
        return hint_of(error) if self._folder.is_dir() else _GONE


def _marked(opened: int | Path) -> tuple[int, int] | None:
    """Device and inode; None where there is nothing."""
    try:
        facts = os.stat(opened)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def fingerprint_of(source: str) -> Fingerprint:
    """The fingerprint of a file that stays outside the spool; reads all of it. Raises what `Spool.take` raises."""
    descriptor, facts = open_source(source)
    try:
        return _fingerprint(facts, *_hashed(_Source(source, descriptor, facts.st_size)))
    finally:
        os.close(descriptor)


def _fingerprint(facts: os.stat_result, sha256: str, size_bytes: int) -> Fingerprint:
    device, inode, _, mtime_ns = _identity(facts)
    return Fingerprint(device, inode, size_bytes, mtime_ns, sha256)


def still_is(source: str, fingerprint: Fingerprint) -> bool:
    """Whether `source` is the very file that was accepted, unchanged, by identity, size and time."""
    try:
        facts = os.stat(source)
    except OSError:
        return False
    taken = (fingerprint.device, fingerprint.inode, fingerprint.size_bytes, fingerprint.mtime_ns)
    return _identity(facts) == taken


def _identity(facts: os.stat_result) -> tuple[int, int, int, int]:
    """Device, inode, size and time; a time too large for the database's 64-bit integers is capped."""
    return facts.st_dev, facts.st_ino, facts.st_size, min(facts.st_mtime_ns, (1 << 63) - 1)


def open_source(source: str) -> tuple[int, os.stat_result]:
    """A descriptor of a regular file. Raises SourceMissing, SourceUnreadable, SourceNotAFile, SystemTrouble."""
    try:
        # Not blocking: opening a named pipe would otherwise wait for a writer for ever.
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceMissing(f"{source!r} does not exist") from error
    except OSError as error:
        raise _unreadable(source, error) from error
    try:
        facts = os.fstat(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise _unreadable(source, error) from error
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise SourceNotAFile(f"{source!r} is {_kind(facts.st_mode)}, not a regular file")
    return descriptor, facts


def _unreadable(source: str, error: OSError) -> IrisError:
    what = f"{source!r} cannot be read"
    if not is_the_files_own(error):
        return trouble(what, error)
    hint = None if error.errno in (errno.EACCES, errno.EPERM) else "queue only regular files that can be read"
    return SourceUnreadable(f"{what}: {error.strerror}", hint=hint)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


class _Source(NamedTuple):
    """An open source file, and how many bytes it had when it was opened."""

    path: str
    descriptor: int
    size_bytes: int


def _small(source: _Source, max_bytes: int) -> bytes | None:
    """The content of a small source; None: it is larger, and is read from its beginning again. Files that the kernel
    makes up state a size of 0, whatever they hold."""
    if source.size_bytes > max_bytes:
        return None
    content = bytearray()
    for piece in _pieces(source):
        content += piece
        if len(content) > max_bytes:
            os.lseek(source.descriptor, 0, os.SEEK_SET)
            return None
    return bytes(content)


def _copy(target: str, source: _Source) -> tuple[str, int]:
    """Copy the source into a new, synced file; (sha256 hex, size). A failed copy leaves nothing."""
    digest, size_bytes = hashlib.sha256(), 0
    copy = open_private(target, os.O_WRONLY | os.O_EXCL)
    try:
        for piece in _pieces(source):
            digest.update(piece)
            size_bytes += len(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(copy, view) :]
        os.fdatasync(copy)
    except BaseException:
        os.unlink(target)
        raise
    finally:
        os.close(copy)
    return digest.hexdigest(), size_bytes


def _sync_link(target: str, source: _Source) -> tuple[str, int]:
    """Sync the source, whose second name is `target`; (sha256 hex, size). After a failure that name is removed."""
    try:
        hashed = _hashed(source)
        os.fdatasync(source.descriptor)
    except BaseException:
        os.unlink(target)
        raise
    return hashed


def _hashed(source: _Source) -> tuple[str, int]:
    digest, size_bytes = hashlib.sha256(), 0
    for piece in _pieces(source):
        digest.update(piece)
        size_bytes += len(piece)
    return digest.hexdigest(), size_bytes


def _pieces(source: _Source) -> Iterator[bytes]:
    """The source's bytes to its end. The read asks for one byte more than the file had when it was opened: a shorter
    result that ends at that size is the end, which saves another read. The size is trusted no further: files that the
    kernel generates report 0, and some answer only the first read, with as much as it asks for."""
    asked_bytes = min(_PIECE, max(source.size_bytes + 1, _PIECE_MIN))
    size_bytes = 0
    while piece := _piece(source, asked_bytes):
        size_bytes += len(piece)
        if size_bytes > source.size_bytes + GROWS_MAX_BYTES:
            raise SourceChanged(f"{source.path!r} grew by over {GROWS_MAX_BYTES >> 20} MiB while it was read")
        yield piece
        if size_bytes == source.size_bytes and len(piece) < asked_bytes:
            return


def _piece(source: _Source, asked_bytes: int) -> bytes:
    try:
        return os.read(source.descriptor, asked_bytes)
    except BlockingIOError as error:  # a kernel log, which waits for more
        raise SourceNotAFile(f"{source.path!r} blocks its readers, which no regular file does") from error
    except OSError as error:
        raise _unreadable(source.path, error) from error


def spooled_files(folder: Path) -> list[tuple[str, int]]:
    """The spool's files, with their sizes in bytes."""
    try:
        with os.scandir(folder / "spool") as entries:
            return [(entry.name, entry.stat(follow_symlinks=False).st_size) for entry in entries]
    except FileNotFoundError:
        return []
