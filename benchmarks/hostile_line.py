"""A line whose frames and files are counted: `python -m benchmarks.hostile_line JOB`, a process of its own.

It prints its page's address, waits for a line on its standard input, measures, delivers what is left, and prints its
report.
"""

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.camera_figures import percentile
from iris_camera import app, logs
from iris_camera.application import Application
from iris_camera.camera.frame import Frame
from iris_camera.config import CameraSettings, Config, OutboxSettings, ServerSettings, WebSettings
from iris_camera.controllers.observers import Observers
from iris_camera.inspection.inspector import Inspected
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_communication.sftp_uploader_thread import SftpUploadRequest

CONTENT = b"part,verdict\n" + b"17,good\n" * 500
HOSTILE_FILES = 300
WARM_UP_S = 2.0
DRAIN_S = 30.0


class FrameAccount:
    """Every row that was recorded, appended with one write, and how late each frame was inspected."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.late_s: list[float] = []

    def inspected(self, frame: Frame, inspected: Inspected) -> None:
        self.late_s.append(time.monotonic() - frame.monotonic_s)
        rows = [f"model {frame.number} {part.part_id}\n" for part in inspected.parts]
        os.write(self._file, "".join(rows).encode())


def main(job: dict[str, Any]) -> dict[str, Any]:
    folder = Path(job["folder"])
    if job["descriptors"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (job["descriptors"], job["descriptors"]))
    account = FrameAccount(folder / "account")
    logs.start_logging("INFO")
    application = Application(_config(job, folder), observers=Observers(account.inspected))
    app.start(application)
    print(application.web_address, flush=True)
    sys.stdin.readline()
    _queue_hostile(job, folder, application)  # before anything is measured: on a busy disk it takes seconds
    stop = threading.Event()
    queued: list[str] = []
    producer = threading.Thread(target=_produce, args=(job, folder, application, stop, queued), daemon=True)
    producer.start()
    time.sleep(WARM_UP_S)
    first_frame, first_file, cpu_s = len(account.late_s), _arrived(job), time.process_time()
    time.sleep(job["seconds"])
    cpu_s = time.process_time() - cpu_s
    late_s, delivered = account.late_s[first_frame:], _arrived(job) - first_file
    stop.set()
    producer.join()
    until_s = time.monotonic() + DRAIN_S
    while not _all_there(job, queued) and time.monotonic() < until_s:
        time.sleep(0.1)
    app.cleanup_threads()
    return {
        "frames": len(late_s),
        "cores": round(cpu_s / job["seconds"], 2),
        "late_p50_ms": round(1e3 * percentile(late_s, 0.5), 2),
        "late_p99_ms": round(1e3 * percentile(late_s, 0.99), 2),
        "delivered_per_s": round(delivered / job["seconds"], 1),
        "queued": len(queued),
        "missing": [name for name in queued if not _is_there(job, name)],
    }


def _config(job: dict[str, Any], folder: Path) -> Config:
    cameras = {"line-1": CameraSettings(source="synthetic", seed=7, server="plant")}
    for number in range(4 if job["camera_port"] else 0):
        address = f"http://127.0.0.1:{job['camera_port']}/{number}"
        cameras[f"hostile-{number}"] = CameraSettings(source=address, server="plant", read_timeout_s=3.0)
    servers = {"plant": ServerSettings(**job["plant"])}
    if job["hostile_server"]:
        servers["hostile"] = ServerSettings(**job["hostile_server"])
    return Config(
        cameras=cameras,
        records=RecordSettings(folder=folder / "records", rows_max=40, age_s_max=0.5),
        evidence=EvidenceSettings(enabled=False),
        servers=servers,
        outbox=OutboxSettings(folder=folder / "outbox"),
        web=WebSettings(port=0),
    )


def _queue_hostile(job: dict[str, Any], folder: Path, application: Application) -> None:
    path = folder / "source"
    path.mkdir()
    if job["hostile_server"]:
        paths = [path / f"h{number}.csv" for number in range(HOSTILE_FILES)]
        for each in paths:
            each.write_bytes(CONTENT)
        application.uploader.queue_uploads([SftpUploadRequest("hostile", each, "bench", "model") for each in paths])


def _produce(
    job: dict[str, Any], folder: Path, application: Application, stop: threading.Event, queued: list[str]
) -> None:
    path = folder / "source"
    due_s, number = time.monotonic(), 0
    while not stop.wait(max(0.0, due_s - time.monotonic())):
        name = f"{number:06}.csv"
        (path / name).write_bytes(CONTENT)
        if application.uploader.queue_upload("plant", path / name, "bench", "model", take="move"):
            queued.append(name)
        due_s, number = due_s + 1 / job["files_per_s"], number + 1


def _arrived(job: dict[str, Any]) -> int:
    folder = Path(job["received"]) / "bench" / "model"
    return sum(not path.name.startswith(".") for path in folder.iterdir()) if folder.is_dir() else 0


def _is_there(job: dict[str, Any], name: str) -> bool:
    path = Path(job["received"]) / "bench" / "model" / name
    return path.is_file() and path.read_bytes() == CONTENT


def _all_there(job: dict[str, Any], queued: list[str]) -> bool:
    return _arrived(job) >= len(queued)


if __name__ == "__main__":
    report = main(json.loads(sys.argv[1]))
    print(json.dumps(report), flush=True)
