"""The default folder of an outbox, and absolute paths."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from iris_communication.errors import InvalidRequest


def default_outbox_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """$IRIS_OUTBOX, else iris/outbox in the user's state directory."""
    if named := environment.get("IRIS_OUTBOX"):
        return Path(named)
    state = Path(environment.get("XDG_STATE_HOME") or "")
    if not state.is_absolute():  # its specification says to ignore such a value
        with suppress(RuntimeError):
            state = Path("~/.local/state").expanduser()
    if not state.is_absolute():
        raise InvalidRequest(
            "this process's user has no home directory, so there is no folder for the outbox",
            hint="give outbox_dir, or set IRIS_OUTBOX, XDG_STATE_HOME or HOME (absolute paths)",
        )
    return state / "iris" / "outbox"


def absolute(path: "str | os.PathLike[str]") -> str:
    """The absolute path, which stays right when the process changes its folder. Raises InvalidRequest for a relative
    path in a folder that was removed."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise InvalidRequest(
            f"{os.fspath(path)!r} is relative to this process's working directory, which was removed",
            hint="give an absolute path, or start in a directory that exists",
        ) from None
