"""A records folder that Iris makes is for its owner alone: pictures of the line lie in it.

A folder that exists keeps its mode: the user who made it decides who else may read it. One that everybody may write
into is refused: a file that waits there could be replaced by a link, and a file that only this user may read would be
delivered in its place.
"""

import contextlib
import os
import stat
from pathlib import Path

from iris_communication.errors import IrisError

MODE = 0o700


def make_records_folder(folder: Path) -> None:
    """Raises IrisError for a folder of another user, whose own files ours would block, and for one that everybody may
    write into. One that cannot be made is no error here: each write tries again and reports it."""
    if os.path.exists(folder):  # noqa: PTH110  # raises nothing
        _check_owner(folder)
        if (opened := _open_to_everybody(folder)) is not None:
            raise IrisError(
                f"any user may write into the records' folder {opened}",
                hint=f"check that every file in it is yours, then: chmod -R o-w '{folder}'",
            )
        return
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=MODE)
        folder.chmod(MODE)  # whatever the umask


def _check_owner(folder: Path) -> None:
    user = folder.stat().st_uid
    if user != os.geteuid():
        raise IrisError(
            f"the records' folder {folder} belongs to user {user}",
            hint=f"run as that user (sudo -u '#{user}' iris run), or give this one another folder (--records)",
        )


def _open_to_everybody(folder: Path) -> Path | None:
    """The folder, or one of those in it that Iris makes, into which everybody may write; None: nobody else may."""
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH:
        return folder
    if not mode & stat.S_IXOTH:  # others cannot reach the folders in it
        return None
    with contextlib.suppress(OSError):
        for within in (path for pattern in ("*/", "*/*/") for path in folder.glob(pattern)):
            if within.lstat().st_mode & stat.S_IWOTH and not within.is_symlink():
                return within
    return None
