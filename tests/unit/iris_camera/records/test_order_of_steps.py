"""A file is moved to the finished ones only when its writing has ended."""

import os
from pathlib import Path

import numpy as np
import pytest

from iris_camera.records.csv_file import ModelRow
from iris_camera.records.evidence import Area, Defect, Evidence, is_whole_jpeg
from iris_camera.records.recorder import Recorder
from iris_camera.records.rotation import RotationLimits
from iris_camera.records.settings import EvidenceSettings

RUN = "9f3c01ab"
WALL_S = 1795467933.0


@pytest.fixture
def renamed(monkeypatch):
    """Of each rename: its target's folder, whether this process holds the file open, and the file's bytes."""
    seen, rename = [], Path.rename

    def watched(path, target):
        seen.append((target.parent.name, is_held_open(path), path.read_bytes()))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    return seen


def is_held_open(path):
    facts = path.stat()
    return any(
        (found.st_dev, found.st_ino) == (facts.st_dev, facts.st_ino)
        for descriptor in list(Path("/proc/self/fd").iterdir())
        if (found := facts_of(int(descriptor.name))) is not None
    )


def facts_of(descriptor):
    try:
        return os.fstat(descriptor)
    except OSError:  # of the listing itself
        return None


def test_a_record_file_is_closed_before_it_lies_among_the_finished_ones(tmp_path, renamed):
    recorder = Recorder(
        tmp_path, "line-1", "model", RUN, RotationLimits(rows_max=9, size_bytes_max=9999, age_s_max=9.0)
    )
    recorder.append([ModelRow(0, 1, 10.0, 20.0, 30.0, 40.0, 0.9)], WALL_S, 1.0, now_s=1.0)
    finished = recorder.close()
    assert renamed == [("ready", False, finished.path.read_bytes())]


def test_a_picture_lies_among_the_finished_ones_only_once_it_is_whole(tmp_path, monkeypatch, renamed):
    written, write = [], os.write

    def watched(descriptor, data):
        written.append(Path(f"/proc/self/fd/{descriptor}").readlink().parent.name)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", watched)
    image = np.full((240, 320, 3), 90, np.uint8)
    defect = Defect(image, 1, WALL_S, 1, Area(10.0, 10.0, 60.0, 40.0), "defect", 0.98, 1)
    Evidence(tmp_path, "line-1", RUN, EvidenceSettings()).write(defect, "frame")
    assert set(written) == {"open"}
    ((folder, held_open, data),) = renamed
    assert (folder, held_open, is_whole_jpeg(data)) == ("ready", False, True)
