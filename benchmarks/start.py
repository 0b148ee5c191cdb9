"""How long it takes to start: whole processes, from nothing to their end, as ratios to a Python that does nothing.

The processes of one round follow one another, so that a slower moment of the machine meets all of them.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.table import aligned
from iris_communication.sftp_uploader_thread import SftpUploaderThread

IRIS = ("-m", "iris_camera.cli.main")
NOTHING = "python -c pass"
STARTS: Mapping[str, Sequence[str]] = {
    NOTHING: ("-c", "pass"),
    "check a request (upload_request)": ("-c", "import iris_communication.upload_request"),
    "sftp_uploader_thread": ("-c", "import iris_communication.sftp_uploader_thread"),
    "asyncssh, for comparison": ("-c", "import asyncssh"),
    "iris queue list": (*IRIS, "queue", "list"),
    "iris --help": (*IRIS, "--help"),
    "the application, with a camera's parts": ("-c", "import iris_camera.app, iris_camera.camera.sources, onnxruntime"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench-start")
    parser.add_argument("--repeat", type=int, default=9, help="rounds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"IRIS_OUTBOX": folder}
        outbox = SftpUploaderThread(folder)  # so that `iris queue list` has one to look into
        outbox.open()
        outbox.close()
        times_s: dict[str, list[float]] = {name: [] for name in STARTS}
        for number in range(options.repeat + 1):
            for name, arguments in STARTS.items():
                took_s = _seconds(arguments, environment)
                if number:  # the first round reads everything from the disk
                    times_s[name].append(took_s)
    nothing_s = statistics.median(times_s[NOTHING])
    rows = [
        (name, f"{statistics.median(each):.3f}", f"{statistics.median(each) / nothing_s:.1f}x")
        for name, each in times_s.items()
    ]
    print(aligned([("start", "seconds", f"to {NOTHING}"), *rows], left=(0,)))


def _seconds(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    begun_s = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[1],
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    return time.perf_counter() - begun_s


if __name__ == "__main__":
    main()
