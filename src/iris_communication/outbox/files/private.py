"""Only the owner's user may read files in the outbox, and only that user may have put them there.

The folder has to be ours, and no other user may write into it: one who may can put a link where a file of ours is to be
written, and the outbox holds passwords, pictures and records. `safe_files` opens our files.
"""

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

from iris_communication.errors import OutboxStorageError
from iris_communication.runtime.safe_files import FILE_MODE, open_no_follow
from iris_communication.runtime.system_trouble import storage_trouble

FOLDER_MODE = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may use; one that exists keeps its mode. Raises OSError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkdir(path, FOLDER_MODE)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        os.chmod(path, FOLDER_MODE)


def check_folder(folder: Path) -> None:
    """Raises OutboxStorageError for a folder of another user, and for one that others may write into."""
    try:
        facts = os.stat(folder)
    except OSError as error:
        raise storage_trouble(f"cannot use the outbox folder {folder}", error) from error
    if facts.st_uid != os.geteuid():
        raise _of_another_user("the outbox", folder, facts.st_uid)
    if facts.st_mode & _OTHERS_WRITE:
        raise OutboxStorageError(
            f"other users may write into the outbox {folder} (mode {stat.S_IMODE(facts.st_mode):04o})",
            hint=f"check that every file in it is yours, then: chmod 700 '{folder}'",
        )


def close_to_others(folder: Path) -> dict[Path, int]:
    """Take others' permissions from everything directly in the folder; called by its owner before anything in it is
    open. Returned: what others could read, with its earlier mode. Raises OutboxStorageError for a file of another user
    and for a link."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                # SQLite removes its log and the log's index once the last reader has closed the database.
                with suppress(FileNotFoundError):
                    path, facts = Path(entry.path), entry.stat(follow_symlinks=False)
                    if _close_to_others(path, facts):
                        found[path] = stat.S_IMODE(facts.st_mode)
    except OSError as error:
        raise storage_trouble(f"cannot read the folder {folder}", error) from error
    return found


def _close_to_others(path: Path, facts: os.stat_result) -> bool:
    """Whether it was open to them."""
    if stat.S_ISLNK(facts.st_mode):
        raise OutboxStorageError(
            f"{path} is a symbolic link: writes would go somewhere else",
            hint="replace it by what it points to, or remove it",
        )
    if facts.st_uid != os.geteuid():
        raise _of_another_user("the file of state", path, facts.st_uid)
    if stat.S_ISFIFO(facts.st_mode) or stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode):
        raise OutboxStorageError(
            f"{path} is a named pipe or a device, not a file", hint="replace it by the right file, or remove it"
        )
    mode = {stat.S_IFREG: FILE_MODE, stat.S_IFDIR: FOLDER_MODE}.get(stat.S_IFMT(facts.st_mode))
    if mode is None or not stat.S_IMODE(facts.st_mode) & 0o077:
        return False
    descriptor = open_no_follow(path, os.O_RDONLY)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return True


def _of_another_user(what: str, path: Path, user: int) -> OutboxStorageError:
    if what == "the outbox":
        hint = f"run as that user: sudo -u {_named(user)} iris ...; or give this user its own outbox (--outbox)"
    else:
        hint = f"correct its owner: chown {os.geteuid()} '{path}'"
    return OutboxStorageError(f"{what} {path} belongs to user {user}", hint=hint)


def _named(user: int) -> str:
    """The user as sudo accepts it: a name, or #number for a user without one."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"'#{user}'"
