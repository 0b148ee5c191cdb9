import os
from types import SimpleNamespace

import pytest

from iris_communication.outbox.files.reserve import RESERVE_BYTES, RESERVE_MIN_BYTES, Reserve


class Disk:
    """So much is free; what the reserve holds is not."""

    def __init__(self, folder, monkeypatch, free_bytes):
        self.path, self.free_bytes = folder / "reserve", free_bytes
        self._allocate = os.posix_fallocate
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=self.left_bytes, f_frsize=1))
        monkeypatch.setattr(os, "posix_fallocate", self.allocate)

    @property
    def left_bytes(self):
        return self.free_bytes - (self.path.stat().st_size if self.path.exists() else 0)

    def allocate(self, descriptor, offset, size_bytes):
        if size_bytes > self.left_bytes:
            raise OSError(28, "No space left on device")
        self._allocate(descriptor, offset, size_bytes)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    return lambda free_bytes: Disk(tmp_path, monkeypatch, free_bytes)


def test_room_is_really_taken_not_only_promised(tmp_path):
    assert Reserve(tmp_path).held
    facts = (tmp_path / "reserve").stat()
    assert facts.st_size == RESERVE_BYTES
    assert facts.st_blocks * 512 >= RESERVE_BYTES


def test_a_reserve_that_an_earlier_process_held_is_still_held(tmp_path, disk):
    Reserve(tmp_path)
    disk(0)
    assert Reserve(tmp_path).held


def test_giving_back_frees_the_room_once(tmp_path):
    reserve = Reserve(tmp_path)
    assert reserve.give_back()
    assert (tmp_path / "reserve").stat().st_size == 0
    assert not reserve.give_back()


def test_the_reserve_is_taken_again_only_when_as_much_would_stay_free(tmp_path, disk):
    reserve = Reserve(tmp_path)
    reserve.give_back()
    full = disk(2 * RESERVE_BYTES - 1)
    assert not reserve.take()
    full.free_bytes += 1
    assert reserve.take()
    assert reserve.take()


def test_the_reserve_takes_a_part_of_a_small_disk(tmp_path, disk):
    disk(1024 * 1024)
    assert Reserve(tmp_path).held
    assert (tmp_path / "reserve").stat().st_size == 256 * 1024


def test_a_disk_without_room_is_asked_again_later(tmp_path, disk):
    full = disk(RESERVE_MIN_BYTES)
    reserve = Reserve(tmp_path)
    assert not reserve.held
    assert not reserve.take()
    full.free_bytes = 100 * RESERVE_BYTES
    assert reserve.take()


def test_a_disk_that_refuses_leaves_nothing_half_held(tmp_path, monkeypatch):
    def refuse(descriptor, offset, size_bytes):
        os.ftruncate(descriptor, size_bytes // 2)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", refuse)
        assert not Reserve(tmp_path).held
    assert (tmp_path / "reserve").stat().st_size == 0
    assert Reserve(tmp_path).held


def test_a_folder_that_is_gone_holds_nothing_and_breaks_nothing(tmp_path):
    reserve = Reserve(tmp_path / "gone")
    assert not reserve.take()
    assert not reserve.give_back()
