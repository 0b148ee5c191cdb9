"""Threads for name look-ups that the end of the program does not wait for.

A name server that does not answer holds its look-up for half a minute and more, and a look-up cannot be cancelled.
asyncio waits for such threads when its loop ends, and the interpreter once more when it exits; so a stop with the
network down would take as long as the look-up.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from iris_communication.settings import EventLoop

Result = TypeVar("Result")


class DaemonThreads(ThreadPoolExecutor):
    """A loop's default executor: each call has a daemon thread of its own, and shutting down waits for none."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        outcome: Future[Any] = Future()

        def run() -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **options)
            except BaseException as error:  # noqa: BLE001 - the caller that waits for the future gets it
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

        threading.Thread(target=run, name="iris-lookup", daemon=True).start()
        return outcome

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Does not wait for calls under way."""


def loop_with_daemon_threads(event_loop: EventLoop = "asyncio") -> asyncio.AbstractEventLoop:
    """For asyncio.Runner, as its `loop_factory`."""
    loop = asyncio.new_event_loop() if event_loop == "asyncio" else _uvloop()
    loop.set_default_executor(DaemonThreads())
    return loop


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 - an extra

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run(main: Coroutine[Any, Any, Result], event_loop: EventLoop = "asyncio") -> Result:
    """asyncio.run(), but its end waits for no look-up."""
    with asyncio.Runner(loop_factory=lambda: loop_with_daemon_threads(event_loop)) as runner:
        return runner.run(main)
