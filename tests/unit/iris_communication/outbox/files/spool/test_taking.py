"""A source is copied or linked as it is, and nothing but a file is taken."""

import errno
import hashlib
import os
import socket
from pathlib import Path

import pytest

from iris_communication.errors import (
    SourceMissing,
    SourceNotAFile,
    SourceUnreadable,
)
from iris_communication.item import Take
from iris_communication.outbox.files.spool import COPY_MAX_BYTES, still_is
from tests.unit.iris_communication.outbox.fake_parts import write
from tests.unit.iris_communication.outbox.files.spool.spooling import failing, held

CANNOT_LINK = [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP]


def is_linked(spool, source):
    return spool.path("id").samefile(source)


def descriptors_of(folder):
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return [int(link.name) for link in links if link.readlink() == folder]


def test_a_fingerprint_is_of_the_bytes_that_were_taken(spool, source):
    mark, facts = spool.take(str(source), "id", Take.COPY).fingerprint, source.stat()
    assert mark.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (mark.size_bytes, mark.mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    assert still_is(str(source), mark)


def test_an_empty_file_is_legal(spool, tmp_path):
    mark = spool.take(str(write(tmp_path / "empty", b"")), "id", Take.COPY).fingerprint
    assert (mark.size_bytes, spool.path("id").read_bytes()) == (0, b"")


@pytest.mark.parametrize(("size_bytes", "linked"), [(COPY_MAX_BYTES, False), (COPY_MAX_BYTES + 1, True)])
def test_a_file_of_one_mib_is_copied_and_a_larger_one_is_linked(spool, tmp_path, size_bytes, linked):
    source = write(tmp_path / "a.bin", b"x" * size_bytes)
    assert spool.take(str(source), "id", Take.COPY).fingerprint.size_bytes == size_bytes
    assert is_linked(spool, source) is linked
    assert spool.path("id").read_bytes() == source.read_bytes()


def test_a_small_file_that_is_handed_over_is_linked(spool, source):
    spool.take(str(source), "id", Take.MOVE)
    assert is_linked(spool, source)


def test_a_copy_is_readable_by_its_owner_alone(spool, source):
    spool.take(str(source), "id", Take.COPY)
    assert spool.path("id").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("error_number", CANNOT_LINK, ids=errno.errorcode.get)
def test_the_file_is_copied_where_the_file_system_cannot_link(spool, source, monkeypatch, error_number):
    monkeypatch.setattr(os, "link", failing(error_number))
    mark = spool.take(str(source), "id", Take.MOVE).fingerprint
    assert not is_linked(spool, source)
    assert (spool.path("id").read_bytes(), mark.size_bytes) == (source.read_bytes(), source.stat().st_size)


def test_a_link_is_made_of_the_file_behind_a_symbolic_link(spool, source, tmp_path):
    (tmp_path / "pointer").symlink_to(source)
    spool.take(str(tmp_path / "pointer"), "id", Take.MOVE)
    assert is_linked(spool, source)


def test_a_name_that_is_given_to_another_file_meanwhile_is_held_as_it_was_opened(spool, source, monkeypatch):
    link, content = os.link, source.read_bytes()

    def too_late(*names, **options):
        write(source.with_name("other.csv"), b"another file").replace(source)
        link(*names, **options)

    monkeypatch.setattr(os, "link", too_late)
    mark = spool.take(str(source), "id", Take.MOVE).fingerprint
    assert spool.path("id").read_bytes() == content
    assert mark.sha256 == hashlib.sha256(content).hexdigest()


def test_a_missing_source_is_named(spool, tmp_path):
    with pytest.raises(SourceMissing, match=r"gone\.csv' does not exist"):
        spool.take(str(tmp_path / "gone.csv"), "id", Take.COPY)
    assert held(spool) == []


def test_a_descriptor_that_is_another_files_by_now_is_neither_synced_nor_closed(spool, source, tmp_path, monkeypatch):
    """After an `os.closerange` of the program's, numbers are given anew."""
    spool.sync()
    (number,) = descriptors_of(spool.path("x").parent)
    first = os.open(tmp_path, os.O_RDONLY)
    other = os.dup2(first, number)
    synced = []
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
        spool.sync()
    assert synced == [spool.path("x").parent.stat().st_ino]
    spool.close()
    assert os.path.samestat(os.fstat(other), tmp_path.stat())
    os.close(other)
    os.close(first)


def test_a_folder_that_was_exchanged_is_the_one_that_is_synced(spool, monkeypatch):
    folder = spool.path("x").parent
    spool.sync()
    folder.rename(folder.with_name("moved"))
    folder.mkdir()
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    spool.sync()
    assert synced == [folder.stat().st_ino]


def test_a_source_below_a_file_is_missing(spool, source):
    with pytest.raises(SourceMissing):
        spool.take(f"{source}/below", "id", Take.COPY)


def test_an_unreadable_source_is_named(spool, source, monkeypatch):
    opening = os.open

    def forbidding(path, *args, **options):
        if path == str(source):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opening(path, *args, **options)

    monkeypatch.setattr(os, "open", forbidding)
    with pytest.raises(SourceUnreadable, match=r"a\.csv' cannot be read: Permission denied"):
        spool.take(str(source), "id", Take.COPY)


def test_a_folder_is_not_a_file(spool, tmp_path):
    with pytest.raises(SourceNotAFile, match="is a folder"):
        spool.take(str(tmp_path), "id", Take.COPY)


def test_a_named_pipe_is_not_waited_for(spool, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceNotAFile, match="is a named pipe"):
        spool.take(str(tmp_path / "pipe"), "id", Take.COPY)


def test_a_socket_is_not_a_file(spool, tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(SourceUnreadable):
            spool.take(str(tmp_path / "s"), "id", Take.COPY)


def test_a_device_is_not_a_file(spool):
    with pytest.raises(SourceNotAFile, match="is a device"):
        spool.take("/dev/null", "id", Take.COPY)
