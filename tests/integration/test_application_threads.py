"""Every long-lived thread of the application is ended by an unforeseen error: that is reported, and it works again."""

import asyncio
import http.client
import logging
import threading
import time

import pytest

from iris_camera import logs
from iris_camera.camera.capture import Capture
from iris_camera.camera.clock import CameraClock
from iris_camera.camera.settings import SourceSettings
from iris_camera.controllers.evidence_writer import EvidenceWriter, Machine
from iris_camera.controllers.handing_over import DeliveryTarget, HandingOver
from iris_camera.controllers.inspecting import Inspecting
from iris_camera.controllers.tallies import Tallies
from iris_camera.health.facts import Around, CameraFacts, Facts
from iris_camera.health.gathering import thread_facts
from iris_camera.health.judging import judge
from iris_camera.health.service import HealthService
from iris_camera.inspection.inspector import Inspector
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.kept_files import KeptFiles
from iris_camera.records.retention import KeepLimits
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_camera.web.server import WebServer
from tests.unit.iris_camera.controllers.parts import AlwaysDefect, EndlessSource, OnePart

WAIT_S = 60.0


class Once:
    """Calls its function; raises SystemExit once, as a script would, on the named thread."""

    def __init__(self, call, thread):
        self._call, self._thread = call, thread
        self.armed = True

    def __call__(self, *arguments):
        if self.armed and threading.current_thread().name == self._thread:
            self.armed = False
            raise SystemExit("nobody foresaw this")
        return self._call(*arguments)


class NoCameras:
    """An uploader that has nothing to report."""

    def get_details(self):
        stats = {"total_queued": 0, "total_uploaded": 0, "total_failed": 0, "queue_size": 0}
        return {
            "running": True,
            "state": "running",
            "stats": stats,
            "oldest_waiting_s": None,
            "servers": {},
            "dead": [],
        }


def capture(folder):
    clock = CameraClock(monotonic=Once(time.monotonic, "iris-watch-line"))
    made = Capture("line", EndlessSource, SourceSettings(), clock=clock)
    made.start()
    return made, lambda: made.handover.get(0.1) is not None, made.close


def inspection(folder):
    source = Capture("line", EndlessSource, SourceSettings())

    def make():
        return Inspector(OnePart(), AlwaysDefect())

    tallies = Tallies("line", ())
    made = Inspecting("line", source.handover, Once(make, "iris-inspect-line"), Unwritten(), Unwritten(), tallies)
    source.start()
    made.start()

    def end():
        source.close()
        made.close()

    return made, lambda: tallies.frames > 0 or made.threads()[0]["restarts"] == 1, end


class Unwritten:
    """Takes records and defects, and drops them."""

    def record(self, frame, inspected, now_s):
        return []

    def rotate(self, monotonic_s):
        return []

    def close(self):
        return []

    def add(self, finished):
        pass

    def add_defect(self, frame, part, verdict):
        pass


def handing_over(folder):
    machine = Machine(monotonic=Once(time.monotonic, "iris-deliver-line"))
    whose = CameraRun("line", "0123abcd", folder)
    evidence = EvidenceWriter(whose, EvidenceSettings(), 0)
    made = HandingOver(whose, None, DeliveryTarget("plant", {}), RecordSettings(), evidence, machine=machine)
    made.start()
    return made, lambda: True, made.close


def kept_files(folder):
    made = KeptFiles(folder, KeepLimits(0, None, 0), frozenset, wall=Once(time.time, "iris-kept"))
    made.start()
    return made, lambda: True, made.close


def health(folder):
    made = HealthService(
        cameras=tuple, uploader=NoCameras(), period_s=0.01, monotonic=Once(time.monotonic, "iris-health")
    )
    made.start()
    return made, lambda: made.snapshot()["looked_age_s"] < 1.0, made.stop


class Stream:
    """A standard error; `write` raises SystemExit once, on the thread that writes the log."""

    def __init__(self):
        self.text = ""
        self.write = Once(self._write, logs.THREAD)

    def _write(self, text):
        self.text += text

    def flush(self):
        pass


class Logging:
    threads = staticmethod(logs.threads)


def logging_lines(folder):
    stream, level = Stream(), logging.getLogger().level
    logs.start_logging("info", stream=stream)
    log = logging.getLogger("iris_camera.test")
    log.info("the line that is lost")

    def works():
        log.info("a line after that")
        return "a line after that" in stream.text

    def end():
        logs.stop_logging()
        logging.getLogger().setLevel(level)

    return Logging, works, end


def web(folder):
    async def app(scope, receive, send):
        if scope["path"] == "/exit":
            asyncio.get_running_loop().call_soon(exit_now)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    exit_now = Once(lambda: None, "iris-web")
    made = WebServer(app, port=0)
    made.start()

    def answer(path):
        connection = http.client.HTTPConnection("127.0.0.1", made.port, timeout=WAIT_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    answer("/exit")
    return made, lambda: answer("/") == 204, made.stop


def until(true):
    deadline_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline_s, "it never became true"
        threading.Event().wait(0.01)


@pytest.mark.parametrize("begin", [capture, inspection, handing_over, kept_files, health, web, logging_lines])
def test_a_thread_that_is_ended_is_reported_by_health_and_works_again(begin, tmp_path, caplog):
    part, works, end = begin(tmp_path)
    try:
        until(lambda: part.threads()[0]["restarts"] == 1)
        state = part.threads()[0]
        assert state["reason"] == "SystemExit: nobody foresaw this"
        assert state["name"] in said_of(state)
        until(lambda: part.threads()[0]["running"])
        until(works)
        assert f"the thread {state['name']} failed (SystemExit: nobody foresaw this), 1 since the start" in caplog.text
    finally:
        end()


def said_of(state):
    around = Around(threads=thread_facts([state], lambda counter: state["restarts"]))
    cameras = (CameraFacts("line", frame_age_s=0.1),)
    return judge(Facts(cameras, True, "running", None, (), 0, None, 0, around=around), time.time()).sentence
