"""The events that the kernel really gives for a folder, as the values the watcher uses."""

import os
import threading
from pathlib import Path

import pytest

from iris_camera.watch.completion import Notice
from iris_camera.watch.folder_events import EventsLost, FolderEvents, FolderGone, Heard, NewFolder, NoEvents
from iris_camera.watch.listing import files_in

WAIT_S = 20.0


@pytest.fixture
def folder(tmp_path):
    watched = tmp_path / "watched"
    watched.mkdir()
    return watched


def events_so_far(events):
    """All events until now: the kernel has them ready when a system call returns."""
    return events.read(0.0)


def notices(events, path):
    return [event.notice for event in events_so_far(events) if isinstance(event, Heard) and event.path == path]


def test_writing_a_file_is_a_creation_writes_and_a_close(folder):
    with FolderEvents(folder, recursive=False) as events:
        (folder / "a.csv").write_bytes(b"1")
        assert notices(events, "a.csv") == [Notice.CREATED, Notice.WRITTEN, Notice.CLOSED]


def test_reading_a_file_is_no_event(folder):
    (folder / "a.csv").write_bytes(b"1")
    with FolderEvents(folder, recursive=False) as events:
        (folder / "a.csv").read_bytes()
        assert events_so_far(events) == []


def test_a_rename_into_the_folder_is_an_arrival_and_one_out_of_it_is_a_removal(folder, tmp_path):
    (tmp_path / "x").write_bytes(b"1")
    with FolderEvents(folder, recursive=False) as events:
        (tmp_path / "x").rename(folder / "a.csv")
        assert events_so_far(events) == [Heard("a.csv", Notice.ARRIVED)]
        (folder / "a.csv").rename(folder / "b.csv")
        assert events_so_far(events) == [Heard("a.csv", None), Heard("b.csv", Notice.ARRIVED)]
        (folder / "b.csv").unlink()
        assert events_so_far(events) == [Heard("b.csv", None)]


def test_a_name_that_is_no_utf_8_comes_back_as_it_is(folder):
    name = os.fsdecode(b"\xff.csv")
    with FolderEvents(folder, recursive=False) as events:
        (folder / name).write_bytes(b"1")
        assert notices(events, name)


@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_a_folder_that_is_gone_is_reported(folder, how):
    with FolderEvents(folder, recursive=False) as events:
        if how == "removed":
            folder.rmdir()
        else:
            folder.rename(folder.with_name("elsewhere"))
        assert FolderGone() in events.read(WAIT_S)


def test_a_folder_below_is_watched_only_where_that_is_set(folder):
    (folder / "inner").mkdir()
    for recursive, expected in ((False, []), (True, [Notice.CREATED, Notice.WRITTEN, Notice.CLOSED])):
        (folder / "inner" / "a.csv").unlink(missing_ok=True)
        with FolderEvents(folder, recursive=recursive) as events:
            (folder / "inner" / "a.csv").write_bytes(b"1")
            assert notices(events, "inner/a.csv") == expected


def test_a_new_folder_is_reported_with_all_that_came_in_it_and_watched_from_then_on(folder, tmp_path):
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    with FolderEvents(folder, recursive=True) as events:
        (tmp_path / "tree").rename(folder / "tree")
        assert events_so_far(events) == [NewFolder("tree"), NewFolder("tree/deep")]
        (folder / "tree" / "deep" / "a.csv").write_bytes(b"1")
        assert Notice.CLOSED in notices(events, "tree/deep/a.csv")


def test_a_folder_that_was_moved_away_reports_no_more_events(folder, tmp_path):
    (folder / "inner").mkdir()
    with FolderEvents(folder, recursive=True) as events:
        (folder / "inner").rename(tmp_path / "inner")
        events_so_far(events)
        (tmp_path / "inner" / "a.csv").write_bytes(b"1")
        assert events_so_far(events) == []


def test_more_events_than_the_kernel_keeps_are_reported_as_lost(folder):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("this kernel keeps too many events to overflow it in a moment")
    with FolderEvents(folder, recursive=False) as events:
        first, second = folder / "a", folder / "b"
        first.touch()
        for _ in range(limit // 4 + 100):  # each pair of renames is four events
            first.rename(second)
            second.rename(first)
        assert EventsLost() in events_so_far(events)
        first.rename(second)
        assert Heard("b", Notice.ARRIVED) in events_so_far(events), "it goes on afterwards"


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path):
    with pytest.raises(FileNotFoundError):
        FolderEvents(tmp_path / "missing", recursive=False)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        FolderEvents(tmp_path / "file", recursive=True)


def test_the_time_is_waited_where_there_are_no_events():
    waited = []
    with NoEvents(waited.append) as events:
        assert events.read(0.25) == []
    assert waited == [0.25]


def test_a_listing_has_the_files_below_and_neither_links_nor_folders(folder, tmp_path):
    (folder / "inner" / "deep").mkdir(parents=True)
    for name in ("a", "inner/b", "inner/deep/c"):
        (folder / name).touch()
    (folder / "link").symlink_to(folder / "a")
    (folder / "loop").symlink_to(folder)
    assert [path for path, _ in files_in(str(folder), recursive=False)] == ["a"]
    assert sorted(path for path, _ in files_in(str(folder), recursive=True)) == ["a", "inner/b", "inner/deep/c"]
    with pytest.raises(FileNotFoundError):
        list(files_in(str(tmp_path / "missing"), recursive=True))


def test_a_read_ends_when_something_happens_in_another_thread(folder):
    with FolderEvents(folder, recursive=False) as events:
        writer = threading.Thread(target=(folder / "a").touch)
        writer.start()
        assert events.read(WAIT_S)
        writer.join()
