"""One process from its start to its end: how long it took, and how much processor time."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers import CHECKOUT


class ProcessOutcome(NamedTuple):
    """Wall time and CPU time (user and system, with the children it waited for), and on failure its last line of
    output."""

    seconds: float
    cpu_s: float
    failure: str | None


def run(command: Sequence[str], said: Path, timeout_s: float) -> ProcessOutcome:
    """Run it in the checkout; its output goes to the file `said`. It is killed after `timeout_s`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "src"), str(CHECKOUT)])}
    # A program that is started every day has its bytecode on disk, as the installed peers have.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with said.open("wb") as output:
        started_s = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    timed_out = threading.Event()

    def give_up() -> None:
        timed_out.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout_s, give_up)
    timer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        give_up()
        raise
    finally:
        timer.cancel()
    seconds = time.perf_counter() - started_s
    with contextlib.suppress(ProcessLookupError):  # what it may have left running
        os.killpg(process.pid, signal.SIGKILL)
    process.returncode = os.waitstatus_to_exitcode(status)
    failure = None
    if timed_out.is_set():
        failure = f"not done after {timeout_s:.0f} s"
    elif process.returncode != 0:
        lines = said.read_text(errors="replace").strip().splitlines() or ["said nothing"]
        failure = f"ended with {process.returncode}: {lines[-1]}"
    return ProcessOutcome(seconds, usage.ru_utime + usage.ru_stime, failure)
