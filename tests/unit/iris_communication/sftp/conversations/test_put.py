"""Every rule of an upload, against servers in memory."""

import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.errors import (
    Effect,
    LinkLost,
    ProtocolViolation,
    RemoteDiskFull,
    RemoteFailure,
    RemoteNameRefused,
    RemoteNameTaken,
    RemoteRefused,
    Scope,
    SourceChanged,
    SpoolMissing,
)
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer, ServerDies
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.spoiling_servers import LiesAboutSizes, TellsSizesLate
from tests.memory_link import MemoryLink
from tests.thorough import examples, some
from tests.unit.iris_communication.sftp.owed import Owed

CONTENT = b"id,label\n1,good\n"
OTHER = b"id,label\n1,evil\n"  # of the same size
ALTERNATIVE = b"/in/a." + hashlib.sha256(CONTENT).hexdigest()[:8].encode() + b".csv"


def attempt(server, owed, **link):
    return owed.attempt(MemoryLink(server, **link))


def at_once(link, owed):
    """One attempt of each, all on one link: which of them delivered."""
    begun = [one.begin(link) for one in owed]
    link.run()
    return [one.settle(*attempt_) for one, attempt_ in zip(owed, begun, strict=True)]


def delivered(server, **facts):
    """One attempt that has to deliver."""
    owed = Owed(CONTENT, **facts)
    assert attempt(server, owed), owed.error
    return owed


def failed(server, kind, owed=None):
    """One attempt that has to fail with this error, and leaves no temporary file."""
    owed = owed or Owed(CONTENT)
    assert not attempt(server, owed)
    assert type(owed.error) is kind
    return owed


def asked(server, *kinds):
    return [request for request in server.asked if isinstance(request, kinds)]


# -- a sound server


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


# -- folders


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


def turns(server, path):
    """How often something went there and came back until a file was delivered."""
    link, counted = MemoryLink(server).open(), []
    link.on_turn = lambda: counted.append(path)
    assert at_once(link, [Owed(CONTENT, final_path=path)]) == [True]
    return len(counted)


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


# -- refusals: whose fault, and nothing left behind


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


# -- the source


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
    upload, _ = owed.begin(link)
    conversation = link.session._live.copy().pop()
    conversation.source = Gone()
    link.run()
    assert not owed.settle(upload, conversation)
    assert str(owed.error) == "spool/17 cannot be read"
    assert owed.error.__cause__ is None
    assert server.files == {}


# -- a final name that is taken


@pytest.mark.parametrize("overwrites", [False, True], ids=["refuses", "overwrites"])
class TestTakenNames:
    """The same on servers that refuse a RENAME onto an existing name and on those that overwrite without a word."""

    @pytest.fixture
    def server(self, overwrites):
        return MemoryServer(rename_overwrites=overwrites)

    @pytest.mark.parametrize("other", [OTHER, b"", CONTENT + b"more"], ids=["same size", "empty", "longer"])
    def test_other_content_is_not_overwritten(self, server, other):
        server.files[b"/in/a.csv"] = bytearray(other)
        assert delivered(server).landed == ALTERNATIVE
        assert server.files == {b"/in/a.csv": other, ALTERNATIVE: CONTENT}

    def test_the_same_content_counts_as_delivered(self, server):
        server.files[b"/in/a.csv"] = bytearray(CONTENT)
        assert delivered(server).landed == b"/in/a.csv"
        assert server.files == {b"/in/a.csv": CONTENT}

    def test_the_same_content_under_the_alternative_name_counts_as_delivered(self, server):
        server.files |= {b"/in/a.csv": bytearray(OTHER), ALTERNATIVE: bytearray(CONTENT)}
        assert delivered(server).landed == ALTERNATIVE
        assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}

    def test_an_empty_file_is_compared_like_any_other(self, server):
        server.files[b"/in/a.csv"] = bytearray()
        assert attempt(server, owed := Owed(b""))
        assert owed.landed == b"/in/a.csv"
        assert server.files == {b"/in/a.csv": b""}

    def test_a_large_file_is_compared_to_its_last_byte(self, server):
        content = bytes(n % 251 for n in range(600_000))
        server.files[b"/in/a.csv"] = bytearray(content[:-1] + b"?")
        owed = Owed(content)
        assert attempt(server, owed)
        assert owed.landed != b"/in/a.csv"
        assert server.content(owed.landed) == content

    def test_two_names_that_are_taken_are_told_and_nothing_is_tried_again(self, server):
        server.files |= {b"/in/a.csv": bytearray(OTHER), ALTERNATIVE: bytearray(OTHER)}
        failed(server, RemoteNameTaken)
        assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: OTHER}

    def test_a_folder_of_that_name_is_something_else(self, server):
        server.folders.add(b"/in/a.csv")
        assert delivered(server).landed == ALTERNATIVE


@pytest.mark.parametrize(("refusal", "error"), [(DENIED, None), (FAILURE, RemoteFailure)])
def test_a_server_that_would_overwrite_is_looked_at_first_unless_looking_is_forbidden(refusal, error):
    class Blind(MemoryServer):
        """Overwrites without a word, and does not let us look."""

        def answer(self, session, request):
            return refusal if isinstance(request, wire.Stat) else super().answer(session, request)

    server, owed = Blind(rename_overwrites=True), Owed(CONTENT)
    assert attempt(server, owed) is (error is None)
    assert error is None or type(owed.error) is error
    assert list(server.files.values()) == ([] if error else [CONTENT])


def test_a_name_that_is_taken_is_known_by_its_later_code():
    server = faulty.SpeaksLaterCodes()
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    assert delivered(server).landed == ALTERNATIVE


def test_the_same_size_proves_nothing_where_reading_is_forbidden():
    server = faulty.ReadingForbidden()
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    assert delivered(server).landed == ALTERNATIVE
    assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}


@pytest.mark.parametrize(
    ("name", "alternative"),
    [
        (b"a.csv", b"a.%s.csv"),
        (b"a.tar.gz", b"a.tar.%s.gz"),
        (b"a", b"a.%s"),
        (b".hidden", b".hidden.%s"),
        (b"n" * 255, b"n" * 246 + b".%s"),
        (b"n" * 251 + b".csv", b"n" * 242 + b".%s.csv"),
        (("ü" * 127).encode(), ("ü" * 123).encode() + b".%s"),
        (b"a." + b"x" * 253, b"a." + b"x" * 244 + b".%s"),
    ],
)
def test_the_alternative_name_is_derived_from_the_content_and_is_no_longer_than_names_may_be(name, alternative):
    owed = Owed(CONTENT, final_path=b"/in/" + name)
    upload = owed.claim()
    found = upload.alternative_path
    mark = hashlib.sha256(CONTENT).hexdigest()[:8].encode()
    assert found == b"/in/" + alternative.replace(b"%s", mark)
    assert len(found) - len(b"/in/") <= 255
    assert found == upload.alternative_path


# -- lost answers


def test_a_rename_that_was_done_but_not_answered_is_recognised():
    server, owed = faulty.LosesTheRenameAnswer(), Owed(CONTENT)
    failed(server, LinkLost, owed)
    assert owed.effect is Effect.UNKNOWN
    assert attempt(server, owed)
    assert owed.landed == b"/in/a.csv"
    assert server.files == {b"/in/a.csv": CONTENT}


def test_a_rename_that_was_lost_is_sent_again_without_the_bytes():
    server, owed = faulty.LosesTheRename(), Owed(CONTENT)
    failed(server, LinkLost, owed)
    assert owed.effect is Effect.UNKNOWN
    writes = len(asked(server, WriteData))
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": CONTENT}
    assert len(asked(server, WriteData)) == writes


def test_a_file_collected_before_its_rename_was_answered_is_delivered_and_not_sent_again():
    server, owed = faulty.PicksUpAndLosesTheRenameAnswer(), Owed(CONTENT)
    failed(server, LinkLost, owed)
    assert attempt(server, owed)
    assert server.collected == [(b"/in/a.csv", CONTENT)]
    assert server.files == {}


@pytest.mark.parametrize(
    "fault", [faulty.LosesTheRenameAnswer, faulty.LosesTheRename, faulty.PicksUpAndLosesTheRenameAnswer]
)
@pytest.mark.parametrize("manners", [faulty.LooksAtTheNewNameFirst, faulty.CallsAMissingFileAFailure])
def test_lost_answers_are_seen_through_whatever_the_servers_manners(fault, manners):
    server, owed = type("Server", (fault, manners), {})(), Owed(CONTENT)
    failed(server, LinkLost, owed)
    assert attempt(server, owed)
    assert [*server.files.values(), *(content for _, content in getattr(server, "collected", []))] == [CONTENT]


@pytest.mark.parametrize("fault", [faulty.LosesTheRenameAnswer, faulty.LosesTheRename])
def test_lost_answers_are_seen_through_on_a_server_that_overwrites(fault):
    server, owed = fault(rename_overwrites=True), Owed(CONTENT)
    failed(server, LinkLost, owed)
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": CONTENT}


@pytest.mark.parametrize("fault", [faulty.LosesTheRenameAnswer, faulty.LosesTheRename])
@pytest.mark.parametrize("overwrites", [False, True])
def test_lost_answers_of_the_rename_to_the_alternative_name_are_seen_through(fault, overwrites):
    server, owed = fault(rename_overwrites=overwrites), Owed(CONTENT)
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    while not attempt(server, owed):
        assert isinstance(owed.error, LinkLost)
    assert owed.landed == ALTERNATIVE
    assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}


@pytest.mark.parametrize("overwrites", [False, True])
def test_other_content_of_the_same_size_is_not_taken_for_ours_where_it_cannot_be_read(overwrites):
    """The rename was lost, and the final name holds another file that may not be read back."""

    class Server(faulty.LosesTheRename, faulty.ReadingForbidden):
        pass

    server, owed = Server(rename_overwrites=overwrites), Owed(CONTENT)
    failed(server, LinkLost, owed)
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    assert attempt(server, owed)
    assert owed.landed == ALTERNATIVE
    assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}


def test_other_content_of_the_same_size_is_not_taken_for_a_file_that_was_never_opened():
    server, owed = faulty.ReadingForbidden(), Owed(CONTENT)
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    owed.claim()
    owed.process_dies()
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}


def test_a_file_that_a_killed_process_had_delivered_is_recognised():
    server = MemoryServer()
    owed = delivered(server)
    owed.process_dies()
    assert attempt(server, owed)
    assert owed.landed == b"/in/a.csv"
    assert server.files == {b"/in/a.csv": CONTENT}


def test_a_file_that_a_killed_process_had_delivered_under_the_alternative_name_is_recognised():
    server = MemoryServer()
    server.files[b"/in/a.csv"] = bytearray(OTHER)
    owed = delivered(server)
    owed.process_dies()
    assert attempt(server, owed)
    assert owed.landed == ALTERNATIVE
    assert server.files == {b"/in/a.csv": OTHER, ALTERNATIVE: CONTENT}


def test_a_file_that_a_killed_process_had_begun_is_cleared_away():
    server, owed = faulty.SilentAfterOpen(), Owed(CONTENT)
    link = MemoryLink(server).open()
    owed.begin(link)
    link.run()
    assert len(server.names()) == 1
    owed.process_dies()
    sound = MemoryServer()
    sound.files = server.files
    assert attempt(sound, owed)
    assert sound.files == {b"/in/a.csv": CONTENT}


def test_a_temporary_file_whose_removal_was_not_answered_is_not_taken_for_a_delivery():
    """The rename was refused, the temporary file removed, and then the link died: nothing was delivered."""
    server, owed = faulty.DiesAtTheRemove(), Owed(CONTENT)
    failed(server, LinkLost, owed)
    assert owed.effect is Effect.UNSEEN
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": CONTENT}


def test_a_server_that_comes_back_with_an_empty_disk_is_sent_the_file_anew():
    server, owed = faulty.ComesBackEmpty(), Owed(CONTENT)
    failed(server, LinkLost, owed)
    failed(server, RemoteRefused, owed)
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": CONTENT}


def test_a_file_is_sent_anew_too_when_a_neighbour_has_made_the_folder_again_first():
    server, owed, neighbour = faulty.ComesBackEmpty(), Owed(CONTENT), Owed(OTHER, b"/in/b.csv")
    failed(server, LinkLost, owed)
    neighbour.missing_folders = owed.missing_folders  # their uploads share the new connection
    assert attempt(server, neighbour)
    assert not attempt(server, owed), "its temporary file is gone with the disk, not by a rename"
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": CONTENT, b"/in/b.csv": OTHER}


def test_a_folder_that_was_there_all_the_time_still_tells_that_the_file_was_collected():
    server, owed, neighbour = faulty.PicksUpAndLosesTheRenameAnswer(), Owed(CONTENT), Owed(OTHER, b"/in/b.csv")
    failed(server, LinkLost, owed)
    neighbour.missing_folders = owed.missing_folders
    assert attempt(server, neighbour)
    assert attempt(server, owed)
    assert sorted(server.collected) == [(b"/in/a.csv", CONTENT), (b"/in/b.csv", OTHER)]


def test_a_rename_refused_for_good_after_a_lost_answer_is_begun_anew_and_its_temporary_file_cleared_away():
    class Server(faulty.LosesTheRename):
        """Loses the first RENAME and forbids the second."""

        renames = 0

        def answer(self, session, request):
            self.renames += isinstance(request, wire.Rename)
            if isinstance(request, wire.Rename) and self.renames == 2:
                return wire.Status(wire.FX_PERMISSION_DENIED, "not now")
            return super().answer(session, request)

    server, owed = Server(), Owed(CONTENT)
    failed(server, LinkLost, owed)
    failed(server, RemoteRefused, owed)
    assert len(server.names()) == 1  # while its rename is unanswered for all the records know, it stays
    assert owed.effect is Effect.UNSEEN
    assert attempt(server, owed)
    assert server.files == {b"/in/a.csv": CONTENT}


@pytest.mark.parametrize("overwrites", [False, True])
@pytest.mark.parametrize("picks_up", [False, True])
def test_the_late_rename_of_a_dead_session_delivers_once_whenever_it_happens(overwrites, picks_up):
    """At each turn of the next attempt the server may still carry out the RENAME it was sent before the link died."""
    for turn in range(12):
        server, owed = faulty.LosesTheRename(rename_overwrites=overwrites), Owed(CONTENT)
        failed(server, LinkLost, owed)
        link, turns, collected = MemoryLink(server), iter(range(100)), []

        def rename_late(turns=turns, turn=turn, server=server, collected=collected):
            if next(turns) == turn:
                server.late_rename()
                if picks_up and b"/in/a.csv" in server.files:
                    collected.append(bytes(server.files.pop(b"/in/a.csv")))

        link.on_turn = rename_late
        assert owed.attempt(link), owed.error
        assert [*collected, *server.files.values()] == [CONTENT], f"late at turn {turn}"


def test_an_upload_does_not_wait_for_a_server_that_answers_nonsense():
    for fault in (
        faulty.AnswersOpenWithOk,
        faulty.AnswersWritesWithHandles,
        faulty.CutsHandlesShort,
        faulty.AnnouncesAHugePacket,
    ):
        server, owed = fault(), Owed(CONTENT)
        failed(server, ProtocolViolation, owed)
        assert owed.effect is Effect.UNSEEN
        assert server.content(b"/in/a.csv") is None


# -- cut anywhere


def cuts(make, step=1):
    """Every place where the link may break during one attempt that would deliver or be refused."""
    link = MemoryLink(make())
    Owed(CONTENT).attempt(link)
    sent = [{"sent_max": k} for k in range(0, link.sent, step)]
    return some(sent + [{"received_max": k} for k in range(0, link.received, step)])


def servers_to_cut():
    def plain():
        return MemoryServer()

    def overwriting():
        return MemoryServer(rename_overwrites=True)

    def taken():
        server = MemoryServer()
        server.files[b"/in/a.csv"] = bytearray(OTHER)
        return server

    def folder_missing():
        server = MemoryServer()
        server.folders.discard(b"/in")
        return server

    def looking_first():
        return faulty.LooksAtTheNewNameFirst()

    def refusing_the_first_rename():
        return faulty.DiesAtTheRemove()

    def drop_box():
        return faulty.ReadingForbidden()

    return [plain, overwriting, taken, folder_missing, looking_first, refusing_the_first_rename, drop_box]


def visible(server):
    """What a reader of the folder sees, the other file there left out."""
    found = {path: bytes(content) for path, content in server.files.items() if b"/.iris-" not in path}
    return [content for content in found.values() if content != OTHER]


@pytest.mark.parametrize("make", servers_to_cut(), ids=lambda make: make.__name__)
def test_a_link_cut_anywhere_shows_no_part_of_a_file_and_the_next_attempt_delivers_once(make):
    for cut in cuts(make):
        server, owed = make(), Owed(CONTENT)
        done = attempt(server, owed, **cut)
        assert visible(server) in ([], [CONTENT]), cut
        for _ in range(3):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert visible(server) == [CONTENT], cut
        assert owed.landed in server.files
        assert [name for name in server.names() if name.startswith(b".iris-")] == [], cut


@pytest.mark.parametrize("make", [faulty.PicksUp, lambda: faulty.PicksUp(rename_overwrites=True)])
def test_a_link_cut_anywhere_hands_a_collected_file_over_once(make):
    for cut in cuts(make):
        server, owed = make(), Owed(CONTENT)
        done = attempt(server, owed, **cut)
        for _ in range(2):
            done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert server.collected == [(b"/in/a.csv", CONTENT)], cut


def test_refused_connections_after_a_cut_change_nothing():
    for cut in cuts(faulty.PicksUp, step=5):
        server, owed = faulty.PicksUp(), Owed(CONTENT)
        done = attempt(server, owed, **cut)
        for sent_max in (0, 3, 9):
            done = done or attempt(server, owed, sent_max=sent_max)
        done = done or attempt(server, owed)
        assert done, (cut, owed.error)
        assert server.collected == [(b"/in/a.csv", CONTENT)], cut
        assert server.files == {}, cut  # no temporary file is forgotten


def test_a_second_cut_anywhere_in_the_look_back_changes_nothing():
    for first in cuts(faulty.PicksUp, step=7):
        for second in [{"sent_max": k} for k in range(60, 400, 9)]:
            server, owed = faulty.PicksUp(), Owed(CONTENT)
            done = attempt(server, owed, **first)
            done = done or attempt(server, owed, **second)
            done = done or attempt(server, owed)
            assert done, (first, second, owed.error)
            assert server.collected == [(b"/in/a.csv", CONTENT)], (first, second)
            assert server.files == {}, (first, second)


def test_a_process_that_dies_anywhere_loses_nothing_and_shows_no_part_of_a_file():
    for cut in cuts(MemoryServer, step=3):
        for second in cuts(MemoryServer, step=60):
            server, owed = MemoryServer(), Owed(CONTENT)
            owed.dies_during(MemoryLink(server, **cut))
            assert visible(server) in ([], [CONTENT])
            owed.dies_during(MemoryLink(server, **second))
            assert visible(server) in ([], [CONTENT])
            assert attempt(server, owed), (cut, second, owed.error)
            assert server.files == {b"/in/a.csv": CONTENT}, (cut, second)


# -- anything, anywhere


class Chaos(faulty.PicksUp):
    """Does to each request what a script says: refuses it, dies before or after it, or says nothing any more."""

    def __init__(self, script, *, picks_up, taken, **manners):
        super().__init__(**manners)
        self.script = list(script)
        self.picks_up = picks_up
        if taken:
            self.files[b"/in/a.csv"] = bytearray(OTHER)

    def answer(self, session, request):
        action = self.script.pop(0) if self.script else "do"
        if action == "denied" and isinstance(request, wire.Stat):
            action = "failure"  # who may never look is another story
        if action in REFUSALS:
            return REFUSALS[action]
        if action == "die before":
            raise ServerDies
        reply = super().answer(session, request)
        if action == "die after":
            raise ServerDies
        return None if action == "silence" else reply

    def pick_up(self):
        if self.picks_up and self.content(b"/in/a.csv") != OTHER:
            super().pick_up()


REFUSALS = {"failure": FAILURE, "denied": DENIED}
ACTIONS = ["do"] * 6 + ["die before", "die after", "silence", *REFUSALS]


@settings(derandomize=True, deadline=None, max_examples=examples(500), database=None)
@given(
    script=st.lists(st.sampled_from(ACTIONS), max_size=24),
    overwrites=st.booleans(),
    taken=st.booleans(),
    picks_up=st.booleans(),
)
def test_a_file_arrives_whole_and_once_whatever_goes_wrong_in_whatever_order(script, overwrites, taken, picks_up):
    server = Chaos(script, picks_up=picks_up, taken=taken, rename_overwrites=overwrites)
    owed, done = Owed(CONTENT), False
    for _ in range(len(script) + 3):
        done = owed.attempt(MemoryLink(server, gives_up=True))
        assert visible(server) in ([], [CONTENT])
        if done:
            break
    assert done, owed.error
    assert [*visible(server), *(content for _, content in server.collected)] == [CONTENT]
    assert not taken or server.content(b"/in/a.csv") == OTHER
