"""Waiting for a person at the terminal."""

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator

LOOK_S = 0.1


def wait_for_the_user(stop_asked: Callable[[float], bool], say_how: Callable[[], None]) -> None:
    """Return when q is pressed, or when `stop_asked(seconds)`, which waits so long, returns True for Ctrl+C. `say_how`
    is called only once keys are read, because keys typed before that are dropped."""
    with _single_keys() as keyboard:
        say_how()
        while not stop_asked(LOOK_S):
            if keyboard is not None and select.select([keyboard], [], [], 0)[0]:
                pressed = os.read(keyboard, 64)
                if not pressed or b"q" in pressed.lower():
                    return


@contextlib.contextmanager
def _single_keys() -> Iterator[int | None]:
    """The keyboard, unbuffered and without echo; None if there is none to read from."""
    try:
        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard)
    except (AttributeError, OSError, ValueError, termios.error):
        yield None
        return
    try:
        tty.setcbreak(keyboard)  # Ctrl+C still sends SIGINT
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
