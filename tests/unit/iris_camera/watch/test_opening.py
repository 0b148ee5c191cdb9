"""A file or folder that another program replaces just after it was examined."""

import contextlib
import os

import pytest

from iris_camera.watch.file_state import state_of
from iris_camera.watch.listing import files_in
from iris_camera.watch.opening import opened_file, opened_folder
from iris_communication.errors import SourceReplaced
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
from tests.unit.iris_communication.outbox.made_outbox import ask_beside

SERVER = {"host": "h", "username": "u", "password": "p"}


@pytest.fixture
def tree(tmp_path):
    """A watched folder, and beside it a file that only this user may read."""
    for name in ("watched/inner/deep", "ours/deep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("watched/a", "watched/inner/a", "watched/inner/deep/a", "ours/a", "ours/deep/a"):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


def swapped(path, for_what):
    path.rename(path.with_name("away"))
    path.symlink_to(for_what)


SWAPS = {
    "the file": ("a", "a", "ours/a"),
    "a file of an inner folder": ("inner/a", "inner/a", "ours/a"),
    "its folder": ("inner/a", "inner", "ours"),
    "a folder further up": ("inner/deep/a", "inner", "ours"),
}


@pytest.mark.parametrize("swap", SWAPS)
def test_an_examination_follows_no_link(tree, swap):
    path, what, for_what = SWAPS[swap]
    root = os.fspath(tree / "watched")
    assert state_of(path, root=root, leases=False) is not None
    swapped(tree / "watched" / what, tree / for_what)
    assert state_of(path, root=root, leases=False) is None
    with pytest.raises(OSError), opened_file(root, path):  # noqa: PT011 - of what kind is the kernel's
        pass
    assert path not in [name for name, _ in files_in(root, recursive=True)]


@pytest.mark.parametrize("swap", SWAPS)
def test_a_swap_between_examination_and_taking_is_refused_and_no_descriptor_stays_open(tree, swap):
    path, what, for_what = SWAPS[swap]
    look = state_of(path, root=os.fspath(tree / "watched"), leases=False)
    request = SftpUploadRequest(SERVER, tree / "watched" / path, "p", "files", identity=look.identity)
    with contextlib.closing(SftpUploaderThread(tree / "outbox")) as uploader:
        uploader.open()
        before = tree / "watched" / what
        swapped(before, tree / for_what)
        (refused,) = uploader.submit_requests([request])
        assert isinstance(refused, SourceReplaced)
        assert uploader.get_stats()["total_queued"] == 0
        before.unlink()
        before.with_name("away").rename(before)
        (taken,) = uploader.submit_requests([request])
        statement = "SELECT id, content FROM items JOIN contents USING (sequence)"
        held = ask_beside(tree / "outbox" / "outbox.db", statement)
        assert held == [(taken[0].id, f"content of watched/{path}".encode())]


def test_a_file_replaced_by_another_is_refused_too(tree):
    look = state_of("a", root=os.fspath(tree / "watched"), leases=False)
    (tree / "new").write_text("another")
    (tree / "new").rename(tree / "watched" / "a")
    with contextlib.closing(SftpUploaderThread(tree / "outbox")) as uploader:
        uploader.open()
        with pytest.raises(SourceReplaced):
            uploader.submit(SftpUploadRequest(SERVER, tree / "watched" / "a", "p", "files", identity=look.identity))


def test_the_watched_folder_itself_may_be_named_by_a_link(tree):
    (tree / "link").symlink_to(tree / "watched")
    assert state_of("inner/a", root=os.fspath(tree / "link"), leases=False) is not None
    with opened_folder(os.fspath(tree / "link"), "inner/deep") as folder:
        assert os.listdir(folder) == ["a"]  # noqa: PTH208 - of a descriptor
