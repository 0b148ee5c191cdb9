"""A full disk: the reserve makes room for deliveries, and acceptance goes on once there is room."""

import os

import pytest

from iris_communication.errors import (
    OutboxStorageError,
)
from iris_communication.outbox.writer import writer as writer_module
from iris_communication.outbox.writer.claiming import CLAIM_MAX_ON_A_FULL_DISK
from tests.unit.iris_communication.outbox import fake_parts
from tests.unit.iris_communication.outbox.fake_parts import (
    LONG_S,
    DiskRefuses,
    FaultyStore,
    open_writer,
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(writer_module, "STORE_RETRY_S", 0.01)


def test_a_commit_that_fails_gives_the_reserve_back_so_that_deliveries_make_room(outbox, source, sources, monkeypatch):
    """A disk that the spool has filled: without the reserve's room no commit would ever succeed again."""
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    receipt = outbox.accept(source)
    outbox.store.on_commit = commits_need_room(outbox)
    assert outbox.claim() == []
    (item,) = outbox.claim()
    outbox.deliver(item)
    assert receipt.wait_delivered(LONG_S)
    with pytest.raises(OutboxStorageError, match="is full: No space left on device"):
        outbox.accept(sources[0])
    assert outbox.stats == (1, 1, 0, 0)


def test_acceptance_goes_on_once_there_is_room_for_the_reserve(outbox, source, sources, monkeypatch):
    outbox.store.refuse = True
    with monkeypatch.context() as disk:
        disk.setattr(os, "posix_fallocate", no_room)
        with pytest.raises(OutboxStorageError):
            outbox.accept(source)
    outbox.store.refuse = False
    outbox.accept(sources[0])
    assert outbox.stats.queue_size == 1


def test_room_that_only_the_databases_log_holds_is_found(outbox, source, sources, monkeypatch):
    allocate = os.posix_fallocate
    outbox.store.refuse = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    outbox.store.refuse = False
    opened = outbox.store.opened
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: no_room() if outbox.store.opened == opened else allocate(*_))
    outbox.accept(sources[0])
    assert outbox.stats.queue_size == 1


def test_a_full_disk_is_not_made_busy_by_looking_for_room(outbox, source, sources, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    outbox.store.refuse = True
    with pytest.raises(OutboxStorageError):
        outbox.accept(source)
    outbox.store.refuse = False
    opened = outbox.store.opened
    for path in sources:
        with pytest.raises(OutboxStorageError):
            outbox.accept(path)
    assert outbox.store.opened == opened + 1


def test_claims_are_small_on_a_full_disk(outbox, sources, monkeypatch):
    for path in sources:
        outbox.accept(path)
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    outbox.store.on_commit = commits_need_room(outbox)
    assert outbox.claim() == []
    assert len(outbox.claim()) == CLAIM_MAX_ON_A_FULL_DISK


def test_an_outbox_whose_disk_is_full_opens_on_its_reserve(tmp_path, source, monkeypatch):
    folder = tmp_path / "outbox"
    with open_writer(folder) as outbox:
        outbox.accept(source)
    opened = []

    class NeedsRoom(FaultyStore):
        def __init__(self, *args):
            opened.append((folder / "reserve").stat().st_size)
            if opened[-1]:
                raise OutboxStorageError("no space left on device")
            super().__init__(*args)

    monkeypatch.setattr(fake_parts, "FaultyStore", NeedsRoom)
    with open_writer(folder) as outbox:
        assert len(outbox.claim()) == 1
    assert [size > 0 for size in opened] == [True, False]


def no_room(*_):
    raise OSError(28, "No space left on device")


def commits_need_room(outbox):
    def commit(changes):
        if (outbox.folder / "reserve").stat().st_size:
            raise DiskRefuses

    return commit
