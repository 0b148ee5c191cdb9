"""The folder of the records is for its owner alone where it is made here: pictures of the line lie in it.

Who makes it beforehand decides who else may read it: a folder that exists is left as it is.
"""

import contextlib
import os
from pathlib import Path

from iris_communication.errors import IrisError

MODE = 0o700


def make_records_folder(folder: Path) -> None:
    """Raises IrisError for a folder of another user, in whose way our files would be. One that cannot be made is told
    by whoever writes there, again and again: it may be possible later."""
    if os.path.exists(folder):  # noqa: PTH110  # raises nothing
        _check_owner(folder)
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
