"""A camera on this machine, through Video4Linux.

`usb:0` is the first one found at boot, which after a replug may be another; a name under /dev/v4l/by-id belongs to one
camera for ever. It is a link, resolved again at each opening, because its target changes with each replug.

OpenCV fails a read of such a camera after ten seconds (its own limit, which only an environment variable of the whole
process could change); `hung_after_s` has to be above that.

The tests replace `cv2.VideoCapture` by a fake capture device, because test machines have no camera: they show how Iris
treats a device that is unplugged, replugged, busy or hung, not that a driver behaves so.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError

OpenCapture = Callable[[str, int], Any]


def open_usb(
    settings: SourceSettings, open_capture: OpenCapture = cv2.VideoCapture, devices: Path = Path("/dev")
) -> Any:
    """The opened capture device. Raises SourceError when there is none."""
    device = device_of(settings, devices)
    try:
        capture = open_capture(str(device), cv2.CAP_V4L2)
    except cv2.error as error:
        raise SourceError(f"{device} cannot be opened (OpenCV's code {error.code})") from None
    if not capture.isOpened():
        raise SourceError(
            f"{device} gives no pictures", "Check whether another program uses it, and whether it is a camera."
        )
    wanted = {
        cv2.CAP_PROP_FRAME_WIDTH: settings.width,
        cv2.CAP_PROP_FRAME_HEIGHT: settings.height,
        cv2.CAP_PROP_FPS: settings.frame_rate,
    }
    for what, value in wanted.items():
        if value is not None:
            capture.set(what, value)  # the driver takes the nearest it can; the frames count, not this return value
    return capture


def device_of(settings: SourceSettings, devices: Path) -> Path:
    """The device node the camera has now. Raises SourceError when it is not there, or this user may not use it."""
    index = settings.usb_index
    named = settings.path if index is None else devices / f"video{index}"
    device = Path(os.path.realpath(named))  # raises nothing, nor does the next: links may form a circle
    if not os.path.exists(device):  # noqa: PTH110  # raises nothing
        raise SourceError(
            f"there is no camera {named}", "Check whether it is plugged in; ls /dev/v4l/by-id lists the cameras."
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(f"no permission to use {device}", "Add the user that runs Iris to the group video.")
    return device
