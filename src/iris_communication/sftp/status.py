"""From a status code to an error that says who is to blame.

The codes say little: OpenSSH folds "exists", "disk full", "quota" and "read-only" into FAILURE with the text
"Failure", so the caller checks (free space, the name itself) before it decides. Some servers leak codes of later
protocol versions into version 3; those that matter are known here, the rest count as FAILURE.
"""

import re

from iris_communication.errors import IrisError, RemoteDiskFull, RemoteFailure, RemoteNameRefused, RemoteRefused
from iris_communication.sftp.wire import (
    FX_BAD_MESSAGE,
    FX_FAILURE,
    FX_NO_SPACE,
    FX_NO_SUCH_FILE,
    FX_NO_SUCH_PATH,
    FX_OP_UNSUPPORTED,
    FX_PERMISSION_DENIED,
    FX_QUOTA,
)

NAMES = {
    1: "EOF",
    2: "NO_SUCH_FILE",
    3: "PERMISSION_DENIED",
    4: "FAILURE",
    5: "BAD_MESSAGE",
    8: "OP_UNSUPPORTED",
    10: "NO_SUCH_PATH",
    11: "FILE_ALREADY_EXISTS",
    14: "NO_SPACE_ON_FILESYSTEM",
    15: "QUOTA_EXCEEDED",
}


# Texts of strerror and of servers that write their own; a path in the message may hold any single word of them.
_DISK_FULL = re.compile(
    r"no space (left )?on|disk (is )?full|over quota|quota (\w+ )?exceeded|exceed\w* .{0,80}quota", re.IGNORECASE
)
# Some servers say it in their text alone, under the code FAILURE.
_FORBIDDEN = re.compile(
    r"permission denied|access (is )?denied|operation not permitted|read-only file system", re.IGNORECASE
)
# Some say so of a missing file; these are texts of strerror and of Windows, which no path is likely to hold.
_MISSING = re.compile(r"no such (file|path)|cannot find the (file|path)", re.IGNORECASE)
_NO_FOLDER = re.compile(r"not a directory", re.IGNORECASE)
_FOLDER_HINT = "a folder of the path is missing and could not be made: make it on the server, or check remote_directory"

_HIDDEN_HINT = (
    "check the user's permissions on the remote folder, also for hidden names that begin with .iris-; where names are "
    "limited, set in_place = true: then files are written under their own"
)


class StatusError(Exception):
    """A request was refused; thrown into the conversation that asked."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{NAMES.get(code, f'status {code}')}{f' ({message})' if message else ''}")
        self.code = code
        self.message = message

    @property
    def says_disk_full(self) -> bool:
        return self.code in (FX_NO_SPACE, FX_QUOTA) or _DISK_FULL.search(self.message) is not None

    @property
    def says_forbidden(self) -> bool:
        by_its_text = self.code == FX_FAILURE and _FORBIDDEN.search(self.message) is not None
        return self.code == FX_PERMISSION_DENIED or by_its_text

    @property
    def says_missing(self) -> bool:
        """Whether it says that nothing is there. Some servers say no more than FAILURE: there `look.is_missing` finds
        out."""
        if self.code in (FX_NO_SUCH_FILE, FX_NO_SUCH_PATH):
            return True
        return self.code == FX_FAILURE and _MISSING.search(self.message) is not None


def shown(path: bytes) -> str:
    return repr(path.decode("utf-8", "backslashreplace"))


def blame(error: StatusError, doing: str, path: bytes, of: bytes | None = None) -> IrisError:
    """The error of an item whose request (`doing`, a verb for its message, on `path`) was refused; `of`: the file that
    `path` is a hidden name of."""
    name = shown(path) if of is None or of == path else f"{shown(path)} (for {shown(of)})"
    what = f"cannot {doing} {name} on the server: {error}"
    if error.says_disk_full:
        return RemoteDiskFull(what)
    if error.says_missing or (error.code == FX_FAILURE and _NO_FOLDER.search(error.message)):
        return RemoteRefused(what, hint=_FOLDER_HINT)
    if error.says_forbidden:
        return RemoteRefused(what)
    if error.code in (FX_BAD_MESSAGE, FX_OP_UNSUPPORTED):
        return RemoteNameRefused(what)
    return RemoteFailure(what)


def not_made(error: StatusError, folder: bytes, of: bytes) -> RemoteRefused:
    """The error of a file whose `folder` is missing and may not be made: a person can mend that."""
    return RemoteRefused(str(blame(error, "make the folder", folder, of)), hint=_FOLDER_HINT)


def hint_at_hidden_names(failure: IrisError) -> None:
    """For a hidden file that could not be created, where no other reason is known."""
    if isinstance(failure, (RemoteRefused, RemoteNameRefused, RemoteFailure)):
        failure.hint = _HIDDEN_HINT
