"""A source that states a wrong size is taken with the bytes it has, and one without an end is not."""

import errno
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from iris_communication.errors import (
    SourceChanged,
    SourceNotAFile,
)
from iris_communication.item import Take
from tests.unit.iris_communication.outbox.files.spool.spooling import failing, held


def made_up_by_the_kernel():
    """Readable files that stay as they are, and have another size than they say: none, or more than they have."""
    paths = ("/proc/sys/fs/file-max", "/proc/sys/kernel/ostype", "/proc/version", "/proc/cpuinfo", "/proc/self/maps")
    paths += ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/devices/system/cpu/online", "/sys/kernel/notes")
    return [path for path in paths if os.access(path, os.R_OK)]


@pytest.mark.parametrize("take", Take)
@pytest.mark.parametrize("path", made_up_by_the_kernel())
def test_files_that_the_kernel_makes_up_are_taken_as_any_reader_gets_them(spool, path, take):
    mark, content = spool.take(path, "id", take).fingerprint, Path(path).read_bytes()
    if path in ("/proc/cpuinfo", "/proc/self/maps"):  # they change under us
        content = spool.path("id").read_bytes()
        assert len(content) > 100
    assert (spool.path("id").read_bytes(), mark.size_bytes) == (content, len(content))
    assert mark.sha256 == hashlib.sha256(content).hexdigest()


def lying(source, size_bytes):
    """`os.fstat` with another size for the source, as some FUSE file systems have it."""
    looking, itself = os.fstat, source.stat()

    def look(descriptor):
        facts = looking(descriptor)
        if not os.path.samestat(facts, itself):
            return facts
        names = [name for name in dir(facts) if name.startswith("st_")]
        return SimpleNamespace(**{**{name: getattr(facts, name) for name in names}, "st_size": size_bytes})

    return look


@pytest.mark.parametrize("told_bytes", [0, 1, 6, 8, 100, 3_000_000])
@pytest.mark.parametrize("content", [b"", b"a;b\n1;2\n", bytes(300_000), bytes(1_500_000)], ids=len)
def test_a_file_that_states_another_size_is_taken_with_the_bytes_it_has(
    spool, source, monkeypatch, content, told_bytes
):
    source.write_bytes(content)
    with monkeypatch.context() as system:
        system.setattr(os, "fstat", lying(source, told_bytes))
        mark = spool.take(str(source), "id", Take.COPY).fingerprint
    assert mark.size_bytes == len(content)
    assert mark.sha256 == hashlib.sha256(content).hexdigest()
    assert spool.path("id").read_bytes() == content


@pytest.mark.parametrize("size_bytes", [10, 200_000])
def test_a_source_that_is_cut_short_while_it_is_read_is_taken_with_what_was_read(
    spool, source, monkeypatch, size_bytes
):
    source.write_bytes(bytes(2 * size_bytes))
    looking = os.fstat

    def look_and_cut(descriptor):
        facts = looking(descriptor)
        os.truncate(source, size_bytes)
        return facts

    with monkeypatch.context() as system:
        system.setattr(os, "fstat", look_and_cut)
        mark = spool.take(str(source), "id", Take.COPY).fingerprint
    assert (mark.size_bytes, spool.path("id").stat().st_size) == (size_bytes, size_bytes)


def test_a_source_without_an_end_is_given_up_and_leaves_nothing_behind(spool, source, monkeypatch):
    monkeypatch.setattr("iris_communication.outbox.files.spool.GROWS_MAX_BYTES", 1024 * 1024)
    reading = os.read

    def reading_for_ever(descriptor, size_bytes):
        with source.open("ab") as file:
            file.write(bytes(size_bytes))
        return reading(descriptor, size_bytes)

    monkeypatch.setattr(os, "read", reading_for_ever)
    with pytest.raises(SourceChanged, match="grew by over 1 MiB while it was read"):
        spool.take(str(source), "id", Take.COPY)
    assert held(spool) == []


def test_a_source_that_makes_its_readers_wait_is_no_file(spool, source, monkeypatch):
    monkeypatch.setattr(os, "read", failing(errno.EAGAIN))
    with pytest.raises(SourceNotAFile, match="blocks its readers"):
        spool.take(str(source), "id", Take.COPY)
    assert held(spool) == []
