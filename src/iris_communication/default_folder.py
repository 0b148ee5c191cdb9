"""Where an outbox is when nobody says."""

import os
from collections.abc import Mapping
from pathlib import Path


def default_outbox_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """$IRIS_OUTBOX, else iris/outbox in the user's state directory."""
    if named := environment.get("IRIS_OUTBOX"):
        return Path(named)
    state = environment.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(state) / "iris" / "outbox"
