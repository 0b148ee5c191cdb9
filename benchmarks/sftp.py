"""How fast small files reach a real OpenSSH server: Iris beside its peers, in one run.

    python -m benchmarks.sftp --quick            within 90 seconds
    python -m benchmarks.sftp --repeat 5         medians, and 100 ms besides

Machines differ and drift, so only the ratios of one run mean something. Every client is a whole process, measured
from start to exit (interpreter, imports, key exchange and all), with the same files, to the same sshd, into a folder
in memory: what is compared are clients, not disks. A longer way is the project's own delay proxy. What arrived is
compared with what was sent, by count, size and SHA-256, before a row has figures. A short run of each client comes
first and is not counted, so that nobody pays for cold files.
"""

import argparse
import contextlib
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.data import Files, difference, files_in, make_csvs
from benchmarks.delay_proxy import DelayProxy
from benchmarks.peers import CLIENTS, REFERENCE, Job, MissingError
from benchmarks.process import run
from benchmarks.table import Row, Times, as_json, as_text, median
from tests.servers.openssh import OpenSshServer

TIMEOUT_S = 240.0
QUICK_TIMEOUT_S = 40.0


class Work(NamedTuple):
    files: int
    rtt_ms: float

    def __str__(self) -> str:
        return f"{self.files:,} CSVs of 2-20 KB"


WARM_UP = Work(5, 0)
QUICK = (Work(2_000, 0), Work(300, 20))
WHOLE = (Work(2_000, 0), Work(500, 20), Work(500, 100))


class Bench:
    """The server, the files and the folders of one run."""

    def __init__(self, server: OpenSshServer, memory: Path, disk: Path, timeout_s: float) -> None:
        self._server = server
        self._memory = memory
        self._disk = disk
        self._timeout_s = timeout_s

    def rows(self, work: Work, clients: list[str], repeat: int) -> list[Row]:
        """Every client on this work, `repeat` times in turn."""
        source = self._memory / "source"
        sent = make_csvs(source, work.files, seed=work.files)
        times: dict[str, list[Times]] = {client: [] for client in clients}
        notes: dict[str, str] = {}
        with contextlib.ExitStack() as stack:
            port = self._server.port
            if work.rtt_ms:
                port = stack.enter_context(DelayProxy(port, work.rtt_ms / 2)).port
            for _ in range(repeat):
                for client in clients:
                    if client in notes:
                        continue
                    outcome = self._once(client, source, sent, port)
                    if isinstance(outcome, str):
                        notes[client] = outcome
                    else:
                        times[client].append(outcome)
        shutil.rmtree(source)
        return [_row(work, client, sent, times[client], notes.get(client)) for client in clients]

    def _once(self, client: str, source: Path, sent: Files, port: int) -> Times | str:
        """One run of one client; a text if there is nothing to measure."""
        received = self._memory / "received"
        received.mkdir()
        scratch = Path(tempfile.mkdtemp(dir=self._disk))
        said = self._disk / "said"
        server = self._server
        job = Job(source, server.host, port, server.username, server.private_key, server.host_key, received, scratch)
        try:
            outcome = run(CLIENTS[client](job), said, self._timeout_s)
            if outcome.failure is not None:
                return f"failed: {outcome.failure}"
            wrong = difference(sent, files_in(received))
            return Times(outcome.seconds, outcome.cpu_s) if wrong is None else f"failed: {wrong}"
        except MissingError as error:
            return str(error)
        finally:
            shutil.rmtree(received)
            shutil.rmtree(scratch)


def _row(work: Work, client: str, sent: Files, times: list[Times], note: str | None) -> Row:
    size_bytes = sum(file.size_bytes for file in sent.values())
    seconds, cpu_s = median(times) if note is None else (0.0, 0.0)
    return Row(str(work), work.rtt_ms, client, work.files, size_bytes, seconds, cpu_s, note)


def measure(works: tuple[Work, ...], repeat: int, timeout_s: float) -> list[Row]:
    """All the rows. Raises FileNotFoundError if there is no sshd."""
    memory_parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    if memory_parent is None:
        print("no /dev/shm here: files arrive in a temporary folder on a disk", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-", dir=memory_parent)))
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-")))
        server = stack.enter_context(OpenSshServer(disk / "sshd"))
        bench = Bench(server, memory, disk, timeout_s)
        warm = bench.rows(WARM_UP, list(CLIENTS), 1)
        broken = {row.client: row.note for row in warm if row.note is not None}
        rows = []
        for work in works:
            present = bench.rows(work, [client for client in CLIENTS if client not in broken], repeat)
            absent = [Row(str(work), work.rtt_ms, client, work.files, 0, note=note) for client, note in broken.items()]
            rows += [row for client in CLIENTS for row in [*present, *absent] if row.client == client]
        return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sftp", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less work, within 90 seconds")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="medians of N runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as JSON too")
    arguments = parser.parse_args()
    if arguments.repeat < 1:
        parser.error("--repeat must be at least 1")
    works, timeout_s = (QUICK, QUICK_TIMEOUT_S) if arguments.quick else (WHOLE, TIMEOUT_S)
    try:
        rows = measure(works, arguments.repeat, timeout_s)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}; the median of {arguments.repeat}" if arguments.repeat > 1 else machine)
    print(as_text(rows, REFERENCE))
    if arguments.json is not None:
        arguments.json.write_text(as_json(rows))
    return 1 if any(row.note is not None and row.note.startswith("failed") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
