"""A defect on a real server: its row, its pictures, and how the one leads to the other."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from iris_camera.camera.frame import Frame
from iris_camera.controllers.evidence_writer import EvidenceWriter
from iris_camera.controllers.handing_over import DeliveryTarget, HandingOver
from iris_camera.inspection.findings import Box, Part, Verdict
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.csv_file import ClassifierRow
from iris_camera.records.csv_name import parse_name
from iris_camera.records.evidence import is_whole_jpeg
from iris_camera.records.evidence_name import parse_evidence_name
from iris_camera.records.leftovers import recover
from iris_camera.records.recorder import Recorder
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from tests.integration.uploading import LONG_S, contents_of, wait_until

RUN = "9f3c01ab"
WALL_S = 1795467933.123


@pytest.fixture
def handing_over(openssh, uploader, tmp_path):
    """Into `received/line-1` of the server, from the folder `records`."""
    whose = CameraRun("line-1", RUN, tmp_path / "records")
    target = DeliveryTarget(openssh.info(tmp_path / "received"), {"project": "line-1"})
    evidence = EvidenceWriter(whose, EvidenceSettings(), 0)
    one = HandingOver(whose, uploader, target, RecordSettings(disk_reserve_bytes=0), evidence)
    one.start()
    yield one
    one.close()
    assert one.join(LONG_S)


def frame(number):
    """A part of a brightness of its own on a dark belt."""
    image = np.full((240, 320, 3), 30, np.uint8)
    image[100:140, 200:260] = 60 + 20 * number
    image.flags.writeable = False
    return Frame(image, number, WALL_S + number / 25, number / 25)


def test_each_defect_s_row_and_pictures_arrive_and_lead_to_each_other(handing_over, uploader, tmp_path):
    recorder = Recorder(tmp_path / "records", "line-1", "classifier", RUN, RecordSettings().limits)
    part = Part(part_id=0, box=Box(200.0, 100.0, 60.0, 40.0), score=0.9)
    for number in range(6):
        label = "defect" if number % 2 else "good"
        seen = Part(part_id=10 + number, box=part.box, score=part.score)
        if label == "defect":
            handing_over.add_defect(frame(number), seen, Verdict(label, 0.98))
        row = ClassifierRow(number, seen.part_id, label, 0.98)
        recorder.append([row], frame(number).wall_s, frame(number).monotonic_s, now_s=0.0)
    handing_over.add(recorder.close())
    wait_until(lambda: uploader.get_stats()["total_uploaded"] == 7)

    received = tmp_path / "received" / "line-1"
    ((csv_name, rows),) = contents_of(received / "classifier").items()
    pictures = contents_of(received / "evidence")
    defects = [row for row in csv.DictReader(rows.decode().splitlines()) if row["label"] == "defect"]
    assert len(defects) == 3
    for row in defects:
        found = [n for n in pictures if n.endswith(f"_f{row['frame']}_p{row['part_id']}.jpg")]
        names = {parse_evidence_name(name).view: parse_evidence_name(name) for name in found}
        assert sorted(names) == ["crop", "frame"]
        for view, name in names.items():
            assert name.run == parse_name(csv_name).run
            assert name.taken_at.isoformat(timespec="milliseconds").replace("+00:00", "Z") == row["utc"]
            shown = cv2.imdecode(np.frombuffer(pictures.pop(str(name)), np.uint8), cv2.IMREAD_COLOR)
            assert shown.shape == {"crop": (52, 78, 3), "frame": (240, 320, 3)}[view]
            height, width = shown.shape[:2]
            part_shown = shown[height // 2, width // 2] if view == "crop" else shown[120, 230]
            assert abs(int(part_shown[0]) - (60 + 20 * int(row["frame"]))) < 6
    assert pictures == {}
    assert contents_of(tmp_path / "records" / "ready") == {}


def test_pictures_wait_with_the_link_down_and_arrive_once_it_is_back(openssh, handing_over, uploader, tmp_path):
    openssh.stop()
    try:
        part = Part(part_id=1, box=Box(200.0, 100.0, 60.0, 40.0), score=0.9)
        for number in range(4):
            handing_over.add_defect(frame(number), part, Verdict("defect", 0.98))
        wait_until(lambda: uploader.get_stats()["queue_size"] == 8)
        wait_until(lambda: handing_over.counts() == (0, 8, 0))
    finally:
        openssh.start()
    wait_until(lambda: uploader.get_stats()["total_uploaded"] == 8)
    pictures = contents_of(tmp_path / "received" / "line-1" / "evidence")
    assert len(pictures) == 8
    assert all(is_whole_jpeg(data) for data in pictures.values())


WRITES_PICTURES_FOR_EVER = """
import itertools, pathlib, sys
import numpy as np
from iris_camera.records.evidence import Area, Defect, Evidence
from iris_camera.records.settings import EvidenceSettings
evidence = Evidence(pathlib.Path(sys.argv[1]), "line-1", "0000000a", EvidenceSettings())
image = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
for number in itertools.count(1):
    evidence.write(Defect(image, number, 0.0, 1, Area(0, 0, 10, 10), "defect", 0.9, number), "frame")
"""


def test_whole_pictures_alone_are_recovered_whatever_a_killed_process_leaves(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for kill in range(3):
        folder = tmp_path / f"records-{kill}"
        process = subprocess.Popen([sys.executable, "-c", WRITES_PICTURES_FOR_EVER, folder], env=environment)
        try:
            wait_until(lambda: len(list(folder.glob("ready/*.jpg"))) > 3 * kill)  # noqa: B023 - called here only
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(LONG_S)
        left = recover(folder, RUN)
        assert left.finished
        assert left.left_alone == ()
        assert sorted(Path(folder, "ready").iterdir()) == sorted(file.path for file in left.finished)
        assert all(is_whole_jpeg(file.path.read_bytes()) for file in left.finished)
        assert list((folder / "open").iterdir()) == []
