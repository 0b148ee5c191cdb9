"""From what inspection finished to the outbox: inspection never waits, no finished file is lost."""

import errno
import gc
import logging
import threading
import time
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest

from iris_camera.camera.frame import Frame
from iris_camera.controllers.evidence_writer import ON_THIS_MACHINE, EvidenceWriter, Machine
from iris_camera.controllers.handing_over import DeliveryTarget, HandingOver
from iris_camera.inspection.findings import Box, Part, Verdict
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.csv_file import ClassifierRow
from iris_camera.records.evidence_name import parse_evidence_name
from iris_camera.records.leftovers import recover
from iris_camera.records.recorder import Recorder
from iris_camera.records.rotation import RotationLimits
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_communication.errors import NotStarted, ServerNotConfigured
from tests.unit.iris_camera.controllers.parts import each_by_itself

RUN = "9f3c01ab"
EARLIER = "0000000a"
WALL_S = 1795467933.0
LONG_S = 20.0
DESTINATION = DeliveryTarget("plant", {"project": "line-1"})
NO_RESERVE = {"disk_reserve_bytes": 0}


class ScriptedUploader:
    """Answers by its script, then True, and takes what it accepts; an exception in the script is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.offered = []
        self.together = []  # how many were offered in one call, of those that were more than one
        self.news = threading.Condition()

    def queue_upload(self, **request):
        with self.news:
            self.offered.append(request)
            self.news.notify_all()
            answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        if answer:
            request["file_path"].unlink()
        return answer

    def queue_uploads(self, requests):
        self.together.append(len(requests))
        return each_by_itself(self, requests)

    def wait_offered(self, count):
        with self.news:
            assert self.news.wait_for(lambda: len(self.offered) >= count, LONG_S), f"{self.names} offered"

    @property
    def names(self):
        return [request["file_path"].name for request in self.offered]

    @property
    def kinds(self):
        return [request["folder_type"] for request in self.offered]


class HangingUploader(ScriptedUploader):
    """The outbox's disk hangs: from the n-th file on, queue_upload returns when `let` is set, and not before."""

    def __init__(self, after=0):
        super().__init__()
        self.after, self.let, self.hangs = after, threading.Event(), threading.Event()

    def queue_upload(self, **request):
        if len(self.offered) >= self.after:
            self.hangs.set()
            self.let.wait(30.0)
        return super().queue_upload(**request)


def standing_clock():
    """No pause ever ends by itself."""
    return 100.0


class LeapingClock:
    """Each reading is half a minute after the last: every pause has ended."""

    now_s = 100.0

    def __call__(self):
        self.now_s += 31.0
        return self.now_s


@pytest.fixture
def make(tmp_path):
    """Makes one that is not started; whatever happens, its thread ends with the test."""
    made = []

    def make_one(uploader, *, records=NO_RESERVE, evidence=(), run=RUN, machine=ON_THIS_MACHINE, **options):
        whose, settings = CameraRun("line-1", run, tmp_path), RecordSettings(**records)
        pictures = EvidenceWriter(
            whose, EvidenceSettings(**dict(evidence)), settings.disk_reserve_bytes, machine=machine, **options
        )
        handing_over = HandingOver(whose, uploader, DESTINATION, settings, pictures, machine=machine)
        made.append((handing_over, uploader))
        return handing_over

    yield make_one
    for handing_over, uploader in made:
        if isinstance(uploader, HangingUploader):
            uploader.let.set()
        handing_over.close()
        assert handing_over.join(LONG_S)


def ended(handing_over):
    handing_over.close()
    assert handing_over.join(LONG_S)


def finished(folder, run=RUN, label="good"):
    """A record file with one row, as a recorder leaves it."""
    recorder = finished.recorders.setdefault(
        (folder, run), Recorder(folder, "line-1", "classifier", run, RotationLimits(rows_max=1))
    )
    return recorder.append([ClassifierRow(1, 1, label, 0.9)], WALL_S, 0.0, now_s=0.0)


@pytest.fixture(autouse=True)
def recorders():
    finished.recorders = {}


def frame(number=1234, wall_s=WALL_S):
    image = np.full((120, 160, 3), 90, np.uint8)
    image.flags.writeable = False
    return Frame(image, number, wall_s, 5.0 + number)


def part(part_id=12, x=40.0):
    return Part(part_id=part_id, box=Box(x, 30.0, 50.0, 40.0), score=0.9)


DEFECT = Verdict("defect", 0.98)


def ready(folder):
    return sorted(path.name for path in (folder / "ready").glob("*"))


def views(names):
    return [(name.view, name.frame, name.part_id) for name in map(parse_evidence_name, names)]


# Record files.


def test_a_finished_file_is_queued_under_its_kind_and_handed_over(make, tmp_path):
    uploader = ScriptedUploader()
    handing_over = make(uploader)
    handing_over.start()
    csv = finished(tmp_path)
    handing_over.add(csv)
    ended(handing_over)
    assert uploader.offered == [
        {
            "sftp_server_info": "plant",
            "file_path": csv.path,
            "project_settings": {"project": "line-1"},
            "folder_type": "classifier",
            "take": "move",
        }
    ]
    assert handing_over.counts() == (0, 0, 0)


def test_a_refused_file_is_offered_again_before_later_ones_after_a_pause(make, tmp_path):
    uploader = ScriptedUploader(False, False)
    handing_over = make(uploader, machine=Machine(LeapingClock()))
    handing_over.start()
    first, second = (finished(tmp_path) for _ in range(2))
    handing_over.add(first)
    handing_over.add(second)
    uploader.wait_offered(4)
    assert uploader.names == [file.path.name for file in (first, first, first, second)]


def test_no_file_is_offered_while_the_pause_lasts_whatever_comes(make, tmp_path):
    uploader = ScriptedUploader(False)
    handing_over = make(uploader, machine=Machine(standing_clock))
    handing_over.start()
    for _ in range(3):
        handing_over.add(finished(tmp_path))
        uploader.wait_offered(1)
    handing_over.add_defect(frame(), part(), DEFECT)
    assert len(uploader.offered) == 1
    assert handing_over.counts().waiting >= 4


def test_a_file_that_the_outbox_took_before_a_crash_is_not_offered(make, tmp_path):
    uploader = ScriptedUploader()
    handing_over = make(uploader)
    handing_over.start()
    csv = finished(tmp_path)
    csv.path.unlink()
    handing_over.add(csv)
    ended(handing_over)
    assert uploader.offered == []
    assert handing_over.counts().waiting == 0


@pytest.mark.parametrize("error", [NotStarted("not open"), RuntimeError("broken")], ids=["refusal", "surprise"])
def test_the_file_stays_whatever_the_uploader_raises_and_that_is_reported_once(make, tmp_path, caplog, error):
    uploader = ScriptedUploader(error, error, error)
    handing_over = make(uploader, machine=Machine(LeapingClock()))
    handing_over.start()
    csv = finished(tmp_path)
    handing_over.add(csv)
    uploader.wait_offered(4)
    ended(handing_over)
    assert uploader.names == [csv.path.name] * 4
    (logged,) = caplog.records
    assert f"files stay in {csv.path.parent}: " in logged.getMessage()
    assert str(error) in logged.getMessage()
    assert "start()" not in logged.getMessage()  # a hint that only a program could follow
    assert bool(logged.exc_info) == (type(error) is RuntimeError)


def test_files_stay_without_a_server_and_that_is_reported_once(make, tmp_path, caplog):
    error = ServerNotConfigured("no server is configured under the name 'plant'; known: none yet")
    uploader = ScriptedUploader(*[error] * 9)
    handing_over = make(uploader, machine=Machine(standing_clock))
    handing_over.start()
    for _ in range(3):
        handing_over.add(finished(tmp_path))
    uploader.wait_offered(1)
    ended(handing_over)
    assert len(uploader.offered) == 2
    assert len(ready(tmp_path)) == 3
    assert caplog.text.count("no server is configured") == 1
    assert "3 files of camera line-1 stay in" in caplog.text


def test_every_file_is_offered_once_more_at_the_end_without_a_pause(make, tmp_path):
    uploader = ScriptedUploader(False)
    handing_over = make(uploader, machine=Machine(standing_clock))
    handing_over.start()
    for _ in range(3):
        handing_over.add(finished(tmp_path))
    uploader.wait_offered(1)
    ended(handing_over)
    assert ready(tmp_path) == []
    assert len(uploader.offered) == 4


def test_a_backlog_is_offered_some_files_at_a_time_in_order(make, tmp_path):
    uploader = HangingUploader()
    handing_over = make(uploader)
    handing_over.start()
    files = [finished(tmp_path) for _ in range(40)]
    handing_over.add(files[0])
    assert uploader.hangs.wait(LONG_S)
    for csv in files[1:]:
        handing_over.add(csv)
    uploader.let.set()
    ended(handing_over)
    assert uploader.names == [csv.path.name for csv in files]
    assert uploader.together == [2, 4, 8, 16, 9]
    assert handing_over.counts().waiting == 0


def test_the_refused_ones_of_files_offered_together_are_offered_again_and_no_others(make, tmp_path):
    uploader = HangingUploader()
    uploader.answers = [True, True, False, True]
    handing_over = make(uploader, machine=Machine(LeapingClock()))
    handing_over.start()
    files = [finished(tmp_path) for _ in range(4)]
    handing_over.add(files[0])
    assert uploader.hangs.wait(LONG_S)
    for csv in files[1:]:
        handing_over.add(csv)
    uploader.let.set()
    ended(handing_over)
    assert uploader.names == [files[number].path.name for number in (0, 1, 2, 2, 3)]
    assert ready(tmp_path) == []


class RefusingTogether(HangingUploader):
    """Refuses files that are offered together with an error, as for an unknown server."""

    def queue_uploads(self, requests):
        self.together.append(len(requests))
        raise ServerNotConfigured("no server is configured under the name 'plant'; known: none yet")


def test_files_that_are_refused_with_an_error_together_all_stay(make, tmp_path, caplog):
    uploader = RefusingTogether()
    handing_over = make(uploader, machine=Machine(standing_clock))
    handing_over.start()
    files = [finished(tmp_path) for _ in range(4)]
    handing_over.add(files[0])
    assert uploader.hangs.wait(LONG_S)
    for csv in files[1:]:
        handing_over.add(csv)
    uploader.let.set()
    ended(handing_over)
    assert uploader.together == [2, 2]
    assert uploader.names == [csv.path.name for csv in files[:2]], "after a refusal one by itself is offered"
    assert ready(tmp_path) == sorted(csv.path.name for csv in files[2:])
    assert "no server is configured" in caplog.text


# Inspection never waits.


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


# Pictures of defects.


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


# The disk.


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


# What is kept on this machine.


def test_each_file_that_is_to_be_kept_is_put_aside_before_it_is_handed_over(make, tmp_path):
    class NotingKept(ScriptedUploader):
        """Notes whether the file is kept when it is offered."""

        kept = ()

        def queue_upload(self, **request):
            path = request["file_path"]
            self.kept += ((tmp_path / "kept" / path.name).samefile(path),)
            return super().queue_upload(**request)

    uploader = NotingKept()
    handing_over = make(uploader, records={**NO_RESERVE, "keep_bytes_max": 10**6})
    handing_over.start()
    handing_over.add_defect(frame(), part(), DEFECT)
    handing_over.add(finished(tmp_path))
    ended(handing_over)
    assert uploader.kept == (True,) * 3
    assert ready(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == sorted(uploader.names)


def test_a_file_that_cannot_be_kept_is_handed_over_all_the_same_and_that_is_reported_once(make, tmp_path, caplog):
    (tmp_path / "kept").write_text("in the way")
    uploader = ScriptedUploader()
    handing_over = make(uploader, records={**NO_RESERVE, "keep_bytes_max": 10**6})
    handing_over.start()
    for _ in range(3):
        handing_over.add(finished(tmp_path))
    ended(handing_over)
    assert len(uploader.offered) == 3
    assert caplog.text.count("files are not kept in") == 1


def test_no_file_is_kept_unless_that_is_asked_for(make, tmp_path):
    handing_over = make(ScriptedUploader())
    handing_over.start()
    handing_over.add(finished(tmp_path))
    ended(handing_over)
    assert not (tmp_path / "kept").exists()


# What earlier runs left.


def test_files_that_earlier_runs_left_are_handed_over_pictures_first(make, tmp_path):
    rows = finished(tmp_path, run=EARLIER)
    left = Recorder(tmp_path, "line-1", "model", EARLIER, RotationLimits())  # nothing of it was finished
    uploader = ScriptedUploader(*[False] * 9)
    before = make(uploader, run=EARLIER, machine=Machine(standing_clock))
    before.start()
    before.add_defect(frame(), part(), DEFECT)
    ended(before)
    pictures = [name for name in ready(tmp_path) if name.endswith(".jpg")]
    assert (len(pictures), left.close()) == (2, None)

    again = ScriptedUploader()
    handing_over = make(again)
    handing_over.start()
    ended(handing_over)
    assert again.names == [*pictures, rows.path.name]
    assert handing_over.counts().waiting == 0


def test_a_file_counts_as_waiting_until_it_is_known_what_earlier_runs_left(make, tmp_path, monkeypatch):
    looking, let = threading.Event(), threading.Event()

    def slow_recover(folder, *running):
        looking.set()
        assert let.wait(LONG_S)
        return recover(folder, *running)

    monkeypatch.setattr("iris_camera.controllers.handing_over.recover", slow_recover)
    rows = finished(tmp_path, run=EARLIER)
    uploader = ScriptedUploader()
    handing_over = make(uploader)
    assert handing_over.counts().waiting == 0
    handing_over.start()
    assert looking.wait(LONG_S)
    assert handing_over.counts().waiting == 1
    new = finished(tmp_path)
    handing_over.add(new)  # does not wait for what is old
    uploader.wait_offered(1)
    let.set()
    ended(handing_over)
    assert uploader.names == [new.path.name, rows.path.name]
    assert handing_over.counts().waiting == 0


def test_leftovers_that_cannot_be_read_do_not_stop_new_files(make, tmp_path, caplog):
    (tmp_path / "open").write_text("in the way")
    uploader = ScriptedUploader()
    handing_over = make(uploader)
    handing_over.start()
    ended(handing_over)
    assert caplog.messages[0] == f"{tmp_path / 'open'} is left alone: Not a directory"
    assert f"what earlier runs left is not delivered: {tmp_path / 'open'}: Not a directory" in handing_over.left_behind


def test_a_hand_over_that_was_never_started_can_be_ended(make):
    handing_over = make(ScriptedUploader())
    handing_over.close()
    assert handing_over.join(0.0)
