"""Waiting for a person, on a real terminal."""

import os
import sys

import pytest

from iris_camera.demo.keys import wait_for_the_user

LOOKS_MAX = 20  # of a tenth of a second at most, in a test that fails


class Looks:
    """Reports that Ctrl+C was pressed once it was asked so often."""

    def __init__(self):
        self.count = 0

    def stop_asked(self, wait_s):
        self.count += 1
        return self.count > LOOKS_MAX


@pytest.fixture
def keyboard(monkeypatch):
    """The typing side of a terminal; the process has the other side as its standard input."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


def test_a_key_that_is_pressed_as_soon_as_it_is_asked_for_counts(keyboard):
    looks = Looks()
    wait_for_the_user(looks.stop_asked, lambda: os.write(keyboard, b"q"))
    assert looks.count <= LOOKS_MAX


def test_a_key_that_was_pressed_before_it_was_asked_for_ends_nothing(keyboard):
    os.write(keyboard, b"q")
    assert os.read(keyboard, 1) == b"q", "the terminal shows it: it has arrived"
    looks = Looks()
    wait_for_the_user(looks.stop_asked, lambda: None)
    assert looks.count > LOOKS_MAX


def test_ctrl_c_ends_the_waiting_without_a_terminal_too(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    looks = Looks()
    wait_for_the_user(looks.stop_asked, lambda: None)
    assert looks.count > LOOKS_MAX
