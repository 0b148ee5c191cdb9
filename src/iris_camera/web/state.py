"""The whole snapshot, which the page, `/api/state` and the live socket all show, made in one place.

One function makes it, so that two views never differ. It reads values that cameras, uploader, records and health have
ready; none of them may block, because the web loop waits.

What goes wrong: a camera whose `snapshot()` raises (it is shown as offline with that reason, and the others unchanged);
a reason that quotes a library's text, password included (known and likely secrets are masked in every text).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iris_camera.health.service import CameraView, UploaderView, cannot_be_asked
from iris_camera.logs import without_secrets

log = logging.getLogger(__name__)

# A server that refuses everything can leave thousands of dead files; the command line lists them, a snapshot that is
# sent four times a second must not.
DEAD_SHOWN = 20

Snapshot = Callable[[], dict[str, Any]]


def whole_snapshot(
    *,
    cameras: Callable[[], Sequence[CameraView]],
    uploader: UploaderView,
    health: Callable[[], Mapping[str, Any]],
    version: str,
    records: Callable[[], Mapping[str, Any]] | None = None,
    notice: Callable[[], str] | None = None,
    wall: Callable[[], float] = time.time,
) -> Snapshot:
    """A function that returns `{"at_s": Unix time, "version", "cameras": [...], "uploader": {...}, "health": {...}}`.

    `"cameras"` are the `snapshot()`s of the present cameras, `"uploader"` its `get_details()` with at most twenty of
    the dead, `"health"` the result of `health()`; with `records` there is also `"records"`, the files kept on this
    machine, and with `notice` `"notice"`, a sentence above everything else. No text in it holds a known or likely
    secret.
    """
    mute: set[str] = set()

    def ask(camera: CameraView) -> Mapping[str, Any]:
        try:
            seen = camera.snapshot()
        except Exception as error:
            if camera.name not in mute:
                mute.add(camera.name)
                log.exception("the page: camera %s did not report its state", camera.name)
            return cannot_be_asked(camera.name, error)
        mute.discard(camera.name)
        return seen

    def snapshot() -> dict[str, Any]:
        details = dict(uploader.get_details())
        details["dead"] = list(details.get("dead", ()))[:DEAD_SHOWN]
        whole = {
            "at_s": wall(),
            "version": version,
            "cameras": [ask(camera) for camera in cameras()],
            "uploader": details,
            "health": health(),
        }
        if records is not None:
            whole["records"] = records()
        if notice is not None:
            whole["notice"] = notice()
        clean: dict[str, Any] = cleaned(whole)
        return clean

    return snapshot


def cleaned(value: Any) -> Any:
    """The same mappings, lists and texts without known or likely secrets; for all data that leaves this process."""
    return _cleaned(value, {})


def _cleaned(value: Any, known: dict[str, str]) -> Any:
    """`known` maps each text to its clean form, because states and reasons occur many times."""
    if isinstance(value, str):
        if value not in known:
            known[value] = without_secrets(value)
        return known[value]
    if isinstance(value, Mapping):
        return {key: _cleaned(inner, known) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_cleaned(inner, known) for inner in value]
    return value
