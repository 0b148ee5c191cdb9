"""What `queue_upload` costs the calling thread: `python -m benchmarks.accept [--files N]`.

Files of 10 KB, one after the other from one thread, beside nothing, and beside one busy Python thread (what a camera
application is). The server is a port that refuses, so that nothing is delivered meanwhile. The figures are of this
machine's disk; only the ratio between the rows can be compared.
"""

import argparse
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

from iris_communication.sftp_uploader_thread import SftpUploaderThread

FILE_BYTES = 10_000
PAUSE_S = 0.001  # between two calls, so that a queue of callers is not what is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    arguments = parser.parse_args()
    print(f"{'beside':24} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    for beside, busy in (("nothing", False), ("a busy Python thread", True)):
        times_ms = sorted(_accept(arguments.files, busy=busy))
        p50, p99 = times_ms[len(times_ms) // 2], times_ms[int(len(times_ms) * 0.99)]
        print(f"{beside:24} {p50:8.2f} {p99:8.2f} {times_ms[-1]:8.2f}")


def _accept(files: int, *, busy: bool) -> list[float]:
    folder = Path(tempfile.mkdtemp(prefix="iris-bench-", dir="."))
    stop = threading.Event()
    try:
        with socket.socket() as refusing:  # bound and not listening: the port refuses, and no other program gets it
            refusing.bind(("127.0.0.1", 0))
            server = {"host": "127.0.0.1", "port": refusing.getsockname()[1], "username": "u", "password": "p"}
            uploader = SftpUploaderThread(folder / "outbox", max_queue_size=files + 1)
            uploader.start()
            if busy:
                threading.Thread(target=_spin, args=(stop,), daemon=True).start()
            source = folder / "record.csv"
            source.write_bytes(bytes(FILE_BYTES))
            times_ms = []
            for _ in range(files):
                began_s = time.perf_counter()
                accepted = uploader.queue_upload(server, source, "line-1", "model")
                times_ms.append((time.perf_counter() - began_s) * 1e3)
                assert accepted, "there is room"
                time.sleep(PAUSE_S)
            stop.set()
            uploader.close()
            return times_ms
    finally:
        stop.set()
        shutil.rmtree(folder)


def _spin(stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number = (number * 31 + 7) % 1_000_003


if __name__ == "__main__":
    main()
