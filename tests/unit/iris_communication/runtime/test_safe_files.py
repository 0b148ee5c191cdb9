"""Links that lead elsewhere, pipes that nobody writes into, umasks, and disks that refuse in the middle."""

import errno
import os
import stat

import pytest

from iris_communication.runtime.safe_files import open_no_follow, open_private, opened_folder, replace, sync_folder
from tests.own_process import in_a_process_of_its_own


@pytest.fixture
def link(tmp_path):
    (tmp_path / "foreign").write_bytes(b"not ours")
    (tmp_path / "link").symlink_to(tmp_path / "foreign")
    return tmp_path / "link"


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC])
@pytest.mark.parametrize("opening", [open_no_follow, open_private])
def test_a_link_is_refused_and_what_it_leads_to_is_untouched(link, opening, flags):
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        opening(link, flags)
    assert link.read_bytes() == b"not ours"


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.close(open_no_follow(tmp_path / "pipe", os.O_RDONLY))


def test_a_name_is_looked_for_in_the_folder_that_is_open_wherever_that_lies_by_now(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"ours")
    with opened_folder(folder) as inside:
        folder.rename(tmp_path / "moved")
        with os.fdopen(open_no_follow("file", os.O_RDONLY, inside=inside), "rb") as file:
            assert file.read() == b"ours"


@in_a_process_of_its_own
def test_a_private_file_is_its_owners_alone_whatever_the_umask(tmp_path):
    for umask in (0o000, 0o022, 0o277, 0o777):
        os.umask(umask)
        path = tmp_path / oct(umask)
        os.close(open_private(path, os.O_WRONLY))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_private_file_that_others_could_read_is_closed_to_them(tmp_path):
    (tmp_path / "file").touch(0o644)
    os.close(open_private(tmp_path / "file", os.O_RDONLY))
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_folder_that_is_a_file_or_is_gone_cannot_be_synced(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")


@pytest.fixture(params=["facts.json", "known_hosts"])
def path(tmp_path, request):
    return tmp_path / request.param


@pytest.mark.parametrize("content", [b"", b"new", os.urandom(3_000_000)], ids=["empty", "short", "long"])
def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(path, content):
    path.write_bytes(b"old")
    replace(path, content)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_replaced_file_is_synced_before_it_takes_its_name_and_its_folder_after(path, monkeypatch):
    steps = []
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", lambda descriptor: steps.append(stat.S_IFMT(os.fstat(descriptor).st_mode)))
        disk.setattr(os, "replace", lambda *_: steps.append("name"))
        replace(path, b"new")
    assert steps == [stat.S_IFREG, "name", stat.S_IFDIR]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_content_and_nothing_beside_it(path, monkeypatch, call):
    path.write_bytes(b"old")
    path.with_suffix(".new").touch(0o644)  # of a crash

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, call, refuse)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_that_takes_a_part_of_a_write_is_asked_again(path, monkeypatch):
    writing = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: writing(descriptor, bytes(data)[:2]))
    replace(path, b"new content")
    assert path.read_bytes() == b"new content"
