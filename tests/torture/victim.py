"""One producer process, and how it is killed at its moment."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.torture.moments import Kind, Moment
from tests.torture.watch import TEMP_PREFIX

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30.0
SIGHT_S = 2.0  # what has not been seen by then is not waited for
LOOK_EVERY_S = 0.0005
QUEUEING_S = 0.3  # before it is asked to end, so that there is something to end


class Victim:
    """`python -m tests.torture.producer` as a process, killed when the context is left if it is alive then."""

    def __init__(self, folder: Path, run: str, seed: str) -> None:
        self._folder, self.run = folder, run
        command = [sys.executable, "-m", "tests.torture.producer", str(folder), run, seed]
        with (folder / "producer.log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)

    def __enter__(self) -> "Victim":
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def wait_ready(self) -> None:
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], READY_S)[0] or out.readline() != b"ready\n":
            raise RuntimeError(f"{self.run} did not start; {self._folder / 'producer.log'} says why")

    def kill_at(self, moment: Moment) -> bool:
        """Whether it was this that ended it. False: it had been asked to end, and was done before its moment."""
        if moment.kind is not Kind.STARTING:
            self.wait_ready()
        if moment.kind is Kind.TAKING:
            outbox = self._folder / "outbox"
            known, changed_ns = set(_names([outbox / "spool"])), _changed_ns(outbox)
            _wait_for(lambda: set(_names([outbox / "spool"])) - known or _changed_ns(outbox) != changed_ns)
        elif moment.kind is Kind.SENDING:
            places = [self._folder / "received" / self.run / kind for kind in ("model", "classifier")]
            _wait_for(lambda: [name for name in _names(places) if name.startswith(TEMP_PREFIX)])
        elif moment.kind is Kind.ENDING:
            time.sleep(QUEUEING_S)
            self._process.terminate()
        time.sleep(moment.after_s)  # the moment of the kill is what is tested
        self._process.kill()
        status = self._process.wait()
        if status not in (-signal.SIGKILL, 0):
            raise RuntimeError(f"{self.run} ended with {status}; {self._folder / 'producer.log'} says why")
        return status == -signal.SIGKILL

    def wait_done(self, timeout_s: float) -> str:
        """Its last line, once it has ended by itself."""
        out, _ = self._process.communicate(timeout=timeout_s)
        if self._process.returncode != 0:
            raise RuntimeError(f"{self.run} ended with {self._process.returncode}")
        return str(out.decode().splitlines()[-1])


def _wait_for(seen: Callable[[], object]) -> None:
    end_s = time.monotonic() + SIGHT_S
    while not seen() and time.monotonic() < end_s:
        time.sleep(LOOK_EVERY_S)


def _changed_ns(outbox: Path) -> int:
    try:
        return (outbox / "outbox.db-wal").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _names(folders: Iterable[Path]) -> list[str]:
    return [name for folder in folders if folder.is_dir() for name in os.listdir(folder)]  # noqa: PTH208 - the names
