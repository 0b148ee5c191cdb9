"""A nemesis inside the victim: it copies and reads the outbox's folder all the time, as a user's own backup does.

Each file is opened and closed, the lock and the database with its log among them: with every close the kernel drops
the record locks that the process has on the file.
"""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

PAUSE_S = 0.02  # between two rounds
COPY_EACH = 20  # rounds


def start_copying(outbox: Path) -> threading.Thread:
    """Until the process ends."""
    thread = threading.Thread(target=_copy_for_ever, args=(outbox,), name="nemesis", daemon=True)
    thread.start()
    return thread


def _copy_for_ever(outbox: Path) -> None:
    pause, rounds = threading.Event(), 0
    while True:
        with suppress(OSError, shutil.Error):  # files come and go
            with os.scandir(outbox) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        _read(entry.path)
            rounds += 1
            if rounds % COPY_EACH == 0:
                shutil.copytree(outbox, outbox.with_name(f"copied-{os.getpid()}"), ignore=_without_spool)
                shutil.rmtree(outbox.with_name(f"copied-{os.getpid()}"), ignore_errors=True)
        pause.wait(PAUSE_S)


def _read(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def _without_spool(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("spool", "control.sock", "quarantine")]
