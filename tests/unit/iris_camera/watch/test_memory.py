"""The memory knows the accepted files, and no others, after a restart, a kill and a damaged file."""

import os
import sqlite3

import pytest

from iris_camera.watch.completion import Version
from iris_camera.watch.memory import CannotRemember, Memory

V1 = Version(1, 10, 100)
V2 = Version(1, 20, 200)
HUGE = Version(2**63 - 1, 2**62, 2**62)


@pytest.fixture
def folder(tmp_path):
    watched = tmp_path / "watched"
    watched.mkdir()
    return watched


def opened(tmp_path, folder):
    return Memory(tmp_path, folder)


def test_accepted_files_are_known_after_a_restart(tmp_path, folder):
    memory = opened(tmp_path, folder)
    memory.change({"a": V1, "b": V2, "\udcff/ü": HUGE})
    memory.change({"b": None, "a": V2})
    memory.close()
    again = opened(tmp_path, folder)
    assert [again.get(name) for name in ("a", "b", "\udcff/ü", "never")] == [V2, None, HUGE, None]
    assert set(again.paths()) == {"a", "\udcff/ü"}
    again.close()


def test_watching_has_begun_once_what_lay_there_is_noted(tmp_path, folder):
    memory = opened(tmp_path, folder)
    assert not memory.begun
    memory.begin([("old", V1)])
    assert memory.begun
    memory.close()
    again = opened(tmp_path, folder)
    assert (again.begun, again.get("old")) == (True, V1)
    again.close()


def test_beginning_is_all_or_nothing(tmp_path, folder):
    memory = opened(tmp_path, folder)

    def listing():
        yield "old", V1
        raise OSError("the folder is gone")

    with pytest.raises(OSError, match="gone"):
        memory.begin(listing())
    assert (memory.begun, memory.get("old")) == (False, None)
    memory.close()


def test_each_folder_has_a_memory_of_its_own(tmp_path, folder):
    other = tmp_path / "other"
    other.mkdir()
    first, second = opened(tmp_path, folder), opened(tmp_path, other)
    first.change({"a": V1})
    assert second.get("a") is None
    first.close()
    second.close()


def test_a_second_watcher_of_the_same_folder_is_refused(tmp_path, folder):
    memory = opened(tmp_path, folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(CannotRemember, match="watched by another process"):
        opened(tmp_path, link)
    memory.close()
    opened(tmp_path, folder).close()


def test_a_damaged_memory_is_put_aside_and_what_lies_there_counts_as_new(tmp_path, folder, caplog):
    memory = opened(tmp_path, folder)
    memory.begin([("old", V1)])
    memory.close()
    memory.path.write_bytes(b"no database" * 1000)
    again = opened(tmp_path, folder)
    assert again.begun, "what came while nobody watched is not taken for what always lay there"
    assert again.get("old") is None
    assert "is damaged" in caplog.text
    assert memory.path.with_suffix(".damaged").exists()
    again.close()
    once_more = opened(tmp_path, folder)
    assert once_more.begun
    once_more.close()


def test_a_folder_where_nothing_can_be_kept_is_reported(tmp_path, folder):
    with pytest.raises(CannotRemember, match="cannot be used"):
        Memory(tmp_path / "missing", folder)


class FullDisk(sqlite3.Connection):
    """A disk without a free byte, as long as `full` is set."""

    full = False

    def executemany(self, *arguments):
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().executemany(*arguments)


def test_a_change_that_a_full_disk_refused_is_known_until_the_end_and_noted_once_there_is_room(
    tmp_path, folder, monkeypatch, caplog
):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **options: connect(*a, factory=FullDisk, **options))
    memory = opened(tmp_path, folder)
    monkeypatch.setattr(FullDisk, "full", True)
    memory.change({"a": V1})
    assert memory.get("a") == V1
    assert "cannot write" in caplog.text
    monkeypatch.setattr(FullDisk, "full", False)
    memory.close()
    again = opened(tmp_path, folder)
    assert again.get("a") == V1
    again.close()


def test_the_memory_is_its_owners_alone_and_not_made_for_another_user(tmp_path, folder, monkeypatch):
    memory = opened(tmp_path, folder)
    memory.begin(())
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("watched-*")} == {0o600}
    memory.close()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(CannotRemember, match=r"belongs to user \d+: watch as that user \(sudo -u"):
        Memory(tmp_path, folder)
