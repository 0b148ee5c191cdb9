"""The folder of the records is for its owner alone where it is made here: pictures of the line lie in it.

Who makes it beforehand decides who else may read it: a folder that exists is left as it is. One that everybody may
write into is refused: a file that waits there could be replaced by a link, and what only we may read would be delivered
in its place.
"""

import contextlib
import os
import stat
from pathlib import Path

from iris_communication.errors import IrisError

MODE = 0o700


def make_records_folder(folder: Path) -> None:
    """Raises IrisError for a folder of another user, in whose way our files would be, and for one that everybody may
    write into. One that cannot be made is told by whoever writes there, again and again: it may be possible later."""
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
    if not mode & stat.S_IXOTH:  # nobody comes to those in it
        return None
    with contextlib.suppress(OSError):
        for within in (path for pattern in ("*/", "*/*/") for path in folder.glob(pattern)):
            if within.lstat().st_mode & stat.S_IWOTH and not within.is_symlink():
                return within
    return None
