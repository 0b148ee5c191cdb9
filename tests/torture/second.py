"""A nemesis beside the victim: a second instance that starts on its outbox again and again, and opens its database as
any SQLite tool does.

While the victim owns the outbox it has to be refused. Where it becomes owner, because the victim has just been killed
or has not started yet, it puts right what there is and gives the outbox back. In a process of its own, which goes on
only when it is asked to: `python -m tests.torture.second FOLDER`, a line in for each round of a victim, and `idle` out
when it has stopped.
"""

import os
import select
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from iris_communication.errors import IrisError, OutboxInUse
from iris_communication.sftp_uploader_thread import SftpUploaderThread

ROOT = Path(__file__).resolve().parents[2]
OWNER = "owner"  # in the run's folder: process id of the victim, while it owns the outbox
PAUSE_S = 0.05
ANSWER_S = 30.0
GO, STOP = b"go\n", b"stop\n"


class SecondInstance:
    """`counts` and `faults` are whole once the context is left."""

    def __init__(self, folder: Path) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        command = [sys.executable, "-m", "tests.torture.second", str(folder)]
        with (folder / "second.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )

    def __enter__(self) -> "SecondInstance":
        self._wait()
        return self

    def __exit__(self, *_error: object) -> None:
        out, _ = self._process.communicate(timeout=ANSWER_S)
        for line in out.decode().splitlines():
            kind, _, text = line.partition(" ")
            if kind == "fault":
                self.faults.append(text)
            elif kind == "count":
                name, _, count = text.rpartition(" ")
                self.counts[name] += int(count)

    def go(self) -> None:
        self._say(GO)

    def pause(self) -> None:
        """It has given everything back when this returns."""
        self._say(STOP)
        self._wait()

    def _say(self, word: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word)
        self._process.stdin.flush()

    def _wait(self) -> None:
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], ANSWER_S)[0] or out.readline() != b"idle\n":
            raise RuntimeError("the second instance does not answer; second.log says why")


def main() -> None:
    folder = Path(sys.argv[1])
    counts: Counter[str] = Counter()
    faults: list[str] = []
    going = False
    os.write(1, b"idle\n")
    while True:
        if select.select([0], [], [], PAUSE_S if going else None)[0]:
            word = os.read(0, len(STOP))
            if not word:
                break
            going = word == GO
            if not going:
                os.write(1, b"idle\n")
        if going:
            counts["looked" if _look(folder) else "could not look"] += 1
            counts[_own(folder, faults)] += 1
    for name, count in counts.items():
        sys.stdout.write(f"count {name} {count}\n")
    for fault in faults:
        sys.stdout.write(f"fault {fault}\n")


def _look(folder: Path) -> bool:
    """As any tool: it opens the database for reading and writing, and closes it."""
    database = folder / "outbox" / "outbox.db"
    if not database.exists():
        return False
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True)) as opened:
        opened.execute("SELECT count(*) FROM items").fetchone()
        return True
    return False


def _own(folder: Path, faults: list[str]) -> str:
    uploader = SftpUploaderThread(folder / "outbox")
    try:
        uploader.open()
    except OutboxInUse:
        return "refused"
    except IrisError as error:
        faults.append(f"the second instance was neither owner nor refused: {error!r}")
        return "failed"
    victim = _living_owner(folder)
    uploader.close()
    if victim is not None:
        faults.append(f"the second instance became owner while process {victim} was")
    return "became owner between two victims"


def _living_owner(folder: Path) -> int | None:
    """The victim that says that it owns the outbox, if it is not being killed just now."""
    with suppress(OSError, ValueError):
        victim = int((folder / OWNER).read_text())
        facts = Path(f"/proc/{victim}/status").read_text()
        if "ShdPnd:\t0000000000000000" in facts and "State:\tZ" not in facts and "State:\tX" not in facts:
            return victim
    return None


if __name__ == "__main__":
    main()
