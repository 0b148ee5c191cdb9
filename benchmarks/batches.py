"""What it is worth to let small files travel together: files a second with archives and without, in one run.

    python -m benchmarks.batches --quick          RTT 0 and 20 ms, one run each
    python -m benchmarks.batches --repeat 5       medians, and 100 ms and a narrow link besides

A backlog is in the outbox already, of a server that was paused; what is measured is from its resumption to the last
file recorded as delivered, on a connection that is open (one file went before), building the archives included. A real
OpenSSH server, a folder in memory; the project's delay proxy makes a high round-trip time, and the uploader's own limit
a narrow link. Each run is a process of its own, and counts only if what arrived, archives unpacked, is exactly what was
sent.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.data import Files, difference, files_in, make_csvs
from benchmarks.delay_proxy import DelayProxy
from benchmarks.peers import CHECKOUT
from iris_communication.archive.unpack import unpack
from iris_communication.outbox.orders import PauseServer, ResumeServer
from iris_communication.settings import DeliverySettings, Rule
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
from tests.servers.openssh import OpenSshServer

FILES = 500
LINKS = ((0, 0.0), (20, 0.0), (100, 0.0), (20, 1e6))  # round trip in ms, bytes a second (0: as it comes)
QUICK_LINKS = LINKS[:2]
WAYS = ("alone", "zip", "tar.gz")
LIMIT_S = 120.0


class BatchRun(NamedTuple):
    seconds: float
    cpu_s: float
    sent_bytes: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less work")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="medians of N runs")
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--deliver", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.deliver:
        _deliver(json.loads(arguments.deliver))
        return 0
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    versions = f"zlib {zlib.ZLIB_RUNTIME_VERSION}, {ssl.OPENSSL_VERSION}, {_sshd_version()}"
    print(f"{machine}, {versions}; {arguments.files} CSVs of 2-20 KB; medians of {arguments.repeat}")
    print(f"{'RTT ms':>6}{'MB/s':>6}  {'way':8}{'files/s':>9}{'seconds':>9}{'CPU s':>8}{'MB sent':>9}  to alone")
    for rtt_ms, bytes_per_s in QUICK_LINKS if arguments.quick else LINKS:
        _measure(rtt_ms, bytes_per_s, arguments.files, arguments.repeat)
    return 0


def _measure(rtt_ms: int, bytes_per_s: float, count: int, repeat: int) -> None:
    memory_parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with contextlib.ExitStack() as stack:
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-", dir=memory_parent)))
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-")))
        server = stack.enter_context(OpenSshServer(disk / "sshd"))
        port = server.port
        if rtt_ms:
            port = stack.enter_context(DelayProxy(port, rtt_ms / 2)).port
        source = memory / "source"
        sent = make_csvs(source, count + 1, seed=count)  # one opens the connection
        runs: dict[str, list[BatchRun]] = {way: [] for way in WAYS}
        for number in range(repeat + 1):
            for way in WAYS:
                with (
                    tempfile.TemporaryDirectory(dir=memory) as received,
                    tempfile.TemporaryDirectory(dir=disk) as outbox,
                ):
                    info: dict[str, Any] = {name: str(value) for name, value in server.info(Path(received)).items()}
                    info |= {"port": port, "bandwidth_bytes_per_s": bytes_per_s}
                    run = _once({"way": way, "source": str(source), "outbox": outbox, "info": info})
                    _check(Path(received), sent)
                    if number:  # the first is not counted: its files are not yet cached
                        runs[way].append(run)
    alone_s = statistics.median(run.seconds for run in runs["alone"])
    for way, measured in runs.items():
        seconds, cpu_s, sent_bytes = (statistics.median(values) for values in zip(*measured, strict=True))
        link = f"{rtt_ms:6}{bytes_per_s / 1e6 or '-':>6}"
        figures = f"{count / seconds:9,.0f}{seconds:9.2f}{cpu_s:8.2f}{sent_bytes / 1e6:9.2f}"
        print(f"{link}  {way:8}{figures}  {alone_s / seconds:7.2f}x")


def _once(job: dict[str, object]) -> BatchRun:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "src"), str(CHECKOUT)])}
    command = [sys.executable, "-m", "benchmarks.batches", "--deliver", json.dumps(job)]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr.decode())
    return BatchRun(*json.loads(done.stdout))


def _deliver(job: dict[str, Any]) -> None:
    """In a process of its own: connect, fill an outbox, then deliver it, and print what that took."""
    rules = {} if job["way"] == "alone" else {"small": Rule(batch=job["way"], batch_wait_s=0.5)}
    first, *files = sorted(Path(job["source"]).iterdir())
    uploader = SftpUploaderThread(job["outbox"], max_queue_size=len(files) + 1, settings=DeliverySettings(rules=rules))
    uploader.start()
    uploader.configure_server("bench", job["info"])
    uploader.submit(SftpUploadRequest("bench", first, "line-1", "model")).wait_delivered(LIMIT_S)
    uploader.execute(PauseServer("bench"))
    for file in files:
        if not uploader.queue_upload("bench", file, "line-1", "model"):
            raise SystemExit(f"{file} was refused")
    began_s, began_cpu_s = time.perf_counter(), _cpu_s()
    uploader.execute(ResumeServer("bench"))
    deadline_s = time.monotonic() + LIMIT_S
    while uploader.get_stats()["queue_size"] and time.monotonic() < deadline_s:
        time.sleep(0.001)
    seconds, cpu_s = time.perf_counter() - began_s, _cpu_s() - began_cpu_s
    if uploader.get_stats()["total_uploaded"] != 1 + len(files):
        raise SystemExit(f"not delivered: {uploader.get_details()}")
    uploader.close()
    received = Path(job["info"]["remote_directory"])
    print(json.dumps([seconds, cpu_s, sum(path.stat().st_size for path in received.rglob("*") if path.is_file())]))


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _check(received: Path, sent: Files) -> None:
    for archive in [path for path in received.rglob("*") if path.name.endswith((".zip", ".tar.gz"))]:
        unpack(archive, archive.parent)
        archive.unlink()
    wrong = difference(sent, files_in(received))
    if wrong is not None:
        raise SystemExit(wrong)


def _sshd_version() -> str:
    done = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False)
    return done.stderr.split(",")[0].strip()


if __name__ == "__main__":
    sys.exit(main())
