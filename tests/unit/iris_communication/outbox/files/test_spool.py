import errno
import hashlib
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from iris_communication.errors import (
    OutboxStorageError,
    Scope,
    SourceChanged,
    SourceMissing,
    SourceNotAFile,
    SourceUnreadable,
    SpoolMissing,
)
from iris_communication.item import Take
from iris_communication.outbox.files.spool import COPY_MAX_BYTES, Spool, still_is
from tests.unit.iris_communication.outbox.fake_parts import open_descriptors, write

OUR_OWN = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE, errno.EINTR, errno.ENOTCONN, errno.ENODEV]
CANNOT_LINK = [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP]


@pytest.fixture
def spool(tmp_path):
    (tmp_path / "outbox").mkdir()
    return Spool(tmp_path / "outbox" / "spool")


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "a.csv")


def is_linked(spool, source):
    return spool.path("id").samefile(source)


def held(spool):
    return sorted(spool.sizes())


def descriptors_of(folder):
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return [int(link.name) for link in links if link.readlink() == folder]


def failing(error_number):
    def fail(*_args, **_options):
        raise OSError(error_number, os.strerror(error_number))

    return fail


def test_a_fingerprint_is_of_the_bytes_that_were_taken(spool, source):
    mark, facts = spool.take(str(source), "id", Take.COPY), source.stat()
    assert mark.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (mark.size_bytes, mark.mtime_ns) == (facts.st_size, facts.st_mtime_ns)
    assert still_is(str(source), mark)


def test_an_empty_file_is_legal(spool, tmp_path):
    mark = spool.take(str(write(tmp_path / "empty", b"")), "id", Take.COPY)
    assert (mark.size_bytes, spool.path("id").read_bytes()) == (0, b"")


@pytest.mark.parametrize(("size_bytes", "linked"), [(COPY_MAX_BYTES, False), (COPY_MAX_BYTES + 1, True)])
def test_a_file_of_one_mib_is_copied_and_a_larger_one_is_linked(spool, tmp_path, size_bytes, linked):
    source = write(tmp_path / "a.bin", b"x" * size_bytes)
    assert spool.take(str(source), "id", Take.COPY).size_bytes == size_bytes
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
    mark = spool.take(str(source), "id", Take.MOVE)
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
    mark = spool.take(str(source), "id", Take.MOVE)
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


def made_up_by_the_kernel():
    """Readable files that stay as they are, and have another size than they say: none, or more than they have."""
    paths = ("/proc/sys/fs/file-max", "/proc/sys/kernel/ostype", "/proc/version", "/proc/cpuinfo", "/proc/self/maps")
    paths += ("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/devices/system/cpu/online", "/sys/kernel/notes")
    return [path for path in paths if os.access(path, os.R_OK)]


@pytest.mark.parametrize("take", Take)
@pytest.mark.parametrize("path", made_up_by_the_kernel())
def test_files_that_the_kernel_makes_up_are_taken_as_any_reader_gets_them(spool, path, take):
    mark, content = spool.take(path, "id", take), Path(path).read_bytes()
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
        mark = spool.take(str(source), "id", Take.COPY)
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
        mark = spool.take(str(source), "id", Take.COPY)
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
        mark = spool.take(str(source), "id", Take.COPY)
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


def test_a_source_written_to_afterwards_is_not_what_was_accepted(spool, source):
    mark = spool.take(str(source), "id", Take.COPY)
    source.write_bytes(b"something else, later")
    assert not still_is(str(source), mark)


def test_a_source_that_was_replaced_is_not_what_was_accepted(spool, source):
    mark, facts = spool.take(str(source), "id", Take.COPY), source.stat()
    copy = write(source.with_name("copy"), source.read_bytes())
    copy.replace(source)
    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert not still_is(str(source), mark)


def test_a_source_that_is_gone_is_not_what_was_accepted(spool, source):
    mark = spool.take(str(source), "id", Take.COPY)
    source.unlink()
    assert not still_is(str(source), mark)


def test_a_file_of_the_year_9999_is_taken_and_still_recognised(spool, source):
    """A database's integers end in the year 2262."""
    year_9999_s = 253_402_300_799
    try:
        os.utime(source, (year_9999_s, year_9999_s))
    except OSError:
        pytest.skip("this file system's times end earlier")
    mark = spool.take(str(source), "id", Take.COPY)
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
    again = Spool(tmp_path / "outbox" / "spool")
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
