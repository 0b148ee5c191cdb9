import hashlib
import logging
import os
from pathlib import Path

import numpy as np
import pytest

from iris_camera.records.csv_file import HeartbeatRow, ModelRow, encode, header
from iris_camera.records.evidence import encode_jpeg
from iris_camera.records.kept_files import keep
from iris_camera.records.leftovers import Cut, cameras_with_leftovers, log_found, recover
from iris_camera.records.recorder import Recorder
from iris_camera.records.rotation import RotationLimits

EARLIER = "0000000a"
NOW = "ffffffff"
ROW = encode([ModelRow(1, 1, 10.0, 20.0, 30.0, 40.0, 0.9)], 0.0, 0.0)


def put(folder, data, sequence=1, run=EARLIER, kind="model", hour=1):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"line-1_{kind}_20261123T{hour:02d}0000.000Z_{run}_{sequence:06d}.csv"
    path.write_bytes(data)
    return path


def whole(rows=2, kind="model"):
    return header(kind) + ROW * rows


def everything_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_was_never_made_holds_nothing(tmp_path):
    assert recover(tmp_path / "records", NOW) == ((), (), (), ())


def test_a_whole_file_left_open_is_moved_and_described(tmp_path):
    path = put(tmp_path / "open", whole())
    left = recover(tmp_path, NOW)
    (finished,) = left.finished
    assert finished.path == tmp_path / "ready" / path.name
    assert finished.path.read_bytes() == whole()
    assert finished[1:] == ("model", 2, len(whole()), hashlib.sha256(whole()).hexdigest())
    assert not path.exists()
    assert (left.cut, left.removed, left.left_alone) == ((), (), ())


@pytest.mark.parametrize("folder", ["open", "ready"])
@pytest.mark.parametrize(
    "tail",
    [ROW[:-1], ROW[:5], b"\0" * 5000, "1,2,ä".encode()[:-1], ROW[:20] + b"\0" * 100 + b"\n"],
    ids=["no newline", "half a row", "zero bytes", "half a character", "zero bytes in a row"],
)
def test_a_torn_end_is_cut_off_and_reported(tmp_path, folder, tail):
    put(tmp_path / folder, whole() + tail)
    left = recover(tmp_path, NOW)
    (finished,) = left.finished
    assert finished.path.read_bytes() == whole()
    assert finished.sha256 == hashlib.sha256(whole()).hexdigest()
    assert left.cut == (Cut(finished.path, len(tail)),)


@pytest.mark.parametrize("folder", ["open", "ready"])
@pytest.mark.parametrize("data", [b"", header("model"), header("model")[:7], b"\0" * 4096, header("model") + ROW[:9]])
def test_a_file_without_a_row_is_removed(tmp_path, folder, data):
    path = put(tmp_path / folder, data)
    assert recover(tmp_path, NOW) == ((), (), (path,), ())
    assert not path.exists()


def test_ready_files_are_listed_by_run_and_sequence_with_those_that_were_open(tmp_path):
    put(tmp_path / "ready", whole(), sequence=2, run="0000000b", hour=1)
    put(tmp_path / "ready", whole(), sequence=10, run="0000000b", hour=0)
    put(tmp_path / "open", whole(), sequence=11, run="0000000b", hour=0)
    put(tmp_path / "ready", whole(), sequence=1, run="0000000a", hour=3)
    put(tmp_path / "open", whole(), sequence=2, run="0000000a", hour=4)
    order = [file.path.stem.split("_")[-2:] for file in recover(tmp_path, NOW).finished]
    assert order == [
        ["0000000b", "000002"],
        ["0000000b", "000010"],
        ["0000000b", "000011"],
        ["0000000a", "000001"],
        ["0000000a", "000002"],
    ]


def test_both_kinds_are_distinguished(tmp_path):
    put(tmp_path / "ready", whole(), kind="model")
    put(tmp_path / "ready", b"schema_version,frame,label\n1,1,good\n", kind="classifier")
    assert [file.kind for file in recover(tmp_path, NOW).finished] == ["classifier", "model"]


def test_files_of_the_running_run_are_neither_touched_nor_listed(tmp_path):
    put(tmp_path / "open", whole() + ROW[:5], run=NOW)
    put(tmp_path / "ready", whole(), run=NOW)
    before = everything_below(tmp_path)
    assert recover(tmp_path, NOW) == ((), (), (), ())
    assert everything_below(tmp_path) == before


def test_a_file_that_another_process_still_writes_is_left_alone(tmp_path):
    other = Recorder(tmp_path, "line-1", "model", EARLIER, RotationLimits())
    other.append([ModelRow(1, 1, 10.0, 20.0, 30.0, 40.0, 0.9)], 0.0, 0.0, now_s=0.0)
    (path,) = (tmp_path / "open").iterdir()
    (left_alone,) = recover(tmp_path, NOW).left_alone
    assert left_alone == (path, "another process is still writing it")
    assert other.close().rows == 1


def test_foreign_files_are_left_alone_and_named(tmp_path):
    for folder in (tmp_path / "open", tmp_path / "ready"):
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        (folder / "folder").mkdir()
    before = everything_below(tmp_path)
    left = recover(tmp_path, NOW)
    assert [path.name for path, _ in left.left_alone] == ["folder", "notes.txt"] * 2
    assert {reason for _, reason in left.left_alone} == {"its name is not that of a record file"}
    assert everything_below(tmp_path) == before


def test_our_name_on_foreign_content_is_left_alone(tmp_path):
    path = put(tmp_path / "open", b"dear diary\n")
    ((left_path, reason),) = recover(tmp_path, NOW).left_alone
    assert left_path == path
    assert "header" in reason
    assert path.read_bytes() == b"dear diary\n"


def test_a_link_with_our_name_is_not_followed(tmp_path):
    target = tmp_path / "target.csv"
    target.write_bytes(whole() + b"half")
    path = put(tmp_path / "open", b"")
    path.unlink()
    path.symlink_to(target)
    ((_, reason),) = recover(tmp_path, NOW).left_alone
    assert reason == "it is not a regular file"
    assert target.read_bytes() == whole() + b"half"


def test_a_file_already_in_ready_under_the_same_name_is_not_overwritten(tmp_path):
    ready = put(tmp_path / "ready", whole(3))
    opened = put(tmp_path / "open", whole(1))
    left = recover(tmp_path, NOW)
    assert [file.path for file in left.finished] == [ready]
    assert ready.read_bytes() == whole(3)
    assert left.left_alone[0].path == opened
    assert opened.read_bytes() == whole(1)


def test_one_file_that_cannot_be_read_does_not_stop_the_others(tmp_path, monkeypatch):
    bad = put(tmp_path / "open", whole(), sequence=1)
    put(tmp_path / "open", whole(), sequence=2)
    path_open = Path.open

    def failing_open(path, *arguments, **options):
        if path == bad:
            raise OSError(5, "Input/output error")
        return path_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing_open)
    left = recover(tmp_path, NOW)
    assert len(left.finished) == 1
    assert left.left_alone == ((bad, "Input/output error"),)


class PowerFails(BaseException):
    """The process is gone in the middle of a step."""


@pytest.mark.parametrize("steps_done", range(12))
def test_a_recovery_that_is_cut_short_anywhere_is_finished_by_the_next(tmp_path, monkeypatch, steps_done):
    put(tmp_path / "open", whole(1) + b"\0\0", sequence=1)
    put(tmp_path / "open", header("model"), sequence=2)
    put(tmp_path / "ready", whole(3) + b"1,2", sequence=3)
    keep(put_picture(tmp_path / "ready", jpeg()[:-1], sequence=4), tmp_path / "kept")
    put_picture(tmp_path / "open", jpeg(), sequence=5)
    steps = 0

    def failing(step):
        def wrapped(*arguments, **options):
            nonlocal steps
            if steps == steps_done:
                raise PowerFails
            steps += 1
            return step(*arguments, **options)

        return wrapped

    with monkeypatch.context() as patch:
        for step in ("rename", "unlink", "mkdir"):
            patch.setattr(Path, step, failing(getattr(Path, step)))
        patch.setattr(os, "fstat", failing(os.fstat))  # just before a file is cut
        try:
            recover(tmp_path, NOW)
        except PowerFails:
            pass
        else:
            assert steps <= steps_done
    left = recover(tmp_path, NOW)
    assert [file.path.read_bytes() for file in left.finished] == [jpeg(), whole(1), whole(3)]
    assert list((tmp_path / "open").iterdir()) == []
    assert list((tmp_path / "kept").iterdir()) == []


def test_recovering_twice_finds_the_same(tmp_path):
    put(tmp_path / "open", whole(1) + b"torn")
    first = recover(tmp_path, NOW)
    second = recover(tmp_path, NOW)
    assert first.finished == second.finished
    assert second.cut == ()


# Pictures of defects.


def jpeg():
    return encode_jpeg(np.full((30, 40, 3), 90, np.uint8), 90, "a comment")


def put_picture(folder, data, sequence=1, run=EARLIER, view="crop", camera="line-1"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{camera}_{view}_20261123T010000.000Z_{run}_{sequence:06d}_f{sequence}_p7.jpg"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("folder", ["open", "ready"])
def test_a_whole_picture_is_recovered_wherever_it_lay(tmp_path, folder):
    path = put_picture(tmp_path / folder, jpeg())
    left = recover(tmp_path, NOW)
    (finished,) = left.finished
    assert finished == (tmp_path / "ready" / path.name, "evidence", len(jpeg()), hashlib.sha256(jpeg()).hexdigest())
    assert finished.path.read_bytes() == jpeg()
    assert (left.cut, left.removed, left.left_alone) == ((), (), ())


@pytest.mark.parametrize("folder", ["open", "ready"])
@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 4096, jpeg()[:1], jpeg()[:-1], jpeg()[:200] + b"\0" * 600],
    ids=["empty", "zero bytes", "half its mark", "without its end", "zero bytes at its end"],
)
def test_a_torn_picture_is_removed_and_reported(tmp_path, folder, data):
    path = put_picture(tmp_path / folder, data)
    assert recover(tmp_path, NOW) == ((), (), (path,), ())
    assert not path.exists()


def test_pictures_come_before_record_files(tmp_path):
    put(tmp_path / "ready", whole(), hour=0)
    pictures = [put_picture(tmp_path / "ready", jpeg(), sequence=s, view=v) for s in (1, 2) for v in ("crop", "frame")]
    finished = recover(tmp_path, NOW).finished
    assert [file.path for file in finished[:4]] == pictures
    assert finished[4].kind == "model"


def test_our_picture_s_name_on_foreign_content_is_left_alone(tmp_path):
    path = put_picture(tmp_path / "open", b"dear diary")
    ((left_path, reason),) = recover(tmp_path, NOW).left_alone
    assert (left_path, "JPEG" in reason) == (path, True)


def test_a_picture_of_a_running_run_is_not_touched(tmp_path):
    path = put_picture(tmp_path / "open", jpeg()[:50], run=NOW)
    assert recover(tmp_path, "00000abc", NOW) == ((), (), (), ())
    assert path.exists()


# What is kept on this machine.


def test_a_kept_file_is_not_queued_again(tmp_path):
    path = put(tmp_path / "kept", whole())
    assert recover(tmp_path, NOW) == ((), (), (), ())
    assert path.exists()


def test_a_file_that_is_cut_is_cut_in_kept_as_well_since_it_is_the_same_file(tmp_path):
    path = put(tmp_path / "ready", whole() + b"torn")
    keep(path, tmp_path / "kept")
    recover(tmp_path, NOW)
    assert (tmp_path / "kept" / path.name).read_bytes() == whole()


def test_a_picture_that_is_not_whole_is_not_kept_either(tmp_path):
    path = put_picture(tmp_path / "ready", jpeg()[:-9])
    keep(path, tmp_path / "kept")
    recover(tmp_path, NOW)
    assert everything_below(tmp_path) == {}


def test_half_a_copy_in_kept_is_removed(tmp_path):
    name = put(tmp_path / "ready", whole()).name
    kept = tmp_path / "kept"
    kept.mkdir()
    half, running, foreign = kept / f"{name}.part", kept / f"{name.replace(EARLIER, NOW)}.part", kept / "mine.part"
    for path in (half, running, foreign):
        path.write_bytes(b"half")
    assert recover(tmp_path, NOW).removed == (half,)
    assert sorted(kept.iterdir()) == sorted([running, foreign])


def test_a_power_cut_anywhere_in_two_rows_leaves_whole_rows_and_whole_pictures_to_be_queued(tmp_path):
    first = header("model") + encode([ModelRow(1, 1, 10.0, 20.0, 30.0, 40.0, 0.9, "größe, \u6e2c")], 0.0, 0.0)
    data = first + encode([HeartbeatRow(2)], 0.0, 0.0)
    for length in range(len(data) + 1):
        put(tmp_path / "open", data[:length], sequence=2 * length + 1)
        put(tmp_path / "ready", data[:length] + b"\0" * (len(data) - length), sequence=2 * length + 2)
    for length in range(len(jpeg()) + 1):
        put_picture(tmp_path / "open", jpeg()[:length], sequence=length + 1)
    left = recover(tmp_path, NOW)
    contents = [file.path.read_bytes() for file in left.finished]
    assert contents == [jpeg(), *[first] * (2 * (len(data) - len(first))), data, data]
    assert len(left.removed) == 2 * len(first) + len(jpeg())
    assert left.left_alone == ()


# Folders per camera.


def test_every_camera_with_leftovers_is_named_configured_or_not(tmp_path):
    put(tmp_path / "line-1" / "ready", whole())
    put_picture(tmp_path / "line-2" / "open", jpeg(), camera="line-2")
    put(tmp_path / "line-3" / "kept", whole())
    (tmp_path / "line-4" / "ready").mkdir(parents=True)
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "notes").write_text("mine")
    assert cameras_with_leftovers(tmp_path, NOW) == ("line-1", "line-2")


def test_a_records_folder_that_was_never_made_has_no_cameras(tmp_path):
    assert cameras_with_leftovers(tmp_path / "records", NOW) == ()


def test_files_of_earlier_versions_in_one_folder_are_moved_to_their_camera_and_recovered_there(tmp_path):
    put(tmp_path / "ready", whole(), sequence=1)
    put(tmp_path / "open", whole() + b"torn", sequence=2)
    put(tmp_path / "line-1" / "ready", whole(), sequence=3)
    assert cameras_with_leftovers(tmp_path, NOW) == ("line-1",)
    assert not (tmp_path / "ready").exists()
    assert not (tmp_path / "open").exists()
    finished = recover(tmp_path / "line-1", NOW).finished
    assert [file.path.stem[-1] for file in finished] == ["1", "2", "3"]
    assert {file.path.parent for file in finished} == {tmp_path / "line-1" / "ready"}
    assert {file.path.read_bytes() for file in finished} == {whole()}


def test_files_of_schema_version_1_are_recovered_by_their_own_header(tmp_path):
    columns = b"schema_version,frame,utc,monotonic_s,part_id,x_px,y_px,width_px,height_px,score\n"
    row = b"1,7,2026-11-23T21:05:33.123Z,12.345679,3,10.25,20.00,64.00,48.50,0.9877\n"
    put(tmp_path / "open", columns + row + row[:-20])
    (finished,) = recover(tmp_path, NOW).finished
    assert (finished.rows, finished.path.read_bytes()) == (1, columns + row)


def test_somebody_s_file_in_the_old_folder_stays_there(tmp_path, caplog):
    (tmp_path / "ready").mkdir()
    (tmp_path / "ready" / "notes.txt").write_text("mine")
    assert cameras_with_leftovers(tmp_path, NOW) == ()
    assert (tmp_path / "ready" / "notes.txt").read_text() == "mine"
    assert "notes.txt is left alone" in caplog.text


def test_an_old_file_whose_camera_name_is_no_longer_allowed_is_left_alone(tmp_path, caplog):
    path = put(tmp_path / "ready", whole())
    odd = path.rename(path.with_name(path.name.replace("line-1", "kept")))
    assert cameras_with_leftovers(tmp_path, NOW) == ()
    assert odd.exists()
    assert "choose another" in caplog.text


def test_the_findings_are_reported_file_by_file(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    put(tmp_path / "ready", whole(), sequence=1)
    put(tmp_path / "ready", whole() + b"torn", sequence=2)
    put_picture(tmp_path / "open", b"")
    (tmp_path / "open" / "notes.txt").write_text("mine")
    log_found(recover(tmp_path, NOW))
    assert [(record.getMessage().split()[0], record.levelname) for record in caplog.records] == [
        ("2", "INFO"),
        (f"{tmp_path}/ready/line-1_model_20261123T010000.000Z_0000000a_000002.csv", "WARNING"),
        (f"{tmp_path}/open/line-1_crop_20261123T010000.000Z_0000000a_000001_f1_p7.jpg", "INFO"),
        (f"{tmp_path}/open/notes.txt", "WARNING"),
    ]
