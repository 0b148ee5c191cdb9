"""Verifies and unpacks batches at the receiving end.

Rules.
- The files of an archive get their names only once every one of them is verified against the manifest. Until then they
  lie in a hidden folder inside the target folder.
- A name that is taken is left alone. Where the same bytes lie there already, that file counts as unpacked (so unpacking
  again does no harm); where others do, ours gets the alternative name it would have had on the server by itself.
- No file leaves the folder: a name that is not a single path component is replaced by the entry's, which is one.
- When `unpack` returns, the files survive a power cut: the archive may be removed then.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from iris_communication.archive.manifest import Manifest, Member
from iris_communication.archive.reading import PIECE_BYTES, ArchiveBroken, ArchiveReader, opened_archive
from iris_communication.errors import IrisError, Retry, Scope
from iris_communication.naming.alternative_name import NAME_MAX_BYTES, alternative_name
from iris_communication.runtime.amounts import size
from iris_communication.runtime.safe_files import open_no_follow, sync_folder

__all__ = ["ArchiveBroken", "FolderRefused", "Manifest", "Member", "Unpacked", "unpack", "verify"]

_CANNOT_LINK = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class FolderRefused(IrisError):
    """The folder does not accept a file. Files with their final names are whole; unpack again to write the rest."""

    scope = Scope.CALLER
    retry = Retry.AFTER_OPERATOR
    default_hint = "free space in the folder or correct its permissions, then unpack again"


class Unpacked(NamedTuple):
    member: Member
    path: Path
    how: Literal["written", "already there"]


def verify(archive: Path) -> Manifest:
    """Read every byte and compare it with the manifest, which is returned. Raises ArchiveBroken, OSError."""
    with opened_archive(archive) as opened:
        for _, pieces in opened.members():
            for _ in pieces:
                pass
        return opened.manifest


def unpack(archive: Path, folder: Path) -> list[Unpacked]:
    """Unpack every file of the archive into `folder`, which is made where it is missing. Raises ArchiveBroken and
    FolderRefused; OSError when the archive cannot be read."""
    with opened_archive(archive) as opened:
        with _refusing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            free_bytes = shutil.disk_usage(folder).free
            beside = Path(tempfile.mkdtemp(prefix=".iris-unpack-", dir=folder))
        try:
            if opened.manifest.size_bytes > free_bytes:
                needed = f"{size(opened.manifest.size_bytes)} needed and {size(free_bytes)} free"
                raise FolderRefused(f"{archive} does not fit into {folder}: {needed}")
            return _placed(list(_spread(opened, beside)), folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _spread(archive: ArchiveReader, beside: Path) -> Iterator[tuple[Member, Path]]:
    """Write each member to a synced file, named by a number."""
    for number, (member, pieces) in enumerate(archive.members()):
        path = beside / str(number)
        with _refusing(path):
            file = path.open("xb")
        with file:
            for piece in pieces:
                with _refusing(path):
                    file.write(piece)
            with _refusing(path):
                file.flush()
                _keep_time(file.fileno(), member.mtime_ns)
                os.fsync(file.fileno())
        yield member, path


def _keep_time(descriptor: int, mtime_ns: int) -> None:
    with contextlib.suppress(OSError, OverflowError):  # no file system can store every time
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))


def _placed(spread: list[tuple[Member, Path]], folder: Path) -> list[Unpacked]:
    unpacked = [_place(member, path, folder) for member, path in spread]
    with _refusing(folder):
        sync_folder(folder)
    return unpacked


def _place(member: Member, source: Path, folder: Path) -> Unpacked:
    """Give the file its name, or the alternative one; never in place of another file."""
    name = _file_name(member)
    for choice in (name, alternative_name(name, member.sha256[:8].encode())):
        target = folder / os.fsdecode(choice)
        with _refusing(target):
            if _give_name(source, target):
                return Unpacked(member, target, "written")
            if _holds(target, member):
                return Unpacked(member, target, "already there")
    what = f"{os.fsdecode(name)!r} in {folder} holds other content, and so does its alternative name"
    raise FolderRefused(what, hint="move those away, then unpack again")


def _file_name(member: Member) -> bytes:
    """Its own name where that is one component of a path, else its entry name in the archive."""
    with contextlib.suppress(UnicodeEncodeError):
        name = os.fsencode(member.name)
        if name not in (b"", b".", b"..") and not set(b"/\0") & set(name) and len(name) <= NAME_MAX_BYTES:
            return name
    return os.fsencode(member.entry)


def _give_name(source: Path, target: Path) -> bool:
    """Give the file this name; False where the name is taken."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        # No links here (FAT, some network drives): then a check before the rename has to do.
        if os.path.lexists(target):
            return False
        os.rename(source, target)
    return True


def _holds(path: Path, member: Member) -> bool:
    """Whether there is a file with exactly the member's bytes."""
    try:
        descriptor = open_no_follow(path, os.O_RDONLY)
    except OSError:
        return False
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != member.size_bytes:
            return False
        digest = hashlib.sha256()
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
        return digest.hexdigest() == member.sha256


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderRefused(f"cannot write {path}: {error.strerror}") from error
