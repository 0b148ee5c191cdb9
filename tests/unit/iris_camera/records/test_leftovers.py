import hashlib
import os
from pathlib import Path

import pytest

from iris_camera.records.csv_file import ModelRow, encode, header
from iris_camera.records.leftovers import Cut, recover
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
def test_a_torn_end_is_cut_off_and_told(tmp_path, folder, tail):
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


def test_what_is_ready_is_listed_by_run_and_sequence_with_what_was_open(tmp_path):
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


def test_both_kinds_are_told_apart(tmp_path):
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
    other.append([ModelRow(1, 1, 10.0, 20.0, 30.0, 40.0, 0.9)], 0.0, 0.0)
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


@pytest.mark.parametrize("steps_done", range(6))
def test_a_recovery_that_is_cut_short_anywhere_is_finished_by_the_next(tmp_path, monkeypatch, steps_done):
    put(tmp_path / "open", whole(1) + b"\0\0", sequence=1)
    put(tmp_path / "open", header("model"), sequence=2)
    put(tmp_path / "ready", whole(3) + b"1,2", sequence=3)
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
    assert [(file.rows, file.path.read_bytes()) for file in left.finished] == [(1, whole(1)), (3, whole(3))]
    assert list((tmp_path / "open").iterdir()) == []


def test_recovering_twice_finds_the_same(tmp_path):
    put(tmp_path / "open", whole(1) + b"torn")
    first = recover(tmp_path, NOW)
    second = recover(tmp_path, NOW)
    assert first.finished == second.finished
    assert second.cut == ()
