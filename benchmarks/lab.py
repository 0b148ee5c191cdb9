"""Where clients are measured: one OpenSSH server, folders in memory, and a delay proxy for a high round-trip time.

The processor time of the other end is what sshd's listener knows of its sessions once they have ended, so each run
waits until they have; a session that a client leaves behind is cut.
"""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.data import Files, difference, files_in
from benchmarks.delay_proxy import DelayProxy
from benchmarks.peers import CLIENTS, Job, MissingError
from benchmarks.process import run
from benchmarks.table import Times
from tests.servers.openssh import OpenSshServer, descendants

SESSIONS_END_S = 5.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Lab:
    def __init__(self, server: OpenSshServer, memory: Path, disk: Path, timeout_s: float) -> None:
        self._server = server
        self._sshd_pid = _listener(server)
        self._memory = memory
        self._disk = disk
        self._timeout_s = timeout_s

    def once(self, client: str, source: Path, sent: Files, proxy: DelayProxy | None, *, steady: bool) -> Times | str:
        """One run of one client; a text if there is nothing to measure."""
        received = self._memory / "received"
        received.mkdir()
        scratch = Path(tempfile.mkdtemp(dir=self._disk))
        server, port = self._server, self._server.port if proxy is None else proxy.port
        job = Job(source, server.host, port, server.username, server.private_key, server.host_key, received, scratch)
        before = self._other_cpu_s(proxy)
        try:
            outcome = run(CLIENTS[client](job), self._disk / "said", self._timeout_s)
            self._wait_for_sessions()
            if outcome.failure is not None:
                return f"failed: {outcome.failure}"
            wrong = difference(sent, files_in(received))
            if wrong is not None:
                return f"failed: {wrong}"
            server_cpu_s, proxy_cpu_s = (
                after - earlier for after, earlier in zip(self._other_cpu_s(proxy), before, strict=True)
            )
            times = Times(outcome.seconds, outcome.cpu_s, server_cpu_s, proxy_cpu_s)
            return _with_own(times, scratch / "figures.json", len(sent), from_first=client == "iris", steady=steady)
        except MissingError as error:
            return str(error)
        finally:
            shutil.rmtree(received)
            shutil.rmtree(scratch)

    def _other_cpu_s(self, proxy: DelayProxy | None) -> tuple[float, float]:
        server = _cpu_s(self._sshd_pid, of_children=True)
        return server, 0.0 if proxy is None else _cpu_s(proxy.pid, of_children=False)

    def _wait_for_sessions(self) -> None:
        deadline_s = time.monotonic() + SESSIONS_END_S
        while self._server.session_pids():
            if time.monotonic() > deadline_s:
                self._server.cut()
            time.sleep(0.01)


def _listener(server: OpenSshServer) -> int:
    """The process id of sshd, which has its configuration's path in its command line."""
    config = os.fsencode(server.folder / "sshd_config")
    return next(pid for pid in descendants(os.getpid()) if config in Path(f"/proc/{pid}/cmdline").read_bytes())


def _with_own(times: Times, figures: Path, files: int, *, from_first: bool, steady: bool) -> Times:
    """The times with what a client of ours measured of itself, which replaces `seconds` if `from_first` or `steady`."""
    if not figures.exists():
        return times
    own = json.loads(figures.read_text())
    times = times._replace(
        span_s=own["span_s"],
        own_us=own["steady_cpu_s"] / files * 1e6,
        above_idle_bytes=own["above_idle_bytes"],
    )
    if steady:
        return times._replace(seconds=own["steady_s"])
    return times._replace(seconds=own["span_s"]) if from_first else times


def _cpu_s(pid: int, *, of_children: bool) -> float:
    """User and system time, of itself or of the children it has collected."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = fields[13:15] if of_children else fields[11:13]
    return (int(user) + int(system)) / _TICKS_A_SECOND
