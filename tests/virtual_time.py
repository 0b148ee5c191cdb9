"""An asyncio loop that never waits: once nothing is ready it moves the fake clock to the next timer.

So an hour of deadlines runs in a moment, and in the same order every time. Where nothing is ready and no timer is
set, nothing can ever happen any more; that is raised instead of hanging. For code that keeps to one thread: the loop
does not know about work that another thread still has under way.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from iris_communication.testing.clock import FakeClock

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


LIMIT_S = 30 * 24 * 3600.0


class NothingWillHappen(Exception):
    """Every task waits for something that cannot happen any more."""


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, clock: FakeClock, limit_s: float) -> None:
        super().__init__()
        self._clock = clock
        self._end_s = clock.monotonic_s() + limit_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingWillHappen("no task can go on and no timer is set")
        if not ready and timeout:
            self._clock.advance(timeout)
            if self._clock.monotonic_s() > self._end_s:
                raise NothingWillHappen("timers go on and on, but it is not done")
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: FakeClock, limit_s: float) -> None:
        super().__init__(_JumpingSelector(clock, limit_s))
        self._virtual = clock

    def time(self) -> float:
        return self._virtual.monotonic_s()

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Arguments], Result], *args: *Arguments
    ) -> asyncio.Future[Result]:
        """At once and on this thread: nothing may be under way that the loop does not see."""
        done: asyncio.Future[Result] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whatever it raises is the future's outcome
            done.set_exception(error)
        return done


def run(main: Coroutine[Any, Any, Result], clock: FakeClock, limit_s: float = LIMIT_S) -> Result:
    """Like asyncio.run(), with the loop's time taken from `clock`. Raises NothingWillHappen for a deadlock, and when
    it is not done after `limit_s` of virtual time."""
    with asyncio.Runner(loop_factory=lambda: _VirtualTimeLoop(clock, limit_s)) as runner:
        return runner.run(main)
