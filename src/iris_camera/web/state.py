"""The whole snapshot: what the page, `/api/state` and the live socket all show, made in one place.

One function makes it, so that two views never tell two stories. It asks cameras, uploader and health for what they
already know; none of them may block, because the web loop waits for the answer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iris_camera.health import CameraView, UploaderView

# A server that refuses everything can give up thousands of files; they are for the command line, not for a page
# that is sent four times a second.
DEAD_SHOWN = 20

Snapshot = Callable[[], dict[str, Any]]


def whole_snapshot(
    *,
    cameras: Sequence[CameraView],
    uploader: UploaderView,
    health: Callable[[], Mapping[str, Any]],
    version: str,
    wall: Callable[[], float] = time.time,
) -> Snapshot:
    """A function giving `{"at_s": Unix time, "version", "cameras": [...], "uploader": {...}, "health": {...}}`.

    `cameras` are their `snapshot()`s, `uploader` its `get_details()` with at most twenty of the dead, `health` the
    answer of the function given.
    """

    def snapshot() -> dict[str, Any]:
        details = dict(uploader.get_details())
        details["dead"] = list(details.get("dead", ()))[:DEAD_SHOWN]
        return {
            "at_s": wall(),
            "version": version,
            "cameras": [dict(camera.snapshot()) for camera in cameras],
            "uploader": details,
            "health": dict(health()),
        }

    return snapshot
