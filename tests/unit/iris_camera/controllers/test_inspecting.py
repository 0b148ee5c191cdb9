"""The inspection thread: what a failing model costs, and how it comes back."""

import logging
import threading
import time
from dataclasses import replace

import pytest

from iris_camera.camera.handover import EveryFrame
from iris_camera.controllers import inspecting
from iris_camera.controllers.frame_records import FrameRecords
from iris_camera.controllers.inspecting import Inspecting, restart_pause_s
from iris_camera.controllers.observers import Observers
from iris_camera.controllers.tallies import Tallies
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.model_error import ModelError
from iris_camera.records.settings import RecordSettings
from tests.unit.iris_camera.controllers.parts import WAIT_S, AlwaysDefect, OnePart, frame


class Written:
    """In place of handing over: keeps what it was given, and in which order."""

    def __init__(self):
        self.order = []

    def add(self, finished):
        self.order.append((finished.kind, finished.rows))

    def add_defect(self, frame, part, verdict):
        self.order.append(("defect", frame.number, part.part_id, verdict.label))


class Line:
    """An inspection with a handover to put frames into."""

    def __init__(self, folder, make, **options):
        self.handover = EveryFrame(capacity=100)
        self.tallies = Tallies("line-1", ("defect",))
        self.written = Written()
        records = FrameRecords(folder, "line-1", "0123abcd", RecordSettings(rows_max=5), self.tallies.trouble)
        self.inspecting = Inspecting("line-1", self.handover, make, records, self.written, self.tallies, **options)

    def run(self, frames):
        """Give it the frames and wait for the end."""
        self.inspecting.start()
        for each in frames:
            self.handover.put(each)
        self.end()

    def end(self):
        self.handover.close()
        assert self.inspecting.wait_recorded(WAIT_S)
        assert self.inspecting.join(WAIT_S)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """A restart is immediate, and the pause it would have made is kept."""
    monkeypatch.setattr(inspecting, "RESTART_FIRST_S", 0.0)


@pytest.fixture
def line(tmp_path):
    def make(*detectors, **options):
        left = iter(detectors)
        return Line(tmp_path, lambda: Inspector(next(left), AlwaysDefect()), **options)

    return make


def test_pauses_before_a_restart_double_up_to_a_minute(monkeypatch):
    monkeypatch.undo()
    assert [restart_pause_s(failures) for failures in (1, 2, 3, 6, 7, 100)] == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]


def test_a_model_that_raises_costs_one_frame_and_is_made_again(line, caplog):
    running = line(OnePart(failing_calls=(4,)), OnePart())
    running.run([frame(number) for number in range(10)])
    assert running.tallies.frames == 9
    seen = running.inspecting.snapshot()
    assert (seen["restarts"], seen["state"]) == (1, "stopped")
    assert "inspection failed and restarts" in caplog.text
    assert "ValueError: model failed" in caplog.text
    assert "Traceback" in caplog.text


def test_an_inspector_that_was_made_again_gives_no_id_twice(line):
    running = line(OnePart(failing_calls=(4,)), OnePart(failing_calls=(3,)), OnePart())
    running.run([frame(number) for number in range(12)])
    assert [part_id for kind, *facts in running.written.order if kind == "defect" for part_id in facts[1:2]] == [
        1,
        2,
        3,
    ]


def test_memory_that_is_gone_is_a_restart_like_any_other(line):
    running = line(OnePart(failing_calls=(1,), error=MemoryError("bad allocation")), OnePart())
    running.run([frame(0), frame(1)])
    assert running.tallies.frames == 1
    assert running.inspecting.snapshot()["restarts"] == 1


@pytest.fixture
def no_log():
    """A captured log holds each traceback, and with it the local variables of the failed call."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_the_failed_model_is_released_before_another_is_made(tmp_path, no_log):
    alive = []

    class Counted(Inspector):
        def __init__(self):
            super().__init__(OnePart(failing_calls=(1,)), AlwaysDefect())
            alive.append(1)

        def __del__(self):
            alive.pop()

    counts = []

    def make():
        counts.append(len(alive))
        return Counted()

    running = Line(tmp_path, make)
    running.run([frame(0), frame(1), frame(2)])
    assert counts == [0, 0, 0]


def test_a_model_that_cannot_be_made_again_is_tried_until_it_can(tmp_path, caplog):
    answers = iter([ModelError("/models/belt.onnx is gone"), ModelError("/models/belt.onnx is gone"), None])

    def make():
        error = next(answers)
        if error is not None:
            raise error
        return Inspector(OnePart(), AlwaysDefect())

    running = Line(tmp_path, make)
    running.run([frame(0), frame(1)])
    assert running.tallies.frames == 2
    assert running.inspecting.snapshot()["restarts"] == 2
    assert "belt.onnx is gone" in caplog.text


def test_the_inspection_reports_that_and_why_it_waits_to_restart(line, monkeypatch):
    monkeypatch.setattr(inspecting, "RESTART_FIRST_S", 60.0)
    failed = threading.Event()

    class Failing(OnePart):
        def detect(self, image):
            failed.set()
            raise ValueError("no such layer")

    running = line(Failing())
    running.inspecting.start()
    running.handover.put(frame(0))
    assert failed.wait(WAIT_S)
    while running.inspecting.snapshot()["state"] != "restarting":
        assert not running.inspecting.join(0.0)
    assert running.inspecting.snapshot()["reason"] == "ValueError: no such layer"
    running.inspecting.close()
    running.end()


def test_a_broken_model_is_not_waited_for_at_the_end_and_the_frames_it_left_are_reported(line, monkeypatch, caplog):
    monkeypatch.setattr(inspecting, "RESTART_FIRST_S", 60.0)
    running = line(OnePart(failing_calls=(1,)))
    running.inspecting.close()
    running.run([frame(number) for number in range(4)])
    assert "camera line-1 ends with 3 frames that were not inspected" in caplog.text


def test_evidence_of_a_defect_is_handed_on_before_the_rows_of_its_frame(line):
    running = line(OnePart())
    running.run([frame(number) for number in range(5)])
    assert running.written.order[0][0] == "defect"
    assert [kind for kind, *_ in running.written.order[1:]] == ["model", "classifier"]


def test_a_source_that_began_again_shows_other_parts(line):
    running = line(OnePart())
    running.run([frame(number, opening=number // 10) for number in range(20)])
    defects = [entry[2] for entry in running.written.order if entry[0] == "defect"]
    assert len(defects) == 2


def test_an_observer_that_raises_costs_nothing_else(line, caplog):
    def failing(*news):
        raise RuntimeError("observer failed")

    running = line(OnePart(), observers=Observers(failing, failing))
    running.run([frame(number) for number in range(5)])
    assert running.tallies.frames == 5
    assert ("model", 5) in running.written.order
    assert "observer failed" in caplog.text


def test_the_cost_of_inference_is_counted(line):
    running = line(OnePart())
    running.run([frame(number) for number in range(5)])
    figures = running.inspecting.snapshot()["inference_ms"]
    assert 0.0 <= figures["p50"] <= figures["p99"]


def test_records_that_cannot_be_written_are_counted_and_the_inspection_goes_on(tmp_path, caplog):
    (tmp_path / "in the way").write_text("")
    running = Line(tmp_path / "in the way", lambda: Inspector(OnePart(), AlwaysDefect()))
    with caplog.at_level(logging.ERROR):
        running.run([frame(number) for number in range(5)])
    assert running.tallies.frames == 5
    assert running.tallies.errors >= 5
    assert "1 row lost" in caplog.text


def test_frames_that_are_long_past_when_inspected_share_a_record_file(line):
    running = line(OnePart())
    running.run([replace(frame(number), monotonic_s=time.monotonic() - 3_600.0) for number in range(4)])
    assert [rows for kind, rows, *_ in running.written.order if kind == "model"] == [4]
