"""A refusal is held against whose fault it is, and leaves nothing behind."""

import struct

import pytest

from iris_communication.errors import (
    Effect,
    RemoteDiskFull,
    RemoteFailure,
    RemoteNameRefused,
    RemoteRefused,
    Scope,
)
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import FAILURE, MemoryServer
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.spoiling_servers import LiesAboutSizes, TellsSizesLate
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


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (faulty.FolderClosedToUs(), RemoteRefused),
        (faulty.RefusesAWrite(1), RemoteFailure),
        (faulty.RefusesClose(), RemoteFailure),
        (faulty.KeepsHalf(), RemoteFailure),
        (faulty.RenamingForbidden(), RemoteRefused),
        (MemoryServer(capacity_bytes=10), RemoteDiskFull),
        (MemoryServer(capacity_bytes=0), RemoteDiskFull),
    ],
    ids=["OPEN", "WRITE", "CLOSE", "cut short", "RENAME", "disk full", "disk full from the start"],
)
def test_a_refusal_leaves_no_file_and_is_known_to_have_had_no_effect(server, kind):
    owed = failed(server, kind)
    assert server.files == {}
    assert owed.error.effect is Effect.NONE
    assert "/in/a.csv" in str(owed.error) or kind is RemoteDiskFull


def test_a_refused_write_is_told_where_looking_at_the_size_is_forbidden():
    class Server(faulty.RefusesAWrite):
        """Refuses the first WRITE, and every look at a file."""

        def answer(self, session, request):
            if isinstance(request, wire.Stat):
                return wire.Status(wire.FX_PERMISSION_DENIED, "no looking")
            return super().answer(session, request)

    server = Server(1)
    failed(server, RemoteFailure)
    assert server.files == {}


def test_the_rest_is_not_sent_after_a_refused_write_and_the_handle_is_closed():
    server, owed = faulty.RefusesAWrite(1), Owed(bytes(60 * 261_120))
    failed(server, RemoteFailure, owed)
    assert len(asked(server, WriteData)) < 20
    assert len(asked(server, wire.Close)) == 1
    assert server.files == {}


def test_a_size_that_is_known_only_after_the_close_is_asked_for_once_more():
    server = TellsSizesLate()
    delivered(server)
    assert server.files == {b"/in/a.csv": CONTENT}
    assert len(asked(server, wire.Stat)) == 2


def test_a_size_that_stays_wrong_is_believed_the_second_time():
    server = LiesAboutSizes()
    owed = failed(server, RemoteFailure)
    assert "kept 0 of 16 bytes" in str(owed.error)
    assert len(asked(server, wire.Stat)) == 2


def test_the_next_attempt_after_a_refusal_delivers():
    server, owed = faulty.RefusesAWrite(1), Owed(CONTENT)
    failed(server, RemoteFailure, owed)
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": CONTENT}


def test_a_name_the_server_does_not_take_is_never_tried_again():
    owed = failed(MemoryServer(), RemoteNameRefused, Owed(CONTENT, final_path=b"/in/" + b"n" * 256))
    assert "rename" in owed.error.hint


def test_a_full_disk_is_the_servers_fault_even_where_it_says_only_failure():
    owed = failed(MemoryServer(capacity_bytes=10), RemoteDiskFull)
    assert "16 bytes needed" in str(owed.error)


class TellsOfItsDisk(MemoryServer):
    """Refuses one kind of request with FAILURE, and says of its disk what it is asked."""

    def __init__(self, refused, free=800, files=100, free_files=8, flags=0):
        super().__init__()
        self.refused, self.numbers = (
            refused,
            (4096, 512, 2000, free, free, files, free_files, free_files, 7, flags, 255),
        )

    def answer(self, session, request):
        if isinstance(request, wire.Extended) and request.name == b"statvfs@openssh.com":
            return wire.ExtendedReply(struct.pack(">11Q", *self.numbers))
        creates = not isinstance(request, wire.Open) or request.flags & wire.CREATE
        return FAILURE if isinstance(request, self.refused) and creates else super().answer(session, request)


@pytest.mark.parametrize("refused", [wire.Open, WriteData, wire.Rename])
@pytest.mark.parametrize(
    ("disk", "text", "hint"),
    [
        ({"free_files": 0}, "takes no more files: 0 of 100 left under '/in'", "remove files on the server"),
        ({"flags": 1}, "is mounted read-only under '/in'", "mount it for writing"),
        ({"free": 0}, "is full: 0 bytes free under '/in'", "free space"),
    ],
    ids=["files", "read-only", "bytes"],
)
def test_a_disk_that_takes_nothing_is_the_servers_fault_at_whatever_step_it_refuses(refused, disk, text, hint):
    owed = failed(TellsOfItsDisk(refused, **disk), RemoteDiskFull)
    assert text in str(owed.error)
    assert hint in owed.error.hint


@pytest.mark.parametrize("disk", [{}, {"files": 0, "free_files": 0}, {"free": 1}], ids=["room", "no inodes", "little"])
def test_a_rename_that_a_disk_with_room_refuses_is_not_blamed_on_the_disk(disk):
    failed(TellsOfItsDisk(wire.Rename, **disk), RemoteFailure)


def test_a_full_disk_is_known_by_its_later_code():
    server = faulty.SpeaksLaterCodes(capacity_bytes=10)
    del server.extensions[b"statvfs@openssh.com"]
    failed(server, RemoteDiskFull)


def test_a_failed_write_is_a_failure_where_free_space_is_not_told():
    server = MemoryServer(capacity_bytes=10)
    del server.extensions[b"statvfs@openssh.com"]
    failed(server, RemoteFailure)


def test_every_file_that_meets_the_full_disk_at_once_finds_the_same_reason():
    """The first to give up frees what it had written; the others must not take that for room."""
    server = MemoryServer(capacity_bytes=1_000_000)
    owed = [Owed(b"x" * 600_000, final_path=b"/in/%d.csv" % n) for n in range(3)]
    assert at_once(MemoryLink(server).open(), owed) == [False] * 3
    assert [type(one.error) for one in owed] == [RemoteDiskFull] * 3
    assert server.files == {}


def test_a_refusal_with_space_left_is_not_blamed_on_the_disk():
    failed(faulty.RefusesAWrite(1), RemoteFailure)


def test_a_file_that_cannot_be_removed_again_is_looked_for_by_the_next_attempt():
    class Full(faulty.RemovingForbidden):
        """Nothing may be removed, and the disk is full for now."""

    server, owed = Full(capacity_bytes=10), Owed(CONTENT)
    failed(server, RemoteDiskFull, owed)
    assert owed.effect is Effect.UNSEEN
    server.capacity_bytes = None
    assert attempt(server, owed)
    assert server.content(b"/in/a.csv") == CONTENT


def test_a_refused_file_that_cannot_be_removed_again_is_told_to_the_next_attempt():
    class Server(faulty.RemovingForbidden, faulty.RefusesClose):
        """Cannot keep the file, and lets nobody remove what it has of it."""

    owed = failed(Server(), RemoteFailure)
    assert owed.error.scope is Scope.ITEM, "the server's own faults are told by the pool"
    temp = owed.temp_path(owed.item.token)
    assert owed.effect is Effect.UNSEEN
    assert owed.claim().earlier_temp == temp
