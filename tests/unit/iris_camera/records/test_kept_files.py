import errno
import logging
import os
import shutil
import threading

import pytest

from iris_camera.records.kept_files import KeptFiles, KeptStatus, free_bytes, keep
from iris_camera.records.retention import KeepLimits

NOW_S = 1_795_467_933.0
RUN = "9f3c01ab"
LONG_S = 20.0


def csv_name(number):
    return f"line-1_model_20261123T210533.123Z_{RUN}_{number:06d}.csv"


def put(folder, number, data=b"x" * 100, at_s=None):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / csv_name(number)
    path.write_bytes(data)
    os.utime(path, (at_s or NOW_S - 1000 + number,) * 2)
    return path


class Outbox:
    """Owes the files given, or raises when it is asked."""

    def __init__(self, *owed):
        self.owed, self.asked = set(owed), 0
        self.error = None

    def __call__(self):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return frozenset(self.owed)


def kept_files(folder, outbox, bytes_max=250, *, reserve=0, free=10**12, age_s_max=None):
    return KeptFiles(
        folder, KeepLimits(bytes_max, age_s_max, reserve), outbox, wall=lambda: NOW_S, free_bytes=lambda path: free
    )


def numbers(folder):
    return sorted(int(path.stem[-6:]) for path in folder.glob("*.csv"))


# Putting aside.


def test_a_kept_file_is_the_same_file_and_stays_when_the_first_name_goes(tmp_path):
    path = put(tmp_path / "ready", 1)
    keep(path, tmp_path / "kept")
    assert (tmp_path / "kept" / path.name).samefile(path)
    path.unlink()
    assert (tmp_path / "kept" / path.name).read_bytes() == b"x" * 100


def test_keeping_twice_is_keeping_once(tmp_path):
    path = put(tmp_path / "ready", 1)
    keep(path, tmp_path / "kept")
    keep(path, tmp_path / "kept")
    assert numbers(tmp_path / "kept") == [1]


@pytest.mark.parametrize("reason", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP])
def test_a_kept_file_is_copied_where_the_file_system_has_no_hard_links(tmp_path, monkeypatch, reason):
    def no_links(*_paths):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", no_links)
    path = put(tmp_path / "ready", 1)
    keep(path, tmp_path / "kept")
    copy = tmp_path / "kept" / path.name
    assert not copy.samefile(path)
    assert copy.read_bytes() == path.read_bytes()
    assert copy.stat().st_mtime == path.stat().st_mtime
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_copy_from_before_a_crash_is_made_again(tmp_path):
    put(tmp_path / "kept", 1, b"torn")
    path = put(tmp_path / "ready", 1, b"whole")
    keep(path, tmp_path / "kept")
    assert (tmp_path / "kept" / path.name).read_bytes() == b"whole"


def test_a_copy_that_fails_leaves_no_half(tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    def half_then_full(path, part):
        part.write_bytes(b"half")
        full()

    monkeypatch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    monkeypatch.setattr(shutil, "copy2", half_then_full)
    with pytest.raises(OSError, match="No space left"):
        keep(put(tmp_path / "ready", 1), tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_disk_that_refuses_is_not_taken_for_one_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *paths: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        keep(put(tmp_path / "ready", 1), tmp_path / "kept")


# Sweeping.


def test_the_oldest_delivered_files_of_all_cameras_go_beyond_the_bytes(tmp_path):
    for number in (1, 3):
        put(tmp_path / "line-1" / "kept", number)
    for number in (2, 4):
        put(tmp_path / "no-longer-configured" / "kept", number)
    sweeper = kept_files(tmp_path, Outbox())
    sweeper.sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [3]
    assert numbers(tmp_path / "no-longer-configured" / "kept") == [4]


def test_removed_files_are_counted_and_logged_in_one_line_a_sweep(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for number in range(5):
        put(tmp_path / "line-1" / "kept", number)
    sweeper = kept_files(tmp_path, Outbox())
    assert sweeper.status() == KeptStatus(0, 0, 0, 0, None)
    sweeper.sweep()
    why = "more than 250 bytes were kept"
    assert sweeper.status() == (2, 200, 3, 300, (NOW_S, 3, 300, why))
    assert caplog.messages == [f"removed 3 kept files, 300 bytes: {why}"]
    put(tmp_path / "line-1" / "kept", 6)
    sweeper.sweep()
    assert sweeper.status() == (2, 200, 4, 400, (NOW_S, 1, 100, why))
    sweeper.sweep()
    assert sweeper.status() == (2, 200, 4, 400, (NOW_S, 1, 100, why))
    assert len(caplog.messages) == 2


def test_a_file_that_the_outbox_owes_stays(tmp_path):
    for number in range(4):
        put(tmp_path / "line-1" / "kept", number)
    kept_files(tmp_path, Outbox(csv_name(0), csv_name(2))).sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [0, 2]


@pytest.mark.parametrize("folder", ["line-1/ready", "line-1/open", "ready", "line-2/ready"])
def test_a_file_that_was_not_even_handed_over_stays(tmp_path, folder):
    for number in range(4):
        put(tmp_path / "line-1" / "kept", number)
    put(tmp_path / folder, 0)
    kept_files(tmp_path, Outbox()).sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [0, 3]


def test_a_file_that_is_handed_over_between_the_listings_is_seen_by_one_of_them(tmp_path):
    """It is in `ready/` until the outbox has it, so it is looked for there first."""
    for number in range(4):
        path = put(tmp_path / "line-1" / "kept", number)
    ready = tmp_path / "line-1" / "ready"
    ready.mkdir()
    os.link(tmp_path / "line-1" / "kept" / csv_name(0), ready / csv_name(0))
    outbox = Outbox()

    def owed_names():
        (ready / csv_name(0)).unlink(missing_ok=True)  # accepted and delivered just now
        return outbox()

    KeptFiles(tmp_path, KeepLimits(250, None, 0), owed_names, wall=lambda: NOW_S, free_bytes=lambda path: 1).sweep()
    assert 0 in numbers(path.parent)


def test_a_limit_passed_by_owed_files_alone_is_reported_once(tmp_path, caplog):
    for number in range(4):
        put(tmp_path / "line-1" / "kept", number)
    outbox = Outbox(*map(csv_name, range(4)))
    sweeper = kept_files(tmp_path, outbox)
    for _ in range(3):
        sweeper.sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [0, 1, 2, 3]
    assert caplog.messages == [
        "no kept file is removed that is not delivered yet, though more than 250 bytes were kept"
    ]
    outbox.owed.clear()
    sweeper.sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [2, 3]


def test_no_file_is_removed_when_the_outbox_cannot_be_asked_and_that_is_reported_once(tmp_path, caplog):
    for number in range(4):
        put(tmp_path / "line-1" / "kept", number)
    outbox = Outbox()
    outbox.error = RuntimeError("it is not open")
    sweeper = kept_files(tmp_path, outbox)
    for _ in range(3):
        sweeper.sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [0, 1, 2, 3]
    assert sweeper.status() == (4, 400, 0, 0, None)
    assert len(caplog.messages) == 1
    assert "it is not open" in caplog.text


def test_the_outbox_is_not_asked_while_there_is_room(tmp_path):
    put(tmp_path / "line-1" / "kept", 1)
    outbox = Outbox()
    kept_files(tmp_path, outbox).sweep()
    assert outbox.asked == 0


def test_kept_files_are_removed_when_the_disk_is_short_of_space(tmp_path):
    for number in range(4):
        put(tmp_path / "line-1" / "kept", number)
    sweeper = kept_files(tmp_path, Outbox(), 10**9, reserve=1000, free=900)
    sweeper.sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [1, 2, 3]
    assert sweeper.status().last_removed.why == "less than 1 kB were free on the disk"


def test_free_space_that_cannot_be_found_out_is_reported_once_and_the_bytes_still_count(tmp_path, caplog):
    for number in range(4):
        put(tmp_path / "line-1" / "kept", number)

    def unknown(_path):
        raise OSError(errno.EIO, "Input/output error")

    sweeper = KeptFiles(tmp_path, KeepLimits(250, None, 1000), Outbox(), wall=lambda: NOW_S, free_bytes=unknown)
    for _ in range(2):
        sweeper.sweep()
    assert numbers(tmp_path / "line-1" / "kept") == [2, 3]
    assert caplog.text.count("cannot be found out: Input/output error") == 1


def test_somebody_else_s_files_are_neither_counted_nor_removed(tmp_path):
    foreign = tmp_path / "line-1" / "kept" / "notes.txt"
    put(foreign.parent, 1)
    foreign.write_bytes(b"x" * 1000)
    sweeper = kept_files(tmp_path, Outbox(), 0)
    sweeper.sweep()
    assert foreign.exists()
    assert sweeper.status()[:4] == (0, 0, 1, 100)


def test_a_file_that_cannot_be_removed_is_reported_once_and_still_counted_as_kept(tmp_path, caplog, monkeypatch):
    path = put(tmp_path / "line-1" / "kept", 1)

    def refuses(_path, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(type(path), "unlink", refuses)
    sweeper = kept_files(tmp_path, Outbox(), 0)
    for _ in range(2):
        sweeper.sweep()
    assert sweeper.status() == (1, 100, 0, 0, None)
    assert caplog.messages == [f"{path} cannot be removed: Permission denied"]


def test_a_sweep_before_there_is_a_records_folder_finds_no_files(tmp_path):
    sweeper = kept_files(tmp_path / "records", Outbox())
    sweeper.sweep()
    assert sweeper.status() == KeptStatus()


def test_the_thread_sweeps_survives_errors_and_ends_when_it_is_stopped(tmp_path, caplog):
    looked = threading.Event()

    def fails():
        looked.set()
        raise RuntimeError("no clock")

    sweeper = KeptFiles(tmp_path, KeepLimits(0, None, 0), Outbox(), wall=fails, free_bytes=lambda path: 1)
    assert sweeper.join(0.0)
    sweeper.start()
    assert looked.wait(LONG_S)
    sweeper.close()
    assert sweeper.join(LONG_S)
    assert "no clock" in caplog.text


def test_free_bytes_are_those_of_the_disk_a_folder_will_be_on(tmp_path):
    facts = os.statvfs(tmp_path)
    found = free_bytes(tmp_path / "not" / "yet" / "there")
    assert abs(found - facts.f_bavail * facts.f_frsize) < 2**30
