import errno
import fcntl
import os

import pytest

from iris_communication.outbox.files.file_lock import FileLock


def opened(path):
    return FileLock(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


@pytest.fixture(params=[False, True], ids=["with", "without"])
def path(request, tmp_path, monkeypatch):
    """With and without locks of an open file description."""
    if request.param:
        monkeypatch.setattr(fcntl, "fcntl", refuse)
    return tmp_path / "lock"


def refuse(*_):
    raise OSError(errno.EINVAL, "Invalid argument")


def test_a_lock_is_had_by_one_of_two_in_the_same_process(path):
    first, second = opened(path), opened(path)
    first.take_all()
    with pytest.raises(BlockingIOError):
        second.take_all()
    assert second.is_second
    first.take_all()  # harmless
    first.close()
    second.take_all()
    assert not second.is_second
    second.close()


def test_a_lock_outlives_other_descriptors_of_its_file(path):
    first = opened(path)
    first.take_all()
    path.open("rb").close()
    second = opened(path)
    with pytest.raises(BlockingIOError):
        second.take_all()
    first.close()
    second.close()


def test_the_file_is_locked_where_such_locks_are_unknown_too(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    first, second = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    first.take_all()
    assert not first.share(0, 1)
    with pytest.raises(BlockingIOError):
        second.take_all()
    first.close()
    second.close()


def test_a_file_that_was_replaced_is_not_the_one_at_the_path(path):
    lock = opened(path)
    assert lock.names(path)
    path.rename(path.with_name("aside"))
    assert not lock.names(path)
    path.touch()
    assert not lock.names(path)
    lock.close()


def test_a_descriptor_that_became_another_files_is_left_alone(path):
    lock = opened(path)
    with path.with_name("other").open("w") as first:
        other = os.dup2(first.fileno(), lock.descriptor)
    assert not lock.is_open
    lock.unlock()
    lock.close()
    os.fstat(other)
    os.close(other)


def test_a_shared_lock_on_part_of_a_file_excludes_an_exclusive_one(tmp_path):
    first, second = opened(tmp_path / "lock"), opened(tmp_path / "lock")
    assert first.share(10, 2)
    assert second.share(10, 2)
    second.unlock()
    with pytest.raises(BlockingIOError):
        second.take_all()
    first.unlock()
    second.take_all()
    first.close()
    second.close()
