"""Signals that a process of its own sends to itself."""

import os
import queue
import signal

import pytest

from iris_camera.signals import listening_to_signals
from tests.own_process import in_a_process_of_its_own

LISTENED_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@in_a_process_of_its_own
def test_ctrl_c_and_sigterm_ask_to_stop_and_sighup_to_reload():
    for number, order in zip(LISTENED_TO, ("stop", "stop", "reload"), strict=True):
        orders = queue.SimpleQueue()
        with listening_to_signals(lambda calls=orders: calls.put("stop"), lambda calls=orders: calls.put("reload")):
            os.kill(os.getpid(), number)
            assert orders.get(timeout=60) == order


@in_a_process_of_its_own
def test_the_earlier_signal_handlers_are_put_back():
    before = [signal.getsignal(number) for number in LISTENED_TO]
    with listening_to_signals(lambda: None, lambda: None):
        assert signal.getsignal(signal.SIGHUP) not in before
    assert [signal.getsignal(number) for number in LISTENED_TO] == before


@in_a_process_of_its_own
def test_sighup_is_left_as_it_was_without_a_reload():
    before = signal.getsignal(signal.SIGHUP)
    with listening_to_signals(lambda: None):
        assert signal.getsignal(signal.SIGHUP) == before


def left_at(*numbers):
    """The exit status of each immediate end of a process that is sent these signals."""
    left = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "_exit", left.append)
        for number in numbers:
            os.kill(os.getpid(), number)
    return left


@in_a_process_of_its_own
def test_a_second_ctrl_c_leaves_at_once():
    with listening_to_signals(lambda: None):
        assert left_at(signal.SIGTERM, signal.SIGINT) == [130]


@in_a_process_of_its_own
def test_a_second_sigterm_does_not_end_iris_sooner():
    with listening_to_signals(lambda: None):
        assert left_at(signal.SIGINT, signal.SIGTERM) == []
