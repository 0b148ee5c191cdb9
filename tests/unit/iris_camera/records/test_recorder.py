import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from iris_camera.records.csv_file import ClassifierRow, HeartbeatRow, ModelRow, header, whole_rows
from iris_camera.records.csv_name import in_order, parse_name
from iris_camera.records.recorder import Recorder, RecordsError
from iris_camera.records.rotation import RotationLimits
from tests.own_process import files_no_larger_than, in_a_process_of_its_own

RUN = "9f3c01ab"
WALL_S = 1795467933.0
LIMITS = RotationLimits(rows_max=3, size_bytes_max=100_000, age_s_max=10.0)
WIDE = RotationLimits(rows_max=10**6, size_bytes_max=10**9, age_s_max=10.0)


def detection(frame=0):
    return ModelRow(frame, 1, 10.0, 20.0, 30.0, 40.0, 0.9)


def verdict(frame=0, label="good"):
    return ClassifierRow(frame, 1, label, 0.9)


def recorder(folder, limits=LIMITS, camera="line-1", kind="model"):
    return Recorder(folder, camera, kind, RUN, limits)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def rows_in(path):
    with path.open("rb") as file:
        whole = whole_rows(file)
    assert whole.size_bytes == path.stat().st_size, "the file has a torn end"
    return whole.rows


def test_no_file_is_there_before_the_first_row(tmp_path):
    records = recorder(tmp_path / "records")
    assert records.append([], WALL_S, 0.0, now_s=0.0) is None
    assert records.rotate_if_due(1_000.0) is None
    assert records.close() is None
    assert not (tmp_path / "records").exists()


def test_the_file_being_written_is_in_open_and_the_finished_one_in_ready(tmp_path):
    records = recorder(tmp_path)
    assert records.append([detection()], WALL_S, 0.0, now_s=0.0) is None
    assert len(names(tmp_path / "open")) == 1
    assert names(tmp_path / "ready") == []
    finished = records.append([detection(), detection()], WALL_S, 0.1, now_s=0.1)
    assert names(tmp_path / "open") == []
    assert names(tmp_path / "ready") == [finished.path.name]
    assert finished.path.parent == tmp_path / "ready"


def test_a_finished_file_is_described_as_it_is_on_the_disk(tmp_path):
    records = recorder(tmp_path)
    records.append([detection(1)], WALL_S, 0.0, now_s=0.0)
    finished = records.append([detection(2), detection(2)], WALL_S, 0.1, now_s=0.1)
    content = finished.path.read_bytes()
    assert finished == (finished.path, "model", 3, len(content), hashlib.sha256(content).hexdigest())
    assert content.startswith(header("model"))
    assert rows_in(finished.path) == 3


def test_a_name_says_camera_kind_start_run_and_sequence(tmp_path):
    records = recorder(tmp_path, camera="line_2", kind="classifier")
    finished = [records.append([verdict()] * 3, WALL_S + n, float(n), now_s=float(n)) for n in range(2)]
    assert [file.path.name for file in finished] == [
        f"line_2_classifier_20261123T210533.000Z_{RUN}_000001.csv",
        f"line_2_classifier_20261123T210534.000Z_{RUN}_000002.csv",
    ]


def test_a_clock_that_jumps_back_makes_neither_equal_names_nor_another_order(tmp_path):
    records = recorder(tmp_path)
    times = [WALL_S, WALL_S, WALL_S - 86_400.0, WALL_S]
    finished = [records.append([detection()] * 3, wall_s, float(n), now_s=float(n)) for n, wall_s in enumerate(times)]
    assert len(names(tmp_path / "ready")) == 4
    assert [parse_name(file.path.name).sequence for file in finished] == [1, 2, 3, 4]


JUMPS = {
    "back an hour": -3_600.0,
    "forward three weeks": 21 * 86_400.0,
    "to 1970": -WALL_S,
}


@pytest.mark.parametrize("jump_s", JUMPS.values(), ids=JUMPS)
def test_a_clock_that_jumps_neither_repeats_a_name_nor_reorders_the_files_of_a_run(tmp_path, jump_s):
    records = recorder(tmp_path)
    wall_s = [WALL_S + n + (jump_s if n >= 3 else 0.0) for n in range(6)]
    finished = [records.append([detection()] * 3, at_s, float(n), now_s=float(n)) for n, at_s in enumerate(wall_s)]
    found = [parse_name(file.path.name) for file in finished]
    assert len(set(found)) == 6
    assert in_order(reversed(found)) == found


@in_a_process_of_its_own
def test_daylight_saving_is_not_in_a_name(tmp_path):
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    before_s = datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC).timestamp()  # the last second of summer time
    records = recorder(tmp_path)
    finished = [records.append([detection()] * 3, before_s + n, float(n), now_s=float(n)) for n in range(2)]
    stamps = [file.path.name.split("_")[2] for file in finished]
    assert stamps == ["20261025T005959.000Z", "20261025T010000.000Z"]


@pytest.mark.parametrize("jump_s", JUMPS.values(), ids=JUMPS)
def test_a_clock_that_jumps_changes_nothing_of_when_a_file_is_old(tmp_path, jump_s):
    records = recorder(tmp_path)
    records.append([detection()], WALL_S, 100.0, now_s=100.0)
    assert records.append([], WALL_S + jump_s, 109.9, now_s=109.9) is None
    assert records.append([], WALL_S + jump_s, 110.0, now_s=110.0).rows == 1


def test_a_heartbeat_is_recorded_among_the_model_rows_and_only_there(tmp_path):
    records = recorder(tmp_path)
    records.append([HeartbeatRow(1)], WALL_S, 0.0, now_s=0.0)
    assert rows_in(records.close().path) == 1
    with pytest.raises(ValueError, match="only ClassifierRows"):
        recorder(tmp_path, kind="classifier").append([HeartbeatRow(1)], WALL_S, 0.0, now_s=0.0)


def test_a_file_rotates_by_rows_without_tearing_a_frame(tmp_path):
    finished = recorder(tmp_path).append([detection()] * 5, WALL_S, 0.0, now_s=0.0)
    assert finished.rows == 5


def test_a_file_rotates_by_size(tmp_path):
    records = recorder(tmp_path, RotationLimits(rows_max=10**6, size_bytes_max=1_000, age_s_max=10.0))
    for frame in range(100):
        if finished := records.append([detection(frame)], WALL_S, 0.0, now_s=0.0):
            break
    assert 1_000 <= finished.size_bytes < 1_100
    assert finished.path.stat().st_size == finished.size_bytes


def test_a_file_rotates_by_age_when_no_more_rows_come(tmp_path):
    records = recorder(tmp_path)
    records.append([detection()], WALL_S, 100.0, now_s=100.0)
    assert records.rotate_if_due(109.9) is None
    assert records.rotate_if_due(110.0).rows == 1
    assert records.rotate_if_due(200.0) is None


@pytest.mark.parametrize("behind_s", [11.0, 600.0], ids=["a bit more than the age of a file", "ten minutes"])
def test_a_film_that_lags_behind_the_clock_does_not_make_one_file_a_frame(tmp_path, behind_s):
    records = recorder(tmp_path, WIDE)
    finished = []
    for n in range(22):
        now_s = 1_000.0 + n
        finished.append(records.append([detection(n)], WALL_S, now_s - behind_s - n / 2, now_s=now_s))
        finished.append(records.rotate_if_due(now_s))
    assert [each.rows for each in finished if each is not None] == [11, 11]


def test_a_frame_without_rows_still_rotates_an_old_file(tmp_path):
    records = recorder(tmp_path)
    records.append([detection()], WALL_S, 100.0, now_s=100.0)
    assert records.append([], WALL_S, 110.0, now_s=110.0).rows == 1


def test_the_age_of_a_file_counts_from_its_own_first_row(tmp_path):
    records = recorder(tmp_path)
    records.append([detection()] * 3, WALL_S, 100.0, now_s=100.0)
    records.append([detection()], WALL_S, 109.0, now_s=109.0)
    assert records.rotate_if_due(111.0) is None
    assert records.rotate_if_due(119.0) is not None


def test_closing_finishes_what_is_open_once(tmp_path):
    records = recorder(tmp_path)
    records.append([detection()], WALL_S, 0.0, now_s=0.0)
    assert records.close().rows == 1
    assert records.close() is None
    with pytest.raises(ValueError, match=r"line-1 was closed"):
        records.append([detection()], WALL_S, 0.0, now_s=0.0)


def test_two_kinds_and_two_cameras_share_a_folder(tmp_path):
    rows = {"model": detection(), "classifier": verdict()}
    several = [(recorder(tmp_path, camera=c, kind=k), rows[k]) for c in ("line-1", "line-2") for k in rows]
    for records, row in several:
        records.append([row], WALL_S, 0.0, now_s=0.0)
    finished = [records.close() for records, _ in several]
    assert len({file.path for file in finished}) == 4
    assert [rows_in(file.path) for file in finished] == [1, 1, 1, 1]


def test_rows_of_the_other_kind_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="only ModelRows and HeartbeatRows"):
        recorder(tmp_path).append([verdict()], WALL_S, 0.0, now_s=0.0)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("camera", "kind"), [("../x", "model"), ("line-1", "video")])
def test_a_camera_or_a_kind_that_cannot_be_in_a_name_is_refused_at_once(tmp_path, camera, kind):
    with pytest.raises(ValueError, match=r"camera name|kind of record"):
        recorder(tmp_path, camera=camera, kind=kind)


def test_every_frame_is_written_before_append_returns(tmp_path):
    records = recorder(tmp_path, WIDE)
    for frame in range(1, 4):
        records.append([detection(frame)], WALL_S, 0.0, now_s=0.0)
        (path,) = (tmp_path / "open").iterdir()
        assert rows_in(path) == frame


def test_a_frame_is_a_single_write(tmp_path, monkeypatch):
    sizes = []

    def counting_write(descriptor, data, write=os.write):
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counting_write)
    records = recorder(tmp_path, WIDE)
    records.append([detection()] * 20, WALL_S, 0.0, now_s=0.0)
    records.append([detection()] * 30, WALL_S, 0.0, now_s=0.0)
    assert len(sizes) == 2


def test_recorded_rows_survive_a_sigkill(tmp_path):
    program = (
        "import os, pathlib, signal, sys\n"
        "from iris_camera.records.csv_file import ModelRow\n"
        "from iris_camera.records.recorder import Recorder\n"
        "from iris_camera.records.rotation import RotationLimits\n"
        "records = Recorder(pathlib.Path(sys.argv[1]), 'line-1', 'model', '9f3c01ab', RotationLimits())\n"
        "for frame in range(10): records.append([ModelRow(frame, 1, 1, 2, 3, 4, 0.5)], 0.0, 0.0, now_s=0.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], env=environment, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    (path,) = (tmp_path / "open").iterdir()
    assert rows_in(path) == 10


@in_a_process_of_its_own
def test_rows_that_find_the_disk_full_are_lost_and_counted_and_no_half_row_stays(tmp_path):
    records = recorder(tmp_path, WIDE)
    records.append([detection(1)], WALL_S, 0.0, now_s=0.0)
    (path,) = (tmp_path / "open").iterdir()
    size_bytes = path.stat().st_size
    with files_no_larger_than(size_bytes + 20), pytest.raises(RecordsError, match="2 rows") as caught:
        records.append([detection(2), detection(2)], WALL_S, 0.0, now_s=0.0)
    assert caught.value.rows_lost == 2
    assert str(tmp_path / "open") in str(caught.value)
    assert path.stat().st_size == size_bytes


@in_a_process_of_its_own
def test_recording_goes_on_by_itself_once_there_is_room(tmp_path):
    records = recorder(tmp_path, WIDE)
    records.append([detection(1)], WALL_S, 0.0, now_s=0.0)
    (path,) = (tmp_path / "open").iterdir()
    with files_no_larger_than(path.stat().st_size + 20):
        for _ in range(3):
            with pytest.raises(RecordsError):
                records.append([detection(2)], WALL_S, 0.0, now_s=0.0)
    records.append([detection(3)], WALL_S, 0.0, now_s=0.0)
    finished = records.close()
    assert finished.rows == 2 == rows_in(finished.path)
    assert finished.sha256 == hashlib.sha256(finished.path.read_bytes()).hexdigest()


@in_a_process_of_its_own
def test_a_file_whose_first_rows_do_not_fit_does_not_come_into_being(tmp_path):
    records = recorder(tmp_path, WIDE)
    with files_no_larger_than(20), pytest.raises(RecordsError):
        records.append([detection(1)], WALL_S, 0.0, now_s=0.0)
    assert names(tmp_path / "open") == []
    records.append([detection(2)], WALL_S, 0.0, now_s=0.0)
    finished = records.close()
    assert rows_in(finished.path) == 1
    assert parse_name(finished.path.name).sequence == 1


@in_a_process_of_its_own
def test_half_a_row_that_cannot_be_cut_off_at_once_is_cut_off_before_the_next_write(tmp_path):
    def failing_truncate(_descriptor, _size_bytes):
        raise OSError(5, "Input/output error")

    records = recorder(tmp_path, WIDE)
    records.append([detection(1)], WALL_S, 0.0, now_s=0.0)
    (path,) = (tmp_path / "open").iterdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "ftruncate", failing_truncate)
        with files_no_larger_than(path.stat().st_size + 20), pytest.raises(RecordsError):
            records.append([detection(2)], WALL_S, 0.0, now_s=0.0)
        with pytest.raises(RecordsError, match="Input/output error"):
            records.append([detection(3)], WALL_S, 0.0, now_s=0.0)
        with pytest.raises(RecordsError, match="Input/output error"):
            records.close()
    finished = records.close()
    assert finished.rows == 1 == rows_in(finished.path)


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    (tmp_path / "records").write_text("in the way")
    records = recorder(tmp_path / "records")
    with pytest.raises(RecordsError, match="a file is in the way") as caught:
        records.append([detection()], WALL_S, 0.0, now_s=0.0)
    assert str(tmp_path / "records" / "open") in str(caught.value)
    assert caught.value.rows_lost == 1
    (tmp_path / "records").unlink()
    assert records.append([detection()] * 3, WALL_S, 0.0, now_s=0.0).rows == 3


def test_a_folder_that_may_not_be_written_is_named_with_what_to_do(tmp_path, monkeypatch):
    def refusing_open(path, *_arguments):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "open", refusing_open)  # root, who may run this, is refused nothing
    with pytest.raises(RecordsError, match="let the user who runs Iris write there") as caught:
        recorder(tmp_path).append([detection()], WALL_S, 0.0, now_s=0.0)
    assert str(tmp_path / "open") in str(caught.value)


def test_a_finished_file_that_cannot_be_moved_loses_no_row_and_is_tried_again(tmp_path):
    (tmp_path / "ready").write_text("in the way")
    records = recorder(tmp_path)
    with pytest.raises(RecordsError, match="cannot move") as caught:
        records.append([detection()] * 3, WALL_S, 0.0, now_s=0.0)
    assert caught.value.rows_lost == 0
    with pytest.raises(RecordsError) as caught:
        records.append([detection()], WALL_S, 0.0, now_s=0.0)
    assert caught.value.rows_lost == 0
    (tmp_path / "ready").unlink()
    finished = records.rotate_if_due(0.0)
    assert finished.rows == 4 == rows_in(finished.path)
    assert finished.sha256 == hashlib.sha256(finished.path.read_bytes()).hexdigest()


def test_a_file_removed_under_the_recorder_is_reported_with_its_rows_and_the_next_one_is_whole(tmp_path):
    records = recorder(tmp_path)
    records.append([detection()] * 2, WALL_S, 0.0, now_s=0.0)
    shutil.rmtree(tmp_path / "open")
    with pytest.raises(RecordsError, match="was removed") as caught:
        records.append([detection()], WALL_S, 0.0, now_s=0.0)
    assert caught.value.rows_lost == 3
    finished = records.append([detection()] * 3, WALL_S, 0.0, now_s=0.0)
    assert rows_in(finished.path) == 3


def test_a_file_removed_while_it_waits_to_be_moved_does_not_stop_the_recording(tmp_path):
    (tmp_path / "ready").write_text("in the way")
    records = recorder(tmp_path)
    with pytest.raises(RecordsError):
        records.append([detection()] * 3, WALL_S, 0.0, now_s=0.0)
    shutil.rmtree(tmp_path / "open")
    with pytest.raises(RecordsError, match="was removed") as caught:
        records.append([detection()], WALL_S, 0.0, now_s=0.0)
    assert caught.value.rows_lost == 4
    (tmp_path / "ready").unlink()
    assert records.append([detection()] * 3, WALL_S, 0.0, now_s=0.0).rows == 3
