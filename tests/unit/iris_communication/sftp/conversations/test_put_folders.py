"""An upload makes the folders that are missing, and no others."""

import pytest

from iris_communication.errors import (
    Effect,
    RemoteRefused,
)
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import MemoryServer
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.conversations.one_attempt import (
    CONTENT,
    asked,
    at_once,
    attempt,
    delivered,
    failed,
    turns,
)
from tests.unit.iris_communication.sftp.owed import Owed


@pytest.mark.parametrize(
    ("path", "made"),
    [
        (b"/in/line-1/model/a.csv", {b"/in/line-1", b"/in/line-1/model"}),
        (b"line-1/model/a.csv", {b"/login/line-1", b"/login/line-1/model"}),
        (b"./line-1/a.csv", {b"/login/line-1"}),
        (b"/new/a.csv", {b"/new"}),
        (b"a.csv", set()),
    ],
)
def test_missing_folders_are_made(path, made):
    server = MemoryServer()
    before = set(server.folders)
    delivered(server, final_path=path)
    assert server.content(path) == CONTENT
    assert server.folders - before == made


def test_no_folder_is_made_before_the_server_says_that_one_is_missing():
    server = MemoryServer()
    delivered(server)
    assert asked(server, wire.MakeDirectory) == []


def test_neither_the_root_nor_the_login_folder_is_ever_made():
    server = MemoryServer()
    delivered(server, final_path=b"/new/a.csv")
    delivered(server, final_path=b"./new/b.csv")
    assert {request.path for request in asked(server, wire.MakeDirectory)} == {b"/new", b"./new"}


def test_files_that_miss_the_same_folder_all_arrive():
    owed = [Owed(CONTENT, final_path=b"/in/new/%d.csv" % n) for n in range(5)]
    assert at_once(MemoryLink(MemoryServer()).open(), owed) == [True] * 5


def test_missing_folders_cost_one_round_trip_however_many_there_are():
    assert turns(MemoryServer(), b"/in/1/2/3/4/a.csv") == turns(MemoryServer(), b"/in/a.csv") + 1


def test_a_server_that_works_at_several_requests_at_once_is_asked_for_one_folder_after_the_other():
    server = MemoryServer(rename_overwrites=True)
    assert turns(server, b"/in/1/a.csv") == turns(server, b"/in/a.csv") + 3  # MKDIR /in, MKDIR /in/1, OPEN


def test_files_that_miss_the_same_folder_ask_for_it_once():
    server, missing_folders = MemoryServer(), set()
    owed = [Owed(CONTENT, final_path=b"/in/new/%d.csv" % n) for n in range(5)]
    for one in owed:
        one.missing_folders = missing_folders
    assert at_once(MemoryLink(server).open(), owed) == [True] * 5
    assert [request.path for request in asked(server, wire.MakeDirectory)] == [b"/in", b"/in/new"]


def test_a_folder_that_was_made_and_is_gone_again_is_made_again():
    server, missing_folders = MemoryServer(), set()
    for _ in range(2):
        owed = Owed(CONTENT, final_path=b"/in/new/a.csv")
        owed.missing_folders = missing_folders
        assert attempt(server, owed), owed.error
        assert server.files.pop(b"/in/new/a.csv") == CONTENT
        server.folders.remove(b"/in/new")


def test_a_folder_that_is_missing_and_may_not_be_made_is_told():
    owed = failed(faulty.MakesNoFolders(), RemoteRefused, Owed(CONTENT, final_path=b"/in/new/a.csv"))
    assert "folder" in owed.error.hint
    assert owed.error.effect is Effect.NONE
