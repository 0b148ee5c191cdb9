"""The signals the process obeys: Ctrl+C and SIGTERM stop it, SIGHUP makes it read its settings again."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


@contextlib.contextmanager
def listening_to_signals(
    request_stop: Callable[[], None], request_reload: Callable[[], None] | None = None
) -> Iterator[None]:
    """A second Ctrl+C ends the process at once. Without `request_reload` SIGHUP keeps its handler.

    Both functions run inside a signal handler, between two instructions of the main thread, which may hold any lock
    then: they may touch nothing that takes a lock (a threading.Event does; queue.SimpleQueue.put does not).
    """
    asked = False

    def on_stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            os._exit(128 + number)
        asked = True
        request_stop()

    def on_reload(number: int, frame: FrameType | None) -> None:
        if request_reload is not None:
            request_reload()

    handlers: dict[signal.Signals, Handler] = {signal.SIGINT: on_stop, signal.SIGTERM: on_stop}
    if request_reload is not None:
        handlers[signal.SIGHUP] = on_reload
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
