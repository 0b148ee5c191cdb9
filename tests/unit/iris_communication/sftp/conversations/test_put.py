"""A file arrives whole on a sound server, or fails for the reason of its source."""

from dataclasses import replace

import pytest

from iris_communication.errors import (
    RemoteDiskFull,
    SourceChanged,
    SpoolMissing,
)
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.server_wire import WriteData
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.conversations.one_attempt import (
    CONTENT,
    asked,
    at_once,
    attempt,
    delivered,
    failed,
)
from tests.unit.iris_communication.sftp.owed import Owed


@pytest.mark.parametrize("size_bytes", [1, 261_120, 261_121, 700_001])
def test_a_file_arrives_whole_under_its_final_name_and_nothing_else_is_left(size_bytes):
    server, content = MemoryServer(), bytes(n % 251 for n in range(size_bytes))
    owed = Owed(content)
    assert attempt(server, owed)
    assert owed.landed == b"/in/a.csv"
    assert server.files == {b"/in/a.csv": content}


def opensshs_own(**facts):
    server = MemoryServer(**facts)
    server.extensions |= {b"lsetstat@openssh.com": b"1", b"expand-path@openssh.com": b"1"}
    return server


def test_a_server_that_says_what_it_kept_is_not_asked_once_more():
    server = opensshs_own()
    delivered(server)
    assert asked(server, wire.Stat) == []
    delivered(server := MemoryServer())
    assert len(asked(server, wire.Stat)) == 1


def test_a_server_that_says_it_did_not_keep_the_bytes_is_believed():
    server = opensshs_own(capacity_bytes=10)
    failed(server, RemoteDiskFull)
    assert server.files == {}


def test_the_permissions_are_set_all_the_same(monkeypatch):
    server, owed = opensshs_own(), Owed(CONTENT)
    claim = owed.claim
    monkeypatch.setattr(owed, "claim", lambda: replace(claim(), file_mode=0o640))
    assert attempt(server, owed), owed.error
    assert len(asked(server, wire.SetStat)) == 1
    assert asked(server, wire.Stat) == []


def test_a_file_of_no_bytes_arrives_without_a_write():
    server, owed = MemoryServer(), Owed(b"")
    assert attempt(server, owed)
    assert server.content(b"/in/a.csv") == b""
    assert asked(server, WriteData) == []


def test_a_file_costs_five_requests_on_a_server_that_refuses_taken_names():
    server = MemoryServer()
    delivered(server)
    assert [type(request) for request in server.asked[1:]] == [wire.Open, WriteData, wire.Close, wire.Stat, wire.Rename]


def test_the_file_is_written_under_a_hidden_name_that_is_asked_for_exclusively():
    server = MemoryServer()
    owed = delivered(server)
    (opened,) = asked(server, wire.Open)
    assert opened == wire.Open(owed.temp_path(owed.item.token), wire.WRITE | wire.CREATE | wire.EXCLUSIVE)


@pytest.mark.parametrize(
    "path", [b"/in/a\nb.csv", b"/in/'\".csv", b"/in/\xff\xfe.csv", "/in/ü.csv".encode(), b"/in/" + b"n" * 255]
)
def test_any_name_arrives_as_it_is(path):
    server = MemoryServer()
    assert delivered(server, final_path=path).landed == path
    assert server.content(path) == CONTENT


@pytest.mark.parametrize(
    "server",
    [
        faulty.AnswersOutOfOrder(),
        faulty.StatusWithoutText(),
        faulty.RefusesItsOwnLimits(),
        MemoryServer(announces_limits=False),
        MemoryServer(rename_overwrites=True),
        MemoryServer(handles_max=1),
        faulty.SecondFileDenied(),
        faulty.MakesNoFolders(),
        faulty.RemovingForbidden(),
    ],
    ids=lambda server: type(server).__name__,
)
def test_many_files_at_once_arrive_on_servers_with_manners_of_their_own(server):
    owed = [Owed(b"%d" % n * 50_000, final_path=b"/in/%d.csv" % n) for n in range(10)]
    assert at_once(MemoryLink(server).open(), owed) == [True] * 10
    assert server.files == {one.final_path: one.content for one in owed}


def test_a_source_that_changed_is_not_given_its_name():
    server, owed = MemoryServer(), Owed(CONTENT)
    owed.changed = True
    failed(server, SourceChanged, owed)
    assert server.files == {}
    assert asked(server, wire.Rename) == []


def test_a_source_that_cannot_be_read_fails_with_its_own_error():
    class Gone:
        content = CONTENT

        def read(self, offset, size_bytes):
            raise SpoolMissing("spool/17 cannot be read")

        def confirm(self):
            raise AssertionError("it was never read")

    server, owed = MemoryServer(), Owed(CONTENT)
    link = MemoryLink(server).open()
    upload, conversation = owed.begin(link)
    conversation.source = Gone()
    link.run()
    assert not owed.settle(upload, conversation)
    assert str(owed.error) == "spool/17 cannot be read"
    assert owed.error.__cause__ is None
    assert server.files == {}
