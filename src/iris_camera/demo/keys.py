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
    """Until q is pressed, or `stop_asked`, which waits for so many seconds, says that Ctrl+C was. `say_how` tells the
    user of it once keys are heard: what was typed before is dropped, and so would be the key of a quick hand."""
    with _single_keys() as keyboard:
        say_how()
        while not stop_asked(LOOK_S):
            if keyboard is not None and select.select([keyboard], [], [], 0)[0]:
                pressed = os.read(keyboard, 64)
                if not pressed or b"q" in pressed.lower():
                    return


@contextlib.contextmanager
def _single_keys() -> Iterator[int | None]:
    """The keyboard, each key at once and not shown; None where there is none to read from."""
    try:
        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard)
    except (AttributeError, OSError, ValueError, termios.error):
        yield None
        return
    try:
        tty.setcbreak(keyboard)  # Ctrl+C stays what it is
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
