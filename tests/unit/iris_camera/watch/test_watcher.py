"""A real folder, the kernel's events, and a taker that accepts or refuses: what is handed in and remembered."""

import logging
import os
import shutil
import threading
import time
from contextlib import contextmanager

import pytest

from iris_camera.watch import listing
from iris_camera.watch import watcher as watcher_module
from iris_camera.watch.memory import Memory
from iris_camera.watch.names import Names
from iris_camera.watch.watcher import Watcher, WatchSettings
from iris_communication.errors import InvalidRequest, OutboxFull, SourceReplaced

WAIT_S = 20.0
QUIET_S = 0.3
LONG_S = 60.0  # of quiet, where what is tested must not be quiet


class Taker:
    """Takes files in, and keeps the bytes that lay there then. `answer` may refuse."""

    def __init__(self, answer=lambda path: None):
        self.taken = []
        self.asked = []
        self._answer = answer
        self._changed = threading.Condition()

    def hand_in(self, folder, paths):
        with self._changed:
            answers = []
            for path in paths:
                self.asked.append(path)
                why = self._answer(path)
                if why is None:
                    self.taken.append((path, (folder / path).read_bytes()))
                answers.append(why or f"id-{len(self.taken)}")
            self._changed.notify_all()
            return answers

    def wait_until(self, happened):
        with self._changed:
            assert self._changed.wait_for(lambda: happened(self), WAIT_S), (self.taken, self.asked)

    def wait_for(self, *names):
        self.wait_until(lambda taker: set(names) <= {path for path, _ in taker.taken})

    @property
    def names(self):
        return sorted(path for path, _ in self.taken)


@pytest.fixture
def folder(tmp_path):
    watched = tmp_path / "watched"
    watched.mkdir()
    return watched


@pytest.fixture
def elsewhere(tmp_path):
    """Another folder on the same disk."""
    made = tmp_path / "elsewhere"
    made.mkdir()
    return made


class Began(logging.Handler):
    """Waits for the line with which a watcher says that it has listed its folder and watches it."""

    def __init__(self, log):
        super().__init__()
        self._log, self._level = log, log.level
        self._seen = threading.Event()
        log.setLevel(logging.INFO)
        log.addHandler(self)

    def emit(self, record):
        if record.msg == "watching %s":
            self._seen.set()

    def wait(self, timeout_s):
        return self._seen.wait(timeout_s)

    def close(self):
        self._log.removeHandler(self)
        self._log.setLevel(self._level)
        super().close()


@contextmanager
def watching(folder, taker, quiet_s=QUIET_S, **settings):
    """A watcher on a thread; it watches already when the block is entered."""
    stop = threading.Event()
    memory = Memory(folder.parent, folder)
    watcher = Watcher(WatchSettings(folder, Names(), quiet_s=quiet_s, **settings), taker, memory, stop, time.monotonic)
    thread = threading.Thread(target=watcher.run)
    began = Began(watcher_module.log)
    try:
        thread.start()
        assert began.wait(WAIT_S) or not folder.exists()
        yield watcher
    finally:
        began.close()
        stop.set()
        thread.join(WAIT_S)
        memory.close()
        assert not thread.is_alive()


def test_a_file_written_and_closed_and_one_renamed_in_are_handed_in_whole(folder, elsewhere):
    taker = Taker()
    (elsewhere / "b.csv").write_bytes(b"moved")
    with watching(folder, taker, LONG_S):
        (folder / "a.csv").write_bytes(b"written")
        (elsewhere / "b.csv").rename(folder / "b.csv")
        taker.wait_for("a.csv", "b.csv")
    assert sorted(taker.taken) == [("a.csv", b"written"), ("b.csv", b"moved")]


def test_a_slow_writers_file_is_handed_in_when_it_is_closed_and_not_before(folder):
    taker = Taker()
    with watching(folder, taker, QUIET_S), (folder / "slow.csv").open("wb", buffering=0) as slow:
        slow.write(b"1")
        for number in range(3):  # others come and go meanwhile, each after the quiet time
            (folder / f"{number}.csv").write_bytes(b"x")
            os.link(folder / f"{number}.csv", folder / f"link-{number}")
            taker.wait_for(f"{number}.csv", f"link-{number}")
        assert "slow.csv" not in taker.asked
        slow.write(b"2")
        slow.close()
        taker.wait_for("slow.csv")
    assert ("slow.csv", b"12") in taker.taken


def test_a_hard_link_and_an_empty_file_are_handed_in_after_the_quiet_time(folder, elsewhere):
    taker = Taker()
    (elsewhere / "x").write_bytes(b"1")
    with watching(folder, taker):
        os.link(elsewhere / "x", folder / "link")
        (folder / "empty").touch()
        taker.wait_for("link", "empty")
    assert taker.names == ["empty", "link"]


def test_temporary_names_are_left_alone_until_they_are_renamed(folder):
    taker = Taker()
    with watching(folder, taker):
        for name in (".a.csv", "b.csv.tmp", "c.part"):
            (folder / name).write_bytes(b"1")
        (folder / "b.csv.tmp").rename(folder / "b.csv")
        (folder / "last").write_bytes(b"1")
        taker.wait_for("b.csv", "last")
    assert taker.names == ["b.csv", "last"]


def test_each_completed_version_is_handed_in_once(folder):
    taker = Taker()
    with watching(folder, taker, LONG_S):
        for content in (b"1", b"2", b"3"):
            (folder / "a.csv").write_bytes(content)
            taker.wait_until(lambda taker, content=content: ("a.csv", content) in taker.taken)
        (folder / "a.csv").open("ab").close()  # opened for writing, and nothing written
        (folder / "last").write_bytes(b"1")
        taker.wait_for("last")
    assert [content for path, content in taker.taken if path == "a.csv"] == [b"1", b"2", b"3"]


def test_files_that_lay_there_at_the_first_start_are_left_unless_the_settings_include_them(folder):
    (folder / "old").write_bytes(b"1")
    taker = Taker()
    with watching(folder, taker):
        (folder / "new").write_bytes(b"1")
        taker.wait_for("new")
    assert taker.names == ["new"]


def test_files_that_lie_there_are_delivered_too_where_the_settings_include_them(folder):
    (folder / "old").write_bytes(b"1")
    taker = Taker()
    with watching(folder, taker, existing=True):
        taker.wait_for("old")


def test_a_file_that_was_open_at_the_first_start_is_handed_in_once_it_is_closed(folder):
    taker = Taker()
    with (folder / "a").open("wb", buffering=0) as half_written:
        half_written.write(b"1")
        with watching(folder, taker):
            half_written.close()
            taker.wait_for("a")


def test_files_that_came_meanwhile_are_handed_in_after_a_restart_and_no_others(folder):
    first, second = Taker(), Taker()
    with watching(folder, first):
        for name in ("same", "changed", "gone"):
            (folder / name).write_bytes(b"1")
        first.wait_for("same", "changed", "gone")
    (folder / "changed").write_bytes(b"22")
    (folder / "gone").unlink()
    (folder / "new").write_bytes(b"1")
    with watching(folder, second):
        second.wait_for("changed", "new")
    assert second.names == ["changed", "new"]


def test_a_full_outbox_loses_nothing_and_is_asked_again(folder, monkeypatch, caplog):
    monkeypatch.setattr(watcher_module, "RETRY_BASE_S", 0.02)
    full = threading.Event()
    full.set()
    taker = Taker(lambda path: OutboxFull("the outbox holds 1 of 1 files") if full.is_set() else None)
    names = [f"{number:03}" for number in range(150)]
    with watching(folder, taker, LONG_S):
        for name in names:
            (folder / name).write_bytes(name.encode())
        taker.wait_until(lambda taker: len(taker.asked) > len(names))
        full.clear()
        taker.wait_for(*names)
    assert sorted(taker.taken) == [(name, name.encode()) for name in names]
    assert caplog.text.count("queue the file again when there is room") == 1


def test_a_file_that_changes_while_the_outbox_is_full_is_handed_in_as_it_is_then(folder, monkeypatch):
    monkeypatch.setattr(watcher_module, "RETRY_BASE_S", 0.02)
    full = threading.Event()
    full.set()
    taker = Taker(lambda path: OutboxFull("full") if full.is_set() else None)
    with watching(folder, taker, LONG_S):
        (folder / "a").write_bytes(b"1")
        taker.wait_until(lambda taker: taker.asked)
        with (folder / "a").open("ab", buffering=0) as writer:
            writer.write(b"2")
            full.clear()
            (folder / "b").write_bytes(b"1")
            taker.wait_for("b")
            assert "a" not in taker.names
        taker.wait_for("a")
    assert ("a", b"12") in taker.taken


def test_a_file_that_can_never_be_delivered_is_reported_once_and_holds_up_no_other(folder, monkeypatch, caplog):
    monkeypatch.setattr(watcher_module, "LIST_EVERY_S", 0.05)
    taker = Taker(lambda path: InvalidRequest("no such name", hint="rename it") if path == "bad" else None)
    with watching(folder, taker):
        (folder / "bad").write_bytes(b"1")
        (folder / "good").write_bytes(b"1")
        taker.wait_for("good")
        (folder / "better").write_bytes(b"1")
        taker.wait_for("better")
        os.link(folder / "good", folder / "last")
        taker.wait_for("last")
    assert taker.asked.count("bad") == 1
    assert caplog.text.count("rename it") == 1


@pytest.mark.parametrize("how", ["removed", "renamed", "parent renamed"])
def test_a_folder_that_goes_and_comes_back_is_watched_again(folder, how, caplog):
    taker = Taker()
    with watching(folder, taker):
        (folder / "before").write_bytes(b"1")
        taker.wait_for("before")
        if how == "removed":
            shutil.rmtree(folder)
        else:
            folder.rename(folder.with_name("away"))
        wait_for_log(caplog, "waiting for it")
        folder.mkdir()
        (folder / "meanwhile").write_bytes(b"1")
        taker.wait_for("meanwhile")
        (folder / "after").write_bytes(b"1")
        taker.wait_for("after")
    assert caplog.text.count("was removed, replaced or unmounted") == 1
    assert caplog.text.count("waiting for it") == 1


def test_an_empty_folder_does_not_make_the_watcher_forget_what_was_delivered(folder):
    """As when a disk is not mounted yet."""
    first, second = Taker(), Taker()
    with watching(folder, first):
        (folder / "a").write_bytes(b"1")
        first.wait_for("a")
    folder.rename(folder.with_name("disk"))
    folder.mkdir()
    with watching(folder, second):
        pass
    folder.rmdir()
    folder.with_name("disk").rename(folder)
    with watching(folder, second):
        (folder / "b").write_bytes(b"1")
        os.link(folder / "b", folder / "last")
        second.wait_for("b", "last")
    assert second.names == ["b", "last"]


def test_files_below_the_folder_are_handed_in_where_that_is_set_also_from_new_folders(folder, elsewhere):
    (folder / "inner").mkdir()
    (elsewhere / "deep").mkdir()
    (elsewhere / "deep" / "moved").write_bytes(b"1")
    taker = Taker()
    with watching(folder, taker, recursive=True):
        (folder / "inner" / "a").write_bytes(b"1")
        elsewhere.rename(folder / "tree")
        (folder / "tree" / "deep" / "new").write_bytes(b"1")
        (folder / ".hidden").mkdir()
        (folder / ".hidden" / "x").write_bytes(b"1")
        taker.wait_for("inner/a", "tree/deep/moved", "tree/deep/new")
    assert taker.names == ["inner/a", "tree/deep/moved", "tree/deep/new"]


@pytest.mark.parametrize("how", ["no inotify", "a network disk"])
def test_the_folder_is_listed_again_and_again_where_the_kernel_does_not_report_every_change(folder, monkeypatch, how):
    if how == "no inotify":

        def refuse(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(watcher_module, "FolderEvents", refuse)
    else:
        monkeypatch.setattr(watcher_module, "sees_every_change", lambda folder: False)
    taker = Taker()
    with watching(folder, taker):
        (folder / "a").write_bytes(b"1")
        taker.wait_for("a")
        (folder / "a").write_bytes(b"22")
        taker.wait_until(lambda taker: ("a", b"22") in taker.taken)
    assert [content for _, content in taker.taken] == [b"1", b"22"]


def test_lost_events_are_replaced_by_a_listing(folder, monkeypatch):
    """The kernel's queue overflowed: the watcher gets that event, and the events before it are lost."""
    from iris_camera.watch.folder_events import EventsLost, FolderEvents

    class Overflowing(FolderEvents):
        """Reports only that there were events, not which."""

        def read(self, timeout_s):
            return [EventsLost()] if super().read(timeout_s) else []

    monkeypatch.setattr(watcher_module, "FolderEvents", Overflowing)
    taker = Taker()
    with watching(folder, taker):
        (folder / "a").write_bytes(b"1")
        taker.wait_for("a")


def test_a_file_that_was_replaced_while_it_was_offered_is_examined_again(folder, elsewhere, monkeypatch, caplog):
    monkeypatch.setattr(watcher_module, "REPLACED_S", 0.05)
    (elsewhere / "ours").write_bytes(b"ours")

    class Swapping(Taker):
        """Another program replaces the first file by a link while it is handed in."""

        def hand_in(self, folder, paths):
            for path, identity in paths.items():
                if not self.asked:
                    (folder / path).unlink()
                    (folder / path).symlink_to(elsewhere / "ours")
                facts = (folder / path).stat()
                if (facts.st_dev, facts.st_ino) != identity:
                    self.asked.append(path)
                    return [SourceReplaced("another file")] * len(paths)
            return super().hand_in(folder, paths)

    taker = Swapping()
    with watching(folder, taker):
        (folder / "a").write_bytes(b"1")
        wait_for_log(caplog, "a is another file than a moment ago")
        (folder / "b").write_bytes(b"2")
        taker.wait_for("b")
    assert taker.taken == [("b", b"2")]


def test_an_unreadable_file_is_reported_once_and_handed_in_when_it_can_be_read(folder, monkeypatch, caplog):
    monkeypatch.setattr(watcher_module, "UNREADABLE_S", 0.05)
    state_of, allowed = watcher_module.state_of, threading.Event()

    def guarded(path, **more):
        if path.endswith("secret") and not allowed.is_set():
            raise PermissionError(13, "Permission denied")
        return state_of(path, **more)

    monkeypatch.setattr(watcher_module, "state_of", guarded)
    taker = Taker()
    with watching(folder, taker):
        (folder / "secret").write_bytes(b"1")
        wait_for_log(caplog, "cannot be read")
        (folder / "good").write_bytes(b"1")
        taker.wait_for("good")
        allowed.set()
        taker.wait_for("secret")
    assert caplog.text.count("cannot be read") == 1


def test_an_inner_folder_that_may_not_be_listed_is_reported_once_and_taken_when_it_may(folder, monkeypatch, caplog):
    monkeypatch.setattr(watcher_module, "LIST_EVERY_S", 0.05)
    monkeypatch.setattr(watcher_module, "LIST_SHARE", 1.0)
    opening, allowed = listing.opened_folder, threading.Event()

    def guarded(root, path):
        if path == "closed" and not allowed.is_set():
            raise PermissionError(13, "Permission denied")
        return opening(root, path)

    monkeypatch.setattr(listing, "opened_folder", guarded)
    (folder / "closed").mkdir()
    (folder / "closed" / "a").write_bytes(b"1")
    taker = Taker()
    with watching(folder, taker, recursive=True, existing=True):
        wait_for_log(caplog, "closed cannot be looked into: Permission denied; what is in it is not delivered")
        (folder / "good").write_bytes(b"1")
        taker.wait_for("good")
        allowed.set()
        taker.wait_for("closed/a")
    assert caplog.text.count("cannot be looked into") == 1


def wait_for_log(caplog, text):
    deadline_s = time.monotonic() + WAIT_S
    while text not in caplog.text:
        assert time.monotonic() < deadline_s, caplog.text
        threading.Event().wait(0.01)
