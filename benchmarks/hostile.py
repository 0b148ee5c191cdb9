"""What hostile peers cost the line beside them: how late frames are and how many files arrive, alone and beside.

    python -m benchmarks.hostile --seconds 20

A synthetic camera is inspected at its 25 frames a second while files go to a real OpenSSH server; the line, the server
and the peer are processes of their own. Beside it, in turn: an SFTP server that refuses with megabytes, four cameras
that flood, drip, send bombs and say "100 Continue" for ever, and a browser that takes every connection it gets. Not a
row and not a file may be lost; the figures are for comparing within one run.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.servers.openssh import OpenSshServer

CASES = ("alone", "server", "camera", "browser", "all")
FILES_PER_S = 50
LATER_MAX_MS, RATE_MIN = 5.0, 0.8  # what is aimed at, beside each peer
START_LIMIT_S = 60.0


def measure(
    case: str, folder: Path, server: OpenSshServer, seconds: float, *, descriptors: int | None = None
) -> dict[str, Any]:
    """One case in an empty folder: the line's report, with `rows_lost` and `log_bytes`. `descriptors`: how many
    files the line's process may open, where that is to be few."""
    received = folder / "received"
    received.mkdir(parents=True)
    with ExitStack() as stack:
        hostile = _peer(stack, "server") if case in ("server", "all") else None
        camera = _peer(stack, "camera")["port"] if case in ("camera", "all") else None
        job = {
            "folder": str(folder),
            "received": str(received),
            "plant": {name: str(value) if name != "port" else value for name, value in server.info(received).items()},
            "hostile_server": hostile,
            "camera_port": camera,
            "seconds": seconds,
            "files_per_s": FILES_PER_S,
            "descriptors": descriptors,
        }
        log = stack.enter_context((folder / "log").open("wb"))
        line = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.hostile_line", json.dumps(job)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        )
        stack.callback(line.kill)
        assert line.stdin is not None, "it is a pipe"
        assert line.stdout is not None, "it is a pipe"
        address = line.stdout.readline().strip()
        if case in ("browser", "all"):
            _peer(stack, "browser", address.rstrip("/").rpartition(":")[2])
        line.stdin.write("go\n")
        line.stdin.flush()
        report: dict[str, Any] = json.loads(line.stdout.readline())
        line.wait(START_LIMIT_S)
    return report | {"rows_lost": _rows_lost(folder, received), "log_bytes": (folder / "log").stat().st_size}


def _peer(stack: ExitStack, kind: str, *arguments: str) -> Any:
    process = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.hostile_peers", kind, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None, "it is a pipe"
    return json.loads(process.stdout.readline())


def _rows_lost(folder: Path, received: Path) -> int:
    """Rows of the account that neither arrived nor lie in the records or the outbox."""
    account = {tuple(line.split()[1:]) for line in (folder / "account").read_text().splitlines()}
    kept: set[tuple[str, ...]] = set()
    for root in (received, folder / "records"):
        for path in root.rglob("line-1_model_*.csv"):
            kept |= {(row["frame"], row["part_id"]) for row in csv.DictReader(path.read_text().splitlines())}
    return len(account - kept)


def as_text(case: str, report: dict[str, Any], alone: dict[str, Any]) -> str:
    later_ms = report["late_p99_ms"] - alone["late_p99_ms"]
    rate = report["delivered_per_s"] / max(alone["delivered_per_s"], 1e-9)
    return (
        f"{case:8} {report['frames']:6} {report['cores']:6.2f} {report['late_p50_ms']:8.2f} "
        f"{report['late_p99_ms']:8.2f} {later_ms:+8.2f} "
        f"{report['delivered_per_s']:8.1f} {rate:6.2f} {len(report['missing']):6} {report['rows_lost']:5} "
        f"{report['log_bytes']:9}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    options = parser.parse_args()
    print("beside   frames  cores   p50 ms   p99 ms    later  files/s   rate  files  rows       log")
    print("                                                               lost: files  rows     bytes")
    lost, alone = 0, None
    for case in options.cases:
        with tempfile.TemporaryDirectory() as folder, OpenSshServer(Path(folder) / "sshd") as server:
            report = measure(case, Path(folder) / "line", server, options.seconds)
        alone = alone or report
        print(as_text(case, report, alone), flush=True)
        lost += len(report["missing"]) + report["rows_lost"]
    print(f"aimed at: at most {LATER_MAX_MS:g} ms later at p99, {RATE_MIN:g} of the rate, nothing lost")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
