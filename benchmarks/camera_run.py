"""One run: a camera, its inspection, and perhaps an uploader, in one process. Prints one JSON object.

The camera is a real file, decoded frame by frame at each frame's due time and inspected by the shipped models; a frame
that is not taken before the next one comes is skipped, as from a live camera. The files are written beforehand, and a
thread of its own queues them, as in the application: neither capturing nor inspecting ever waits for the uploader. So
what is left is what they share with it: the interpreter's lock, the cores, the disk.

Takes the options of benchmarks/peers.py and those listed in `main`.
"""

import argparse
import gc
import json
import resource
import selectors
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import cv2

from benchmarks.camera_figures import FULL, due_s
from benchmarks.camera_uploaders import UPLOADERS, Deliverer
from benchmarks.peers import Job, MissingError
from iris_camera.camera.frame import Frame, read_only
from iris_camera.camera.handover import LatestFrame
from iris_camera.inspection.making import make_inspector
from iris_camera.inspection.settings import InspectionSettings

WARM_UP_S = 0.8  # files are carried for so long before the first frame is due
WARM_UP_FRAMES = 5
OFFERED_MAX = 64  # files at once
FEED_EVERY_S = 0.005
FULL_FILES_PER_S = 2_000  # more than any of them takes: so many are written
MISSING = 3  # exit status: this client is not installed


class Footage:
    """A file's frames, over and over. It is opened beforehand as often as needed, its first frame decoded: a seek to
    its beginning takes 10 ms and the first frame as long again, which no uploader is to blame for."""

    def __init__(self, path: Path, frames: int) -> None:
        first = _Opened(path)
        self._opened = deque([first, *(_Opened(path) for _ in range(frames // first.length))])

    def read(self) -> Any:
        while True:
            image = self._opened[0].read()
            if image is not None:
                return image
            self._opened.popleft()


class _Opened:
    def __init__(self, path: Path) -> None:
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        self.length = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._first: Any = self._capture.read()[1]

    def read(self) -> Any:
        """None at the end."""
        image, self._first = self._first, None
        return image if image is not None else self._capture.read()[1]


class MeasuredCamera:
    """A capturing and an inspecting thread; `late_ms` has (done - due) of each frame inspected."""

    def __init__(self, video: Path, frame_rate: float, frames: int) -> None:
        self._frame_rate, self._frames = frame_rate, frames
        self._footage = Footage(video, WARM_UP_FRAMES + frames)
        self._inspector = make_inspector(InspectionSettings())
        for number in range(WARM_UP_FRAMES):
            self._inspector.inspect(self._footage.read(), number)
        self._handover = LatestFrame()
        self._start_s = 0.0
        self.late_ms: list[float] = []

    @property
    def skipped(self) -> int:
        return self._handover.skipped

    def run(self) -> None:
        self._start_s = time.monotonic() + 0.02
        threads = [threading.Thread(target=each, name=each.__name__) for each in (self._capture, self._inspect)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _capture(self) -> None:
        for number in range(self._frames):
            at_s = due_s(self._start_s, self._frame_rate, number)
            time.sleep(max(0.0, at_s - time.monotonic()))
            image = read_only(self._footage.read())
            self._handover.put(Frame(image, WARM_UP_FRAMES + number, time.time(), at_s))
        self._handover.close()

    def _inspect(self) -> None:
        while not self._handover.drained:
            frame = self._handover.get(1.0)
            if frame is not None:
                self._inspector.inspect(frame.image, frame.number)
                self.late_ms.append((time.monotonic() - frame.monotonic_s) * 1e3)


class Feeder:
    """Queues files at their rate, or as fast as they are taken; those that come due together are queued together."""

    def __init__(self, uploader: Deliverer, files: list[Path], files_per_s: float) -> None:
        self._uploader, self._files, self._files_per_s = uploader, deque(files), files_per_s
        self._offered = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="feeder", daemon=True)
        self.start = self._thread.start

    @property
    def ran_out(self) -> bool:
        return not self._files

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def due(self, since_s: float) -> list[Path]:
        """What may be offered so long after the start, in order."""
        count = OFFERED_MAX
        if self._files_per_s != FULL:
            count = min(count, int(since_s * self._files_per_s) - self._offered)
        return [self._files[index] for index in range(min(count, len(self._files)))]

    def _feed(self) -> None:
        start_s = time.monotonic()
        while self._files and not self._stop.is_set():
            offered = self.due(time.monotonic() - start_s)
            taken = self._uploader.queue(offered) if offered else 0
            for _ in range(taken):
                self._files.popleft()
            self._offered += taken
            if taken < OFFERED_MAX:
                time.sleep(FEED_EVERY_S)


def watch_turns() -> list[float]:
    """The processor time of each turn of any event loop that begins after this, in ms: from when the selector
    answered until it is asked again."""
    turns_ms: list[float] = []
    began_s: dict[Any, float] = {}
    select = selectors.EpollSelector.select

    def watched(selector: Any, timeout: float | None = None) -> Any:
        if selector in began_s:
            turns_ms.append((time.thread_time() - began_s[selector]) * 1e3)
        events = select(selector, timeout)
        began_s[selector] = time.thread_time()
        return events

    selectors.EpollSelector.select = watched  # type: ignore[method-assign,assignment]  # watching it is the point
    return turns_ms


def measure(camera: MeasuredCamera, uploader: Deliverer | None, turns_ms: list[float]) -> dict[str, Any]:
    delivered = uploader.delivered if uploader is not None else lambda: 0
    # Freeze the objects there are: without this the garbage collector scans every object of the libraries again and
    # again, 30 ms at a time, and all threads stand still.
    gc.collect()
    gc.freeze()
    turns_ms.clear()
    before, began_s, used_s = delivered(), time.monotonic(), _cpu_s()
    camera.run()
    seconds = time.monotonic() - began_s
    return {
        "late_ms": [round(late_ms, 3) for late_ms in camera.late_ms],
        "skipped": camera.skipped,
        "files_per_s": (delivered() - before) / seconds,
        "cpu": (_cpu_s() - used_s) / seconds,
        "turns_ms": [round(turn_ms, 3) for turn_ms in turns_ms],
    }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.camera_run")
    parser.add_argument("--frame-rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--uploader", choices=("none", *UPLOADERS), required=True)
    parser.add_argument("--files-per-s", type=float, default=FULL, help="0: as fast as they are taken")
    parser.add_argument("--switch-interval-ms", type=float, help="another one than the interpreter's own")
    for name in ("video", "source", "private-key", "remote-directory", "scratch"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("host", "username", "host-key"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    if options.switch_interval_ms is not None:
        sys.setswitchinterval(options.switch_interval_ms / 1e3)
    cv2.setNumThreads(1)
    turns_ms = watch_turns()
    camera = MeasuredCamera(options.video, options.frame_rate, int(options.frame_rate * options.seconds))
    if options.uploader == "none":
        time.sleep(WARM_UP_S)
        print(json.dumps(measure(camera, None, turns_ms)))
        return 0
    return _beside(options, camera, turns_ms)


def _beside(options: argparse.Namespace, camera: MeasuredCamera, turns_ms: list[float]) -> int:
    job = Job(**{name: getattr(options, name) for name in Job.__dataclass_fields__})
    uploader = UPLOADERS[options.uploader](job)
    files_per_s = options.files_per_s or FULL_FILES_PER_S
    files = _written(job, int(files_per_s * (WARM_UP_S + options.seconds + 1)))
    try:
        uploader.start()
    except MissingError as error:
        print(error, file=sys.stderr)
        return MISSING
    feeder = Feeder(uploader, files, options.files_per_s)
    feeder.start()
    time.sleep(WARM_UP_S)
    result = measure(camera, uploader, turns_ms)
    if feeder.ran_out:
        print(f"all {len(files)} files were taken before the end", file=sys.stderr)
        return 1
    feeder.stop()
    uploader.close()
    print(json.dumps(result))
    return 0


def _written(job: Job, count: int) -> list[Path]:
    """So many files, each its own, with the contents of those in `source`, on the disk that the outbox is on."""
    contents = [path.read_bytes() for path in sorted(job.source.iterdir())]
    folder = job.scratch / "ready"
    folder.mkdir()
    paths = [folder / f"line-1_model_{number:06d}.csv" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(contents[number % len(contents)])
    return paths


if __name__ == "__main__":
    sys.exit(main())
