"""Inspection never waits for the outbox."""

import gc
import time
import weakref

from tests.unit.iris_camera.controllers.handing_over.hand_over import (
    DEFECT,
    LONG_S,
    HangingUploader,
    ScriptedUploader,
    ended,
    finished,
    frame,
    part,
)


def test_an_outbox_that_hangs_delays_no_thread_and_files_left_are_there_at_the_next_start(make, tmp_path):
    uploader = HangingUploader(after=1)
    handing_over = make(uploader)
    handing_over.start()
    files = [finished(tmp_path) for _ in range(3)]
    began_s = time.monotonic()
    for csv in files:
        handing_over.add(csv)
    assert uploader.hangs.wait(LONG_S)
    for number in range(100):
        handing_over.add_defect(frame(number), part(), DEFECT)
    handing_over.close()
    assert not handing_over.join(0.05)
    assert time.monotonic() - began_s < 5.0
    assert handing_over.counts().evidence_skipped == 92

    again = ScriptedUploader()
    next_run = make(again, run="ffffffff")
    next_run.start()
    ended(next_run)
    assert again.names == [file.path.name for file in files[1:]]


def test_no_more_frames_are_held_than_may_be(make, tmp_path, caplog):
    uploader = HangingUploader()
    handing_over = make(uploader, evidence={"frames_held_max": 3})
    handing_over.start()
    handing_over.add(finished(tmp_path))
    assert uploader.hangs.wait(LONG_S)
    before = handing_over.counts().waiting
    images = []
    for number in range(10):
        one = frame(number)
        images.append(weakref.ref(one.image))
        handing_over.add_defect(one, part(), DEFECT)
    del one
    gc.collect()
    assert sum(image() is not None for image in images) == 3
    assert handing_over.counts() == (before + 3, 0, 7)
    logged = [message for message in caplog.messages if "without pictures" in message]
    assert logged[0] == "camera line-1: 1 defects are without pictures: 3 frames wait for theirs already"
    assert len(logged) == 3  # the 1st, 2nd and 4th


def test_several_defects_on_one_frame_hold_one_frame(make, tmp_path):
    uploader = HangingUploader()
    handing_over = make(uploader, evidence={"frames_held_max": 1})
    handing_over.start()
    handing_over.add(finished(tmp_path))
    assert uploader.hangs.wait(LONG_S)
    one = frame()
    for part_id in range(5):
        handing_over.add_defect(one, part(part_id), DEFECT)
    assert handing_over.counts().evidence_skipped == 0
    uploader.let.set()
    ended(handing_over)
    assert handing_over.counts() == (0, 10, 0)


def test_frames_are_released_once_their_pictures_are_written(make):
    uploader = ScriptedUploader()
    handing_over = make(uploader)
    handing_over.start()
    for number in range(50):
        one = frame(number)
        image = weakref.ref(one.image)
        handing_over.add_defect(one, part(), DEFECT)
        uploader.wait_offered(2 * number + 2)
    del one
    ended(handing_over)
    gc.collect()
    assert image() is None
    assert handing_over.counts() == (0, 100, 0)
