"""Where cameras get their time, so that a test can give them another."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple


class CameraClock(NamedTuple):
    """Two clocks in seconds, and `wait(event, timeout_s)`, which waits on the event and says whether it is set."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait


SYSTEM_CLOCK = CameraClock()
