"""A test in a process of its own: for changes of state that a whole process shares, as its limits, its umask and its
signals. The other tests of a run, and pytest itself, share the process that runs them."""

import contextlib
import functools
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

TIMEOUT_S = 90  # shorter than that of a test
CARRY_OUT = """
import pickle, sys
from importlib import import_module
module, name, arguments = pickle.load(sys.stdin.buffer)
getattr(import_module(module), name).__wrapped__(**arguments)
"""
UNNOTICED = (b"Exception in thread", b"Exception ignored")  # what pytest would call a failure, and Python only prints


def in_a_process_of_its_own(function: Callable[..., None]) -> Callable[..., None]:
    """Run a function of a module in a child process without pytest: what it raises fails the test. Its arguments are
    plain values, such as `tmp_path`."""

    @functools.wraps(function)
    def there(**arguments: Any) -> None:
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", CARRY_OUT],
            input=pickle.dumps((function.__module__, function.__name__, arguments)),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        output = ended.stdout.decode(errors="replace") + ended.stderr.decode(errors="replace")
        assert ended.returncode == 0, f"status {ended.returncode} of its process:\n{output}"
        assert not any(text in ended.stderr for text in UNNOTICED), output

    return there


@contextlib.contextmanager
def files_no_larger_than(size_bytes: int) -> Iterator[None]:
    """A full disk: the operating system writes up to this size, perhaps half a row, and then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))  # Python has the signal for it ignored
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
