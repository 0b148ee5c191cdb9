"""Calls in daemon threads, which keep neither each other nor the program's end waiting."""

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from iris_communication.delivery.daemon_threads import DaemonThreads, run
from tests.unit.iris_communication.outbox.fake_parts import LONG_S


def test_a_call_is_made_in_a_daemon_thread_of_its_own_and_its_result_is_returned():
    threads = []

    def call(one, *, other):
        threads.append(threading.current_thread())
        return one + other

    executor = DaemonThreads()
    assert executor.submit(call, 1, other=2).result(LONG_S) == 3
    assert executor.submit(call, 3, other=4).result(LONG_S) == 7
    assert len(set(threads)) == 2
    assert all(thread.daemon for thread in threads)


def test_an_error_of_a_call_is_raised_to_its_caller():
    with pytest.raises(ZeroDivisionError):
        DaemonThreads().submit(lambda: 1 / 0).result(LONG_S)


def test_a_call_that_never_returns_delays_neither_another_nor_the_end():
    released = threading.Event()
    executor = DaemonThreads()
    stuck = executor.submit(released.wait, LONG_S)
    assert executor.submit(lambda: "done").result(LONG_S) == "done"
    executor.shutdown(wait=True)
    assert not stuck.done()
    released.set()
    assert stuck.result(LONG_S)


def test_a_result_of_a_cancelled_call_harms_nothing():
    released = threading.Event()
    stuck = DaemonThreads().submit(released.wait, LONG_S)
    stuck.cancel()
    released.set()
    try:
        assert stuck.result(LONG_S)  # it had begun, and cannot be called back
    except CancelledError:
        assert stuck.cancelled()


def test_a_run_ends_though_a_look_up_of_it_never_does():
    never = threading.Event()

    async def main():
        look_up = asyncio.get_running_loop().run_in_executor(None, never.wait)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(look_up, 0.01)
        return "ended"

    try:
        assert run(main()) == "ended"
    finally:
        never.set()
