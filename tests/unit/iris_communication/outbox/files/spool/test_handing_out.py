"""The bytes are handed out under the name of their file, and are those that were accepted."""

import errno
import os

import pytest

from iris_communication.errors import (
    OutboxStorageError,
    SourceMissing,
    SourceNotAFile,
    SpoolMissing,
)
from iris_communication.item import Take
from iris_communication.outbox.files.spool import Spool, still_is
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors, write
from tests.unit.iris_communication.outbox.files.spool.spooling import failing, held


def test_a_source_written_to_afterwards_is_not_what_was_accepted(spool, source):
    mark = spool.take(str(source), "id", Take.COPY).fingerprint
    source.write_bytes(b"something else, later")
    assert not still_is(str(source), mark)


def test_a_source_that_was_replaced_is_not_what_was_accepted(spool, source):
    mark, facts = spool.take(str(source), "id", Take.COPY).fingerprint, source.stat()
    copy = write(source.with_name("copy"), source.read_bytes())
    copy.replace(source)
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert not still_is(str(source), mark)


def test_a_source_that_is_gone_is_not_what_was_accepted(spool, source):
    mark = spool.take(str(source), "id", Take.COPY).fingerprint
    source.unlink()
    assert not still_is(str(source), mark)


def test_a_file_of_the_year_9999_is_taken_and_still_recognised(spool, source):
    """A database's integers end in the year 2262."""
    year_9999_s = 253_402_300_799
    try:
        os.utime(source, (year_9999_s, year_9999_s))
    except OSError:
        pytest.skip("this file system's times end earlier")
    mark = spool.take(str(source), "id", Take.COPY).fingerprint
    assert mark.mtime_ns < 2**63
    assert still_is(str(source), mark)


def test_bytes_are_handed_out_under_the_files_own_name_while_they_are_needed(spool, source):
    spool.take(str(source), "id", Take.COPY)
    with spool.named("id", "a.csv") as path:
        assert (path.name, path.read_bytes()) == ("a.csv", source.read_bytes())
    assert not path.exists()
    assert spool.path("id").exists()


def test_bytes_are_handed_out_as_a_copy_where_the_file_system_cannot_link(spool, source, monkeypatch):
    spool.take(str(source), "id", Take.COPY)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    with spool.named("id", "a.csv") as path:
        assert path.read_bytes() == source.read_bytes()


def test_bytes_that_cannot_be_handed_out_are_our_disks_fault(spool, source, monkeypatch):
    spool.take(str(source), "id", Take.COPY)
    monkeypatch.setattr(os, "link", failing(errno.ENOSPC))
    with pytest.raises(OutboxStorageError, match="No space left"), spool.named("id", "a.csv"):
        pass


def test_bytes_that_are_gone_are_the_items_own_fault(spool):
    with pytest.raises(SpoolMissing, match=r"a\.csv"), spool.named("id", "a.csv"):
        pass


def test_an_error_of_whoever_uses_the_bytes_is_passed_on_as_it_is(spool, source):
    spool.take(str(source), "id", Take.COPY)
    with pytest.raises(FileNotFoundError, match="theirs"), spool.named("id", "a.csv"):
        raise FileNotFoundError("theirs")


@pytest.mark.parametrize("name", ["x" * 255, "a\nb.csv", 'it\'s "so".csv', "Größe.csv", os.fsdecode(b"\xff\xfe.csv")])
def test_bytes_are_handed_out_under_any_name_a_file_can_have(spool, source, name):
    spool.take(str(source), "id", Take.COPY)
    with spool.named("id", name) as path:
        assert path.name == name


def test_a_file_that_a_crash_left_handed_out_is_removed_and_the_bytes_stay(spool, source, tmp_path):
    spool.take(str(source), "id", Take.COPY)
    left = tmp_path / "outbox" / "handed-out" / "id"
    left.mkdir(parents=True)
    write(left / "a.csv")
    again = Spool(tmp_path / "outbox" / "spool", small_max_bytes=-1)
    assert not left.exists()
    assert held(again) == ["id"]


def test_forgetting_bytes_twice_is_harmless(spool, source):
    spool.take(str(source), "id", Take.COPY)
    spool.discard("id")
    spool.discard("id")
    assert held(spool) == []


def test_descriptors_are_given_back_whatever_happens(spool, source, tmp_path, monkeypatch):
    before = open_descriptors()
    spool.take(str(source), "one", Take.COPY)
    spool.take(str(source), "two", Take.MOVE)
    spool.sync()
    for bad in (tmp_path, tmp_path / "gone"):
        with pytest.raises((SourceMissing, SourceNotAFile)):
            spool.take(str(bad), "three", Take.COPY)
    monkeypatch.setattr(os, "fdatasync", failing(errno.EIO))
    for take in Take:
        with pytest.raises(OutboxStorageError):
            spool.take(str(source), "four", take)
    spool.close()
    assert open_descriptors() <= before
