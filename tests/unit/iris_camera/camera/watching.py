"""Sources with one named fault each, and what a test needs to watch a capture."""

import threading
import time

import numpy as np

from iris_camera.camera.frame import Frame, read_only
from iris_camera.camera.source import SourceError

DEADLINE_S = 20.0
SECRET = "s3cr3t-Horse"


def frame(number, shape=(4, 4, 3)):
    return Frame(read_only(np.zeros(shape, np.uint8)), number, 1000.0 + number, float(number))


class StateChanges:
    """Collects the events that a capture reports, and waits for one."""

    def __init__(self):
        self.events = []
        self._changed = threading.Condition()

    def __call__(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    @property
    def states(self):
        return [event.state for event in self.events]

    def wait_for(self, state, count=1):
        """The event, once the state was reported so many times."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.states.count(state) >= count, DEADLINE_S), self.states
            return [event for event in self.events if event.state == state][count - 1]


def wait_until(is_so):
    """Waits for a condition without an event, by asking again and again."""
    deadline_s = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not is_so():
        assert time.monotonic() < deadline_s
        pause.wait(0.01)


class Steady:
    """No fault: a live camera that gives a frame whenever it is asked, at about 500 a second."""

    live = True
    frame_rate = 500.0

    def __init__(self, name="line-1"):
        self.name = name
        self.closed = threading.Event()
        self.opened = 0
        self.number = 0

    def open(self):
        self.closed.clear()
        self.opened += 1
        self.number = 0

    def read(self):
        if self.closed.wait(0.002):
            return None
        self.number += 1
        return frame(self.number - 1)

    def close(self):
        self.closed.set()


class Film(Steady):
    """No fault: a film of `length` frames."""

    live = False

    def __init__(self, length=10):
        super().__init__()
        self.length = length

    def read(self):
        if self.closed.is_set() or self.number == self.length:
            return None
        self.number += 1
        return frame(self.number - 1)


class BrokenFilm(Film):
    """Its file is damaged: after its frames it raises that, finally."""

    def read(self):
        read = super().read()
        if read is None and not self.closed.is_set():
            raise SourceError("the film ended after 3 of 10 frames", final=True)
        return read


class Unreachable(Steady):
    """It cannot be opened, `times` times."""

    def __init__(self, times=10**9, reason="no route to the host"):
        super().__init__()
        self.times, self.reason = times, reason

    def open(self):
        super().open()
        if self.opened <= self.times:
            raise SourceError(self.reason, "Look at the cable.")


class Breaking(Steady):
    """It is lost after every `after` frames."""

    def __init__(self, after=5):
        super().__init__()
        self.after = after

    def read(self):
        if self.number == self.after:
            raise SourceError("it was unplugged")
        return super().read()


class Raising(Steady):
    """Its program has a mistake: it raises what no source should, with a password in the text."""

    def read(self):
        raise ZeroDivisionError(f"rtsp://admin:{SECRET}@camera/ divided by zero")


class Hanging(Steady):
    """A read that never comes back, unless `wake` is set."""

    def __init__(self, after=3):
        super().__init__()
        self.after = after
        self.hangs, self.wake = threading.Event(), threading.Event()

    def read(self):
        if self.number == self.after:
            self.number += 1
            self.hangs.set()
            self.wake.wait()
            return frame(999)
        return super().read()


class Stuttering(Steady):
    """It stays connected and sends nothing more until `go_on`."""

    def __init__(self, after=3):
        super().__init__()
        self.after, self.go_on = after, threading.Event()

    def read(self):
        while self.number == self.after and not self.go_on.is_set() and not self.closed.is_set():
            self.go_on.wait(0.01)
        return super().read()


class Stubborn(Steady):
    """Its `close` raises."""

    def close(self):
        super().close()
        raise RuntimeError("close failed")


class Skipping(Film):
    """It leaves out every second number, as a folder or film does that cannot decode them."""

    def read(self):
        read = super().read()
        return None if read is None else frame(2 * read.number)


class Resizing(Steady):
    """Its pictures become larger after the second."""

    def read(self):
        read = super().read()
        return None if read is None else frame(read.number, (4, 4, 3) if read.number < 2 else (8, 6, 3))
