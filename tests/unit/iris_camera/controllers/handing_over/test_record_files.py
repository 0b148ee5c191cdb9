"""Record files are offered in order until the outbox accepts them, and kept where that is asked for."""

import pytest

from iris_camera.controllers.evidence_writer import Machine
from iris_communication.errors import NotStarted, ServerNotConfigured
from tests.unit.iris_camera.controllers.handing_over.hand_over import (
    DEFECT,
    LONG_S,
    NO_RESERVE,
    HangingUploader,
    ScriptedUploader,
    ended,
    finished,
    frame,
    part,
    ready,
    standing_clock,
)


class LeapingClock:
    """Each reading is half a minute after the last: every pause has ended."""

    now_s = 100.0

    def __call__(self):
        self.now_s += 31.0
        return self.now_s


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
