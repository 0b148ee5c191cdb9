"""Where an outbox is when nobody says."""

import os
from collections.abc import Mapping
from pathlib import Path

from iris_communication.errors import InvalidRequest


def default_outbox_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """$IRIS_OUTBOX, else iris/outbox in the user's state directory."""
    if named := environment.get("IRIS_OUTBOX"):
        return Path(named)
    if state := environment.get("XDG_STATE_HOME"):
        return Path(state) / "iris" / "outbox"
    try:
        return Path("~/.local/state").expanduser() / "iris" / "outbox"
    except RuntimeError:
        raise InvalidRequest(
            "this process's user has no home directory, so there is no folder for the outbox",
            hint="give outbox_dir, or set IRIS_OUTBOX, XDG_STATE_HOME or HOME",
        ) from None
