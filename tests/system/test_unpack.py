"""`iris unpack` as the receiver of the batches runs it."""

import json
import os
from pathlib import Path

import pytest

from tests.system import forked_iris
from tests.unit.iris_communication.made_batches import batch

ROOT = Path(__file__).resolve().parents[2]
FILES = [("a.csv", b"frame,x\n1,2\n"), ("b.csv", b"3" * 5000)]


@pytest.fixture
def iris(tmp_path):
    def run(*arguments, status=0):
        done = forked_iris.run("unpack", *arguments, cwd=tmp_path, env=os.environ)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done

    return run


@pytest.fixture(params=["zip", "tar.gz"])
def archive(tmp_path, request):
    return batch(tmp_path, FILES, request.param)


def test_archives_are_unpacked_into_the_folder_that_is_named(tmp_path, iris, archive):
    done = iris(archive, "--into", "out/deep")
    assert done.stdout.decode() == f"{archive}: 2 files in out/deep\n"
    out = tmp_path / "out" / "deep"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == dict(FILES)


def test_archives_are_unpacked_where_the_command_is_run_without_a_folder(tmp_path, iris, archive):
    iris(archive)
    assert (tmp_path / "a.csv").read_bytes() == FILES[0][1]


def test_the_command_says_which_files_were_there_and_which_have_another_name(tmp_path, iris, archive):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.csv").write_bytes(b"somebody else's")
    (out / "b.csv").write_bytes(FILES[1][1])
    first, second = iris(archive, "--into", out).stdout.decode().splitlines()
    assert first == f"{archive}: 2 files in {out}, 1 of them there already"
    assert second.startswith("  a.csv is a.")


def test_verifying_writes_nothing(tmp_path, iris, archive):
    before = sorted(tmp_path.iterdir())
    done = iris(archive, "--verify-only")
    assert done.stdout.decode() == f"{archive}: 2 files of 5 kB, every one as its manifest says\n"
    assert sorted(tmp_path.iterdir()) == before


def test_a_damaged_archive_is_reported_and_the_others_are_unpacked(tmp_path, iris, archive):
    damaged = tmp_path / "damaged"
    damaged.write_bytes(archive.read_bytes()[:200])
    done = iris(damaged, archive, "--into", "out", status=1)
    assert str(damaged) in done.stderr.decode()
    assert "fetch it again" in done.stderr.decode()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.csv", "b.csv"]


def test_an_archive_that_cannot_be_read_is_reported(tmp_path, iris, archive):
    done = iris(tmp_path / "none.zip", archive, status=2)
    assert "none.zip cannot be read: No such file or directory" in done.stderr.decode()
    assert (tmp_path / "a.csv").exists()


def test_a_folder_that_cannot_be_written_is_reported(tmp_path, iris, archive):
    (tmp_path / "out").write_bytes(b"a file")
    assert "cannot write out" in iris(archive, "--into", "out", status=2).stderr.decode()


def test_each_archive_is_one_line_of_json_for_programs(tmp_path, iris, archive):
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"PK\x03\x04")
    lines = [
        json.loads(line) for line in iris(archive, damaged, "--into", "out", "--json", status=1).stdout.splitlines()
    ]
    assert lines[0] == {
        "archive": str(archive),
        "whole": True,
        "into": "out",
        "files": 2,
        "written": 2,
        "already_there": 0,
        "renamed": {},
    }
    assert lines[1]["whole"] is False
    assert "damaged" in lines[1]["error"]


def test_a_name_that_is_no_text_is_unpacked_too(tmp_path, iris):
    archive = batch(tmp_path, [(os.fsdecode(b"\xff.csv"), b"1")], "zip", name=os.fsdecode(b"odd\xfe"))
    iris(archive, "--into", "out")
    assert (tmp_path / "out" / os.fsdecode(b"\xff.csv")).read_bytes() == b"1"
