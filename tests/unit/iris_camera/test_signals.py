"""Signals, sent to this very process."""

import os
import queue
import signal

import pytest

from iris_camera.signals import listening_to_signals


@pytest.fixture
def orders():
    return queue.SimpleQueue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_ask_to_stop(orders, number):
    with listening_to_signals(lambda: orders.put("stop"), lambda: orders.put("reload")):
        os.kill(os.getpid(), number)
        assert orders.get(timeout=5.0) == "stop"


def test_sighup_asks_to_reload(orders):
    with listening_to_signals(lambda: orders.put("stop"), lambda: orders.put("reload")):
        os.kill(os.getpid(), signal.SIGHUP)
        assert orders.get(timeout=5.0) == "reload"


def test_what_the_signals_did_before_is_put_back(orders):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with listening_to_signals(lambda: None, lambda: None):
        assert signal.getsignal(signal.SIGHUP) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_without_a_reload_sighup_is_left_as_it_was():
    before = signal.getsignal(signal.SIGHUP)
    with listening_to_signals(lambda: None):
        assert signal.getsignal(signal.SIGHUP) == before


def test_a_second_ctrl_c_leaves_at_once(monkeypatch):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    with listening_to_signals(lambda: None):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert left == [130]


def test_a_second_sigterm_does_not_hurry(monkeypatch):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    with listening_to_signals(lambda: None):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert left == []
