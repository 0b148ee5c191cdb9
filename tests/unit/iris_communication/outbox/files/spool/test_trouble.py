"""Trouble of our process, machine or disk is never the fault of a file."""

import errno
import os
from pathlib import Path

import pytest

from iris_communication.errors import (
    OutboxStorageError,
    Scope,
    SourceUnreadable,
)
from iris_communication.item import Take
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors
from tests.unit.iris_communication.outbox.files.spool.spooling import failing, held

OUR_OWN = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EINTR, errno.ENOTCONN, errno.ENODEV]


def failing_for(source, call, error_number):
    """`call`, refused for the source and for nothing else."""
    calling = getattr(os, call)

    def fail(first, *args, **options):
        if first == str(source) if call == "open" else os.path.samestat(os.fstat(first), source.stat()):
            raise OSError(error_number, os.strerror(error_number))
        return calling(first, *args, **options)

    return fail


@pytest.mark.parametrize("take", Take)
@pytest.mark.parametrize("error_number", OUR_OWN, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["open", "read"])
def test_trouble_of_our_process_or_machine_refuses_the_source_and_leaves_nothing_behind(
    spool, source, monkeypatch, call, error_number, take
):
    spool.sync()  # its folder stays open
    before = open_descriptors()
    with monkeypatch.context() as system:
        system.setattr(os, call, failing_for(source, call, error_number))
        with pytest.raises(OutboxStorageError, match=f"a.csv' cannot be read: {os.strerror(error_number)}") as caught:
            spool.take(str(source), "id", take)
    assert caught.value.scope is Scope.OUTBOX
    assert "permission" not in caught.value.hint
    assert held(spool) == []
    assert open_descriptors() <= before


def test_a_source_that_cannot_be_looked_at_for_now_is_refused_and_closed(spool, source, monkeypatch):
    before = open_descriptors()
    with monkeypatch.context() as system:
        system.setattr(os, "fstat", failing(errno.ESTALE))
        with pytest.raises(OutboxStorageError, match="Stale file handle"):
            spool.take(str(source), "id", Take.COPY)
    assert open_descriptors() <= before


@pytest.mark.parametrize("error_number", [errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO], ids=errno.errorcode.get)
def test_an_error_of_the_file_itself_is_held_against_it(spool, source, monkeypatch, error_number):
    monkeypatch.setattr(os, "open", failing_for(source, "open", error_number))
    with pytest.raises(SourceUnreadable) as caught:
        spool.take(str(source), "id", Take.COPY)
    assert ("permission" in caught.value.hint) is (error_number in (errno.EACCES, errno.EPERM))


@pytest.mark.parametrize(
    ("error_number", "text"), [(errno.EMFILE, "LimitNOFILE"), (errno.ENFILE, "fs.file-max"), (errno.ENOSPC, "free")]
)
def test_the_hint_of_our_own_trouble_names_the_setting(spool, source, monkeypatch, error_number, text):
    monkeypatch.setattr(os, "open", failing(error_number))
    with pytest.raises(OutboxStorageError) as caught:
        spool.take(str(source), "id", Take.COPY)
    assert text in caught.value.hint


@pytest.mark.parametrize("error_number", [errno.EMFILE, errno.ENOSPC], ids=errno.errorcode.get)
def test_a_copy_that_cannot_be_opened_is_our_own_trouble(spool, source, monkeypatch, error_number):
    opening = os.open

    def refusing(path, flags, *rest, **options):
        if flags & os.O_CREAT:
            raise OSError(error_number, os.strerror(error_number))
        return opening(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(OutboxStorageError) as caught:
        spool.take(str(source), "id", Take.COPY)
    assert caught.value.hint != OutboxStorageError.default_hint


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_full_disk_of_ours_is_not_the_files_fault_and_leaves_nothing_behind(spool, source, monkeypatch, call):
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(OutboxStorageError, match=rf"a\.csv.*{spool.path('')}.*No space left"):
        spool.take(str(source), "id", Take.COPY)
    assert held(spool) == []


def test_a_copy_is_synced_once_its_last_byte_is_written_and_before_it_is_closed(spool, source, monkeypatch):
    steps, fdatasync, close = [], os.fdatasync, os.close

    def name_of(descriptor):
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    def syncing(descriptor):
        steps.append(("sync", name_of(descriptor), os.fstat(descriptor).st_size))
        fdatasync(descriptor)

    def closing(descriptor):
        steps.append(("close", name_of(descriptor), os.fstat(descriptor).st_size))
        close(descriptor)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fdatasync", syncing)
        disk.setattr(os, "close", closing)
        mark = spool.take(str(source), "id", Take.COPY).fingerprint
    of_the_copy = [(step, size_bytes) for step, name, size_bytes in steps if name == "id"]
    assert of_the_copy == [("sync", mark.size_bytes), ("close", mark.size_bytes)]


def test_a_linked_file_that_cannot_be_synced_leaves_nothing_behind(spool, source, monkeypatch):
    monkeypatch.setattr(os, "fdatasync", failing(errno.EIO))
    with pytest.raises(OutboxStorageError, match="Input/output error"):
        spool.take(str(source), "id", Take.MOVE)
    assert held(spool) == []


def test_a_disk_that_writes_less_than_asked_is_asked_again(spool, source, monkeypatch):
    writing = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: writing(descriptor, bytes(data[:3])))
    spool.take(str(source), "id", Take.COPY)
    assert spool.path("id").read_bytes() == source.read_bytes()


def test_a_folder_that_cannot_be_synced_is_our_disks_fault(spool, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OutboxStorageError, match="Input/output error"):
        spool.sync()
