"""How fast files reach a real OpenSSH server: Iris beside its peers, in one run.

    python -m benchmarks.sftp --quick                     within 90 seconds
    python -m benchmarks.sftp --repeat 3                  everything, medians; about half an hour
    python -m benchmarks.sftp --only small-20 --clients iris,asyncssh

Machines differ and drift, so only the ratios of one run mean something. Every client is a whole process, measured
from start to exit (interpreter, imports, key exchange and all), with the same files, to the same sshd, into a folder
in memory: what is compared are clients, not disks. The project's delay proxy makes a high round-trip time. What
arrived is compared with what was sent, by count, size and SHA-256, before a row has figures. A short run of each client
comes first and is not counted, so that no client is measured with cold file caches.

Two rows are timed by themselves: `iris` from its first `queue_upload` to the last delivery recorded, and whatever is
measured with its set-up aside. A client that needs long is repeated less often: it has waited for the link, not for
the machine.
"""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.data import make_csvs, make_large
from benchmarks.delay_proxy import DelayProxy
from benchmarks.lab import Lab
from benchmarks.peers import CLIENTS
from benchmarks.proxy_capacity import measure as measure_proxy
from benchmarks.report import Circumstances, Section, into_page, on_terminal
from benchmarks.table import ClientRow, Times, as_json, median
from benchmarks.works import QUICK, WHOLE, BenchWork
from tests.servers.openssh import OpenSshServer

TIMEOUT_S = 240.0
QUICK_TIMEOUT_S = 40.0
REPEATED_S = 30.0  # a client that has been measured for so long altogether is not measured again
WARM_UP_FILES = 5


class SftpBench:
    """One run: the lab, the folder in which the files to be sent are made, and the clients that are not installed."""

    def __init__(self, lab: Lab, memory: Path) -> None:
        self._lab = lab
        self._memory = memory
        self._absent: dict[str, str] = {}

    def warm_up(self, clients: Sequence[str], port: int) -> None:
        work = BenchWork("warm-up", WARM_UP_FILES, 0, tuple(clients))
        for row in self.section(work, clients, 1, port).rows:
            if row.note is not None:
                self._absent[row.client] = row.note

    def section(self, work: BenchWork, clients: Sequence[str], repeat: int, port: int) -> Section:
        """Every client on this work, up to `repeat` times in turn."""
        source = self._memory / "source"
        if work.large_bytes:
            sent = make_large(source, work.large_bytes, seed=work.large_bytes)
        else:
            sent = make_csvs(source, work.files, seed=work.files)
        times: dict[str, list[Times]] = {client: [] for client in clients}
        notes = {client: self._absent[client] for client in clients if client in self._absent}
        link = f"{measure_proxy(work.rtt_ms)}" if work.rtt_ms else ""
        with contextlib.ExitStack() as stack:
            proxy = stack.enter_context(DelayProxy(port, work.rtt_ms / 2)) if work.rtt_ms else None
            for client in [client for _ in range(repeat) for client in clients]:
                if client in notes or sum(each.seconds for each in times[client]) > REPEATED_S:
                    continue
                outcome = self._lab.once(client, source, sent, proxy, steady=work.steady)
                if isinstance(outcome, str):
                    notes[client] = outcome
                else:
                    times[client].append(outcome)
        shutil.rmtree(source)
        size_bytes = sum(file.size_bytes for file in sent.values())
        rows = [_row(work, client, size_bytes, times[client], notes.get(client)) for client in clients]
        if link:
            busiest = max((row.times.proxy_cpu_s / row.times.seconds for row in rows if row.note is None), default=0.0)
            link += f"; it was busy for {busiest * 100:.0f} % of the time at most"
        return Section(work.name, rows, Circumstances(machine.hardware(), machine.versions(), machine.when(), link))


def _row(work: BenchWork, client: str, size_bytes: int, times: list[Times], note: str | None) -> ClientRow:
    about = (str(work), work.rtt_ms, client, work.files, size_bytes)
    if note is not None:
        return ClientRow(*about, note=note, name=work.name)
    return ClientRow(*about, times=median(times), name=work.name, runs=len(times))


def measure(works: Sequence[BenchWork], clients: Sequence[str] | None, repeat: int, timeout_s: float) -> list[Section]:
    """All of them. Raises FileNotFoundError if there is no sshd."""
    memory_parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    if memory_parent is None:
        print("no /dev/shm here: files arrive in a temporary folder on a disk", file=sys.stderr)
    taking_part = {work: [name for name in work.clients if clients is None or name in clients] for work in works}
    with contextlib.ExitStack() as stack:
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-", dir=memory_parent)))
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-")))
        server = stack.enter_context(OpenSshServer(disk / "sshd"))
        bench = SftpBench(Lab(server, memory, disk, timeout_s), memory)
        bench.warm_up([name for name in CLIENTS if any(name in names for names in taking_part.values())], server.port)
        return [bench.section(work, names, repeat, server.port) for work, names in taking_part.items() if names]


def main() -> int:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # or servers and folders would be left
    offered = QUICK if arguments.quick else WHOLE
    works = [work for work in offered if arguments.only is None or work.name in arguments.only]
    try:
        timeout_s = QUICK_TIMEOUT_S if arguments.quick else TIMEOUT_S
        sections = measure(works, arguments.clients, arguments.repeat, timeout_s)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{machine.hardware()}; {machine.versions()}; {machine.when()}\n")
    print(on_terminal(sections))
    rows = [row for section in sections for row in section.rows]
    if arguments.json is not None:
        arguments.json.write_text(as_json(rows))
    if arguments.markdown is not None:
        into_page(arguments.markdown, sections)
    return 1 if any(row.note is not None and row.note.startswith("failed") for row in rows) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sftp", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less work and fewer peers, within 90 seconds")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="medians of N runs")
    parser.add_argument("--only", type=_names([work.name for work in WHOLE]), metavar="WORK,...", help="these works")
    parser.add_argument("--clients", type=_names(list(CLIENTS)), metavar="NAME,...", help="these clients")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there as JSON too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="renew the measured works on that page")
    arguments = parser.parse_args()
    if arguments.repeat < 1:
        parser.error("--repeat must be at least 1")
    if arguments.quick and arguments.only and not {work.name for work in QUICK} & set(arguments.only):
        parser.error("--quick has only " + ", ".join(work.name for work in QUICK))
    return arguments


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parsed(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parsed


if __name__ == "__main__":
    sys.exit(main())
