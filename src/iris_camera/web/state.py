"""The whole snapshot: what the page, `/api/state` and the live socket all show, made in one place.

One function makes it, so that two views never tell two stories. It asks cameras, uploader, records and health for
what they already know; none of them may block, because the web loop waits for the answer.

What goes wrong: a camera that raises when it is asked (it is shown as offline with that reason, and the others as
they are); a reason that quotes what a library said, password included (known and likely secrets are taken out of
every text on its way out).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iris_camera.health.service import CameraView, UploaderView, cannot_be_asked
from iris_camera.logs import without_secrets

log = logging.getLogger(__name__)

# A server that refuses everything can give up thousands of files; they are for the command line, not for a page
# that is sent four times a second.
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
    """A function giving `{"at_s": Unix time, "version", "cameras": [...], "uploader": {...}, "health": {...}}`.

    `cameras` are the `snapshot()`s of those there are at that moment, `uploader` its `get_details()` with at most
    twenty of the dead, `health` the answer of the function given; with `records` there is `"records"` besides, what
    is kept on this machine, and with `notice` `"notice"`, a sentence to stand above all. No text in it holds a known or
    likely secret.
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
    """The same mappings, lists and texts without known or likely secrets; for all that leaves this process."""
    return _cleaned(value, {})


def _cleaned(value: Any, known: dict[str, str]) -> Any:
    """`known`: what texts became, since states and reasons come many times over."""
    if isinstance(value, str):
        if value not in known:
            known[value] = without_secrets(value)
        return known[value]
    if isinstance(value, Mapping):
        return {key: _cleaned(inner, known) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [_cleaned(inner, known) for inner in value]
    return value
