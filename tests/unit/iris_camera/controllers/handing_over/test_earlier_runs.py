"""What earlier runs left is handed over too."""

import threading

from iris_camera.controllers.evidence_writer import Machine
from iris_camera.records.leftovers import recover
from iris_camera.records.recorder import Recorder
from iris_camera.records.rotation import RotationLimits
from tests.unit.iris_camera.controllers.handing_over.hand_over import (
    DEFECT,
    LONG_S,
    ScriptedUploader,
    ended,
    finished,
    frame,
    part,
    ready,
    standing_clock,
)

EARLIER = "0000000a"


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
