"""The bytes of one upload from the spool: read as asked, proved to be those that were accepted."""

import errno
import hashlib
import os

import pytest

from iris_communication.delivery.source import WHOLE_MAX_BYTES, UploadSource
from iris_communication.errors import OutboxStorageError, SourceChanged, SpoolMissing
from iris_communication.item import Fingerprint

SIZES = [1, 1000, WHOLE_MAX_BYTES, WHOLE_MAX_BYTES + 1, 700_001]


def spooled(tmp_path, size_bytes):
    """(its path, its content, a source that expects just that)."""
    path, content = tmp_path / "item", bytes(n % 251 for n in range(size_bytes))
    path.write_bytes(content)
    mark = Fingerprint(1, 2, size_bytes, 3, hashlib.sha256(content).hexdigest())
    return path, content, UploadSource(path, mark)


def read_all(source, size_bytes, piece=100_000):
    return b"".join(source.read(at, min(piece, size_bytes - at)) for at in range(0, size_bytes, piece))


def open_descriptors():
    return len(list(os.scandir("/proc/self/fd")))


@pytest.mark.parametrize("size_bytes", SIZES)
def test_pieces_that_are_read_are_the_file_and_are_confirmed(tmp_path, size_bytes):
    _, content, source = spooled(tmp_path, size_bytes)
    assert read_all(source, size_bytes) == content
    source.confirm()
    source.close()


def test_a_file_of_no_bytes_is_confirmed_without_being_read(tmp_path):
    path, _, source = spooled(tmp_path, 0)
    path.unlink()
    source.confirm()
    source.close()


@pytest.mark.parametrize("size_bytes", SIZES)
def test_other_bytes_of_the_same_size_are_not_confirmed(tmp_path, size_bytes):
    path, content, source = spooled(tmp_path, size_bytes)
    path.write_bytes(content[:-1] + b"\xff")
    read_all(source, size_bytes)
    with pytest.raises(SourceChanged, match="SHA-256") as caught:
        source.confirm()
    assert str(path) in str(caught.value)
    source.close()


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_file_that_became_shorter_is_noticed(tmp_path, size_bytes):
    path, content, source = spooled(tmp_path, size_bytes)
    path.write_bytes(content[:-1])
    with pytest.raises(SourceChanged, match=f"shorter than the {size_bytes} bytes"):
        read_all(source, size_bytes)
    source.close()


@pytest.mark.parametrize("size_bytes", SIZES)
def test_bytes_appended_since_are_left_out(tmp_path, size_bytes):
    path, content, source = spooled(tmp_path, size_bytes)
    path.write_bytes(content + b"more")
    assert read_all(source, size_bytes) == content
    source.confirm()
    source.close()


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_file_that_is_gone_is_named_by_its_path(tmp_path, size_bytes):
    path, _, source = spooled(tmp_path, size_bytes)
    path.unlink()
    with pytest.raises(SpoolMissing, match="No such file") as caught:
        source.read(0, 1)
    assert str(path) in str(caught.value)
    source.close()


def test_half_a_file_is_not_confirmed(tmp_path):
    _, _, source = spooled(tmp_path, 1000)
    source.read(0, 500)
    with pytest.raises(SourceChanged):
        source.confirm()


@pytest.mark.parametrize("size_bytes", [1000, 700_001])
def test_no_descriptor_outlives_the_source(tmp_path, size_bytes):
    before = open_descriptors()
    _, _, source = spooled(tmp_path, size_bytes)
    source.read(0, 100)
    source.close()
    source.close()
    assert open_descriptors() <= before


def test_a_small_file_holds_no_descriptor_while_it_waits_for_the_link(tmp_path):
    before = open_descriptors()
    _, _, source = spooled(tmp_path, WHOLE_MAX_BYTES)
    source.read(0, 100)
    assert open_descriptors() <= before


@pytest.mark.parametrize("size_bytes", [1000, 700_001])
def test_a_closed_source_opens_nothing_again(tmp_path, size_bytes):
    before = open_descriptors()
    _, _, source = spooled(tmp_path, size_bytes)
    source.read(0, 100)
    source.close()
    with pytest.raises(SpoolMissing, match="closed"):
        source.read(100, 100)
    assert open_descriptors() <= before


def test_a_system_that_refuses_for_now_is_not_the_files_fault(tmp_path, monkeypatch):
    """Too many open files, or a read error: the file is still owed, and no attempt is spent."""
    path = tmp_path / "held"
    path.write_bytes(b"1234")
    source = UploadSource(path, Fingerprint(1, 1, 4, 1, "0" * 64))

    def too_many(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", too_many)
    with pytest.raises(OutboxStorageError, match="Too many open files") as caught:
        source.read(0, 4)
    assert "LimitNOFILE" in caught.value.hint
