import asyncio

import pytest

from iris_communication.testing.clock import FakeClock
from tests import virtual_time
from tests.virtual_time import NothingWillHappen


def at(seconds):
    """Done so many seconds from now."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(seconds, done.set_result, seconds)
    return done


def test_an_hour_passes_in_a_moment_and_the_clock_knows():
    async def main():
        return await at(3600)

    clock = FakeClock()
    before_s = clock.monotonic_s()
    assert virtual_time.run(main(), clock) == 3600
    assert clock.monotonic_s() - before_s == 3600


def test_timers_come_in_order_of_time():
    async def main():
        seen = []
        for seconds in (3, 1, 2):
            at(seconds).add_done_callback(lambda done: seen.append(done.result()))
        await at(4)
        return seen

    assert virtual_time.run(main(), FakeClock()) == [1, 2, 3]


def test_a_deadline_passes_while_its_task_waits():
    async def main():
        async with asyncio.timeout(5):
            await at(10)

    with pytest.raises(TimeoutError):
        virtual_time.run(main(), FakeClock())


def test_a_deadlock_is_raised_instead_of_hanging():
    async def main():
        await asyncio.Event().wait()

    with pytest.raises(NothingWillHappen):
        virtual_time.run(main(), FakeClock())


def test_timers_that_go_on_for_ever_end_at_the_limit():
    async def main():
        while True:
            await at(60)

    clock = FakeClock()
    before_s = clock.monotonic_s()
    with pytest.raises(NothingWillHappen):
        virtual_time.run(main(), clock, limit_s=600)
    assert clock.monotonic_s() - before_s <= 660


def test_work_for_a_thread_is_done_at_once():
    def fail():
        raise ValueError("no")

    async def main():
        assert await asyncio.to_thread(len, "abc") == 3
        with pytest.raises(ValueError, match="no"):
            await asyncio.to_thread(fail)

    virtual_time.run(main(), FakeClock())
