"""The pictures of defects are handed over before anything else, while the disk has room."""

import errno
import logging
from pathlib import Path

import cv2
import pytest

from iris_camera.controllers.evidence_writer import Machine
from iris_camera.records.evidence_name import parse_evidence_name
from tests.unit.iris_camera.controllers.handing_over.hand_over import (
    DEFECT,
    LONG_S,
    WALL_S,
    HangingUploader,
    ScriptedUploader,
    ended,
    finished,
    frame,
    part,
    ready,
    standing_clock,
)


def views(names):
    return [(name.view, name.frame, name.part_id) for name in map(parse_evidence_name, names)]


def test_a_defect_s_pictures_are_queued_as_evidence_under_its_frame_and_part(make, tmp_path):
    uploader = ScriptedUploader(False)
    handing_over = make(uploader, machine=Machine(standing_clock))
    handing_over.start()
    handing_over.add_defect(frame(), part(), DEFECT)
    uploader.wait_offered(1)
    names = ready(tmp_path)
    assert views(names) == [("crop", 1234, 12), ("frame", 1234, 12)]
    shapes = [cv2.imread(str(tmp_path / "ready" / name)).shape for name in names]
    assert shapes == [(52, 66, 3), (120, 160, 3)]
    ended(handing_over)
    assert uploader.kinds == ["evidence"] * 3
    assert handing_over.counts() == (0, 2, 0)


def test_evidence_is_offered_before_the_record_files_that_wait_already(make, tmp_path):
    uploader = HangingUploader()
    handing_over = make(uploader)
    handing_over.start()
    for _ in range(3):
        handing_over.add(finished(tmp_path))
    assert uploader.hangs.wait(LONG_S)
    handing_over.add_defect(frame(), part(), DEFECT)
    uploader.let.set()
    ended(handing_over)
    assert uploader.kinds == ["classifier", "evidence", "evidence", "classifier", "classifier"]


def test_each_picture_is_reported_to_the_observer_before_it_is_offered(make, tmp_path):
    events = []

    class NotingOffers(ScriptedUploader):
        """Writes down when it is asked."""

        def queue_upload(self, **request):
            events.append(("offered", request["file_path"].name))
            return super().queue_upload(**request)

    handing_over = make(
        NotingOffers(),
        evidence={"crop": False},
        on_evidence=lambda picture: events.append(("observed", picture.path.name, picture.path.stat().st_size)),
    )
    handing_over.start()
    handing_over.add_defect(frame(), part(), DEFECT)
    ended(handing_over)
    (observed, name, size_bytes), offered = events
    assert (observed, offered) == ("observed", ("offered", name))
    assert size_bytes > 100


def test_an_observer_that_fails_costs_no_picture(make, caplog):
    def fails(_picture):
        raise RuntimeError("the page is broken")

    uploader = ScriptedUploader()
    handing_over = make(uploader, on_evidence=fails)
    handing_over.start()
    handing_over.add_defect(frame(), part(), DEFECT)
    ended(handing_over)
    assert uploader.kinds == ["evidence"] * 2
    assert "the page is broken" in caplog.text


def test_evidence_that_is_switched_off_holds_nothing(make, tmp_path):
    handing_over = make(ScriptedUploader(), evidence={"enabled": False})
    handing_over.start()
    handing_over.add_defect(frame(), part(), DEFECT)
    ended(handing_over)
    assert handing_over.counts() == (0, 0, 0)
    assert ready(tmp_path) == []


def test_a_part_outside_the_frame_has_a_picture_of_the_frame_and_is_counted(make, caplog):
    uploader = ScriptedUploader()
    handing_over = make(uploader)
    handing_over.start()
    handing_over.add_defect(frame(), part(x=900.0), DEFECT)
    ended(handing_over)
    assert views(uploader.names) == [("frame", 1234, 12)]
    assert handing_over.counts() == (0, 1, 1)
    assert "lies outside the picture" in caplog.text


def test_frames_that_are_numbered_from_the_start_again_make_no_equal_names(make):
    uploader = ScriptedUploader()
    handing_over = make(uploader)
    handing_over.start()
    for again in range(3):
        handing_over.add_defect(frame(), part(), DEFECT)
        uploader.wait_offered(2 * again + 2)
    ended(handing_over)
    assert len(set(uploader.names)) == 6


@pytest.mark.parametrize("jump_s", [-3600.0, 21 * 86_400.0, -WALL_S], ids=["an hour back", "weeks ahead", "1970"])
def test_a_clock_that_jumps_neither_repeats_nor_reorders_the_names_of_pictures(make, jump_s):
    uploader = ScriptedUploader()
    handing_over = make(uploader, evidence={"crop": False})
    handing_over.start()
    for number in range(6):
        handing_over.add_defect(frame(number, WALL_S + (jump_s if number >= 3 else 0.0)), part(), DEFECT)
        uploader.wait_offered(number + 1)
    ended(handing_over)
    found = [parse_evidence_name(name) for name in uploader.names]
    assert [name.frame for name in sorted(found, key=lambda name: (name.run, name.sequence))] == list(range(6))


def test_rows_go_on_below_the_disks_reserve_and_pictures_do_not_until_there_is_room(make, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    free = [999]
    uploader = ScriptedUploader()
    handing_over = make(
        uploader, records={"disk_reserve_bytes": 1000}, machine=Machine(free_bytes=lambda folder: free[0])
    )
    handing_over.start()
    for number in range(3):
        handing_over.add_defect(frame(number), part(), DEFECT)
    handing_over.add(finished(tmp_path))
    uploader.wait_offered(1)
    assert uploader.kinds == ["classifier"]
    assert handing_over.counts().evidence_skipped == 3
    free[0] = 1000
    handing_over.add_defect(frame(4), part(), DEFECT)
    ended(handing_over)
    assert uploader.kinds == ["classifier", "evidence", "evidence"]
    assert caplog.text.count("no pictures of defects are written") == 1
    assert caplog.text.count("pictures of defects are written into") == 2  # with the one above: once


def test_a_disk_that_refuses_a_picture_costs_that_picture_and_is_reported(make, tmp_path, monkeypatch, caplog):
    def full(_path, _target):
        raise OSError(errno.ENOSPC, "No space left on device")

    uploader = ScriptedUploader()
    handing_over = make(uploader)
    csv = finished(tmp_path)
    monkeypatch.setattr(Path, "rename", full)
    handing_over.start()
    for number in range(8):
        handing_over.add_defect(frame(number), part(), DEFECT)
    handing_over.add(csv)
    ended(handing_over)
    assert uploader.kinds == ["classifier"]
    assert handing_over.counts() == (0, 0, 8)
    assert "without pictures: No space left on device" in caplog.text
