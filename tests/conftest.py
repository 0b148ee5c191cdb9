"""What every test may ask for, and what a run says about itself before it begins.

A test that needs a program the machine may lack asks `need_program` for it. Where it is missing the test is
skipped, by name and reason; with CI=true it fails, because there a skipped test is an unchecked promise.
"""

import importlib.metadata
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

pytest_plugins = ["tests.order"]

# A busy machine takes long to make examples, and that is no fault of the test.
hypothesis.settings.register_profile("iris", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("iris")
THREAD_ENDS_WITHIN_S = 20.0
LONGEST_TIMEOUT_S = 240  # the whole suite has five minutes


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}


def find_program(*candidates: str) -> Path | None:
    """The first of the names and absolute paths that can be executed; sbin is looked into as well."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    for candidate in candidates:
        if found := shutil.which(candidate, path=search):
            return Path(found)
    return None


@pytest.fixture(scope="session")
def need_program() -> Callable[..., Path]:
    """`need_program("sshd", hint="make system-packages")` is the path of sshd, or the end of the test."""

    def need(*candidates: str, hint: str) -> Path:
        found = find_program(*candidates)
        if found is None:
            end(f"needs {candidates[0]}, which is not installed: {hint}")
        if found.name == "sshd":
            from tests.servers import openssh  # with asyncssh, which most runs of a few tests need not load

            if trouble := openssh.why_not(found):
                end(f"needs sshd, which cannot run here: {trouble}")
        return found

    def end(reason: str) -> NoReturn:
        if is_ci():
            pytest.fail(f"{reason} (with CI=true nothing is skipped)", pytrace=False)
        pytest.skip(reason)

    return need


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """A part that a test forgets to close would be found by another test, of another file, in another run."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        # The pool that reads pictures for the page keeps its threads to the end of the process.
        if thread.name.startswith("iris-") and not thread.name.startswith("iris-pictures"):
            thread.join(THREAD_ENDS_WITHIN_S)
            assert not thread.is_alive(), f"the thread {thread.name} was left"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Figures that tests recorded with `record_property`."""
    for report in terminalreporter.stats.get("passed", []):
        for what, figure in report.user_properties:
            terminalreporter.write_line(f"{what}: {figure}")


def pytest_report_header() -> str:
    asyncssh_version = importlib.metadata.version("asyncssh")
    return f"SQLite {sqlite3.sqlite_version}, asyncssh {asyncssh_version}, {openssh_version()}, CI={is_ci()}"


def openssh_version() -> str:
    """Of the server: it has no option for that before 9.3, but names itself when it refuses one."""
    program = find_program("sshd")
    if program is None:
        return "no OpenSSH server"
    said = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"OpenSSH_[^\s,]+", said.stderr + said.stdout)
    return found[0] if found else f"{program} of unknown version"


def pytest_configure(config: pytest.Config) -> None:
    """A test that hangs must end as a failure: the timeout may not be switched off where CI=true. And Ctrl+C counts: a
    shell that starts us in the background has us, and every process that a test sends one, ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    given = config.getoption("timeout", default=None)
    if is_ci() and given is not None and not 0 < float(given) <= LONGEST_TIMEOUT_S:
        raise pytest.UsageError(f"--timeout={given} with CI=true: give 1 to {LONGEST_TIMEOUT_S} seconds")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("timeout"):
            seconds = marker.kwargs.get("timeout", marker.args[0] if marker.args else None)
            if not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_TIMEOUT_S:
                raise pytest.UsageError(f"{item.nodeid}: its timeout has to be 1 to {LONGEST_TIMEOUT_S} seconds")
