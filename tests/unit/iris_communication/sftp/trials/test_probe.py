"""What a health check finds, asks and leaves behind, against servers in memory."""

import struct

import pytest

from iris_communication.errors import LinkLost, ProtocolViolation, RemoteDiskFull
from iris_communication.sftp import wire
from iris_communication.sftp.trials.probe import CONTENT, Health, Probe, ProbeContent, probe
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer
from iris_communication.testing.naming_servers import MissingHasAnotherCode
from iris_communication.testing.server_wire import WriteData
from tests.memory_link import MemoryLink

FOLDER = b"/in"
FIRST, SECOND = b"/in/.iris-0123abcd", b"/in/.iris-0123abcd-renamed"


def looked(folder=FOLDER):
    return Probe(folder)


def round_trip(folder=FOLDER, **facts):
    return Probe(folder, b"0123abcd", **facts)


def ended(server, check, **link):
    """The conversation of one check, ended: it has a result or an error."""
    opened = MemoryLink(server, **link).open()
    conversation = opened.begin(probe(check, opened.capabilities), ProbeContent())
    opened.run()
    return conversation


def health(server, check):
    conversation = ended(server, check)
    assert conversation.error is None, conversation.error
    return conversation.result


def asked(server):
    """The kinds of what was asked, without the limits that every connection asks for."""
    return [type(request) for request in server.asked[1:]]


class TellsSpace(MemoryServer):
    """Tells these eleven numbers of its disk, whatever is on it."""

    def __init__(self, **numbers):
        super().__init__()
        told = {"size": 4096, "fragment": 512, "fragments": 2000, "free_to_root": 900, "free": 800}
        self.numbers = told | {"files": 100, "files_to_root": 9, "free_files": 8, "id": 7, "flags": 0, "name": 255}
        self.numbers |= numbers

    def answer(self, session, request):
        if isinstance(request, wire.Extended) and request.name == b"statvfs@openssh.com":
            return wire.ExtendedReply(struct.pack(">11Q", *self.numbers.values()))
        return super().answer(session, request)


class CutsItsSpaceShort(MemoryServer):
    """Answers statvfs with a number too few."""

    def answer(self, session, request):
        if isinstance(request, wire.Extended) and request.name == b"statvfs@openssh.com":
            return wire.ExtendedReply(bytes(80))
        return super().answer(session, request)


class RefusesToTellSpace(MemoryServer):
    """Announces statvfs and refuses it."""

    def answer(self, session, request):
        if isinstance(request, wire.Extended) and request.name == b"statvfs@openssh.com":
            return FAILURE
        return super().answer(session, request)


class LookingForbidden(MemoryServer):
    """Nothing may be looked at."""

    def answer(self, session, request):
        return DENIED if isinstance(request, wire.Stat) else super().answer(session, request)


class TakesHiddenFiles(MemoryServer):
    """A pick-up job takes each file away as soon as it is closed, hidden or not."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        if isinstance(request, wire.Close):
            self.files.clear()
        return reply


class TakesWhatWasRenamed(MemoryServer):
    """A pick-up job takes each file away as soon as it was renamed."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        if isinstance(request, wire.Rename):
            self.files.clear()
        return reply


class RemovesNothing(MemoryServer):
    """No file may be removed, until somebody permits it."""

    permitted = False

    def answer(self, session, request):
        forbidden = isinstance(request, wire.Remove) and not self.permitted
        return DENIED if forbidden else super().answer(session, request)


class ReadOnly(MemoryServer):
    """Nothing may be made or taken away."""

    def answer(self, session, request):
        forbidden = isinstance(request, (wire.Open, wire.Rename, wire.Remove))
        return DENIED if forbidden else super().answer(session, request)


class TellsNoKind(MemoryServer):
    """Its attributes do not say what a name stands for."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        return reply._replace(permissions=None) if isinstance(reply, wire.Attributes) else reply


# -- looking


def test_looking_asks_two_questions_and_tells_how_much_room_there_is():
    server = TellsSpace()
    assert health(server, looked()) == Health(
        ok=True, done=("answers", "free space"), free_bytes=800 * 512, total_bytes=2000 * 512
    )
    assert server.asked[1:] == [wire.Stat(FOLDER), wire.free_space(FOLDER)]


@pytest.mark.parametrize(
    "server", [RefusesToTellSpace(), CutsItsSpaceShort()], ids=lambda server: type(server).__name__
)
def test_a_server_that_does_not_tell_its_space_is_well_all_the_same(server):
    assert health(server, looked()) == Health(ok=True, done=("answers",))


def test_a_server_that_offers_no_space_is_not_asked_for_it():
    server = MemoryServer()
    del server.extensions[b"statvfs@openssh.com"]
    assert health(server, looked()).done == ("answers",)
    assert asked(server) == [wire.Stat]


@pytest.mark.parametrize(("folder", "above"), [(b"/in/line/model", b"/in"), (b"/new/model", b"/"), (b"new", b".")])
def test_a_missing_folder_is_no_trouble_and_its_room_is_that_of_the_folder_above(folder, above):
    server = MemoryServer()
    found = health(server, Probe(folder, b"0123abcd"))
    assert (found.ok, found.done) == (True, ("answers", "free space"))
    assert found.text == f"the folder {folder.decode()!r} does not exist yet"
    assert "the first file creates it" in found.hint
    assert server.asked[-1] == wire.free_space(above)
    assert server.files == {}


def test_a_path_that_is_no_folder_takes_no_files():
    server = MemoryServer()
    server.files[b"/in/model"] = bytearray(b"x")
    found = health(server, round_trip(b"/in/model"))
    assert (found.ok, found.text, found.hint) == (False, "'/in/model' is not a folder", "correct remote_directory")
    assert wire.Open not in asked(server)


def test_a_folder_that_may_not_be_looked_at_is_tried_all_the_same():
    server = LookingForbidden()
    assert health(server, looked()).ok
    assert health(server, round_trip()) == Health(True, ("answers", "free space", "round trip"), 1 << 40, 1 << 40)
    assert server.files == {}


def test_a_full_disk_is_the_servers_trouble():
    error = ended(TellsSpace(free=0), round_trip()).error
    assert type(error) is RemoteDiskFull
    assert str(error) == "the server's disk is full: nothing of 1 MB is free under '/in'"


def test_a_disk_that_takes_no_more_files_is_full():
    error = ended(TellsSpace(free_files=0), looked()).error
    assert type(error) is RemoteDiskFull
    assert str(error) == "the server's disk takes no more files: 0 of 100 left under '/in'"


def test_a_disk_that_does_not_count_its_files_is_not_full():
    assert health(TellsSpace(files=0, free_files=0), looked()).ok


def test_a_disk_that_says_nothing_of_its_size_is_not_full():
    assert health(TellsSpace(fragments=0, free=0), looked()).ok


def test_a_disk_that_is_mounted_read_only_is_found_without_writing():
    server = TellsSpace(flags=0x1, free=0)
    found = health(server, round_trip())
    assert (found.ok, found.text) == (False, "the disk under '/in' is mounted read-only")
    assert wire.Open not in asked(server)


# -- the round trip


def test_the_round_trip_does_what_a_delivery_does_under_hidden_names_and_leaves_nothing():
    server, check = MemoryServer(), round_trip()
    assert health(server, check).done == ("answers", "free space", "round trip")
    assert server.asked[3:5] == [
        wire.Open(FIRST, wire.WRITE | wire.CREATE | wire.EXCLUSIVE),
        WriteData(server.asked[4].handle, 0, CONTENT),
    ]
    assert server.asked[6:] == [wire.Rename(FIRST, SECOND), wire.Stat(SECOND), wire.Remove(SECOND)]
    assert server.files == {}
    assert check.leftovers == set()


@pytest.mark.parametrize(
    ("server", "text"),
    [
        (faulty.FolderClosedToUs(), "cannot create a file in '/in' on the server: PERMISSION_DENIED"),
        (faulty.RefusesAWrite(1), "cannot write to a file in '/in' on the server: FAILURE"),
        (faulty.RefusesClose(), "cannot write to a file in '/in' on the server: FAILURE"),
        (faulty.RenamingForbidden(), "cannot rename a file in '/in' on the server: PERMISSION_DENIED"),
        (faulty.KeepsHalf(), f"the server kept 13 of {len(CONTENT)} bytes of a file in '/in'"),
        (TakesHiddenFiles(), "somebody took a hidden file away from '/in' while it was in use"),
        (TakesWhatWasRenamed(), "somebody took a hidden file away from '/in' while it was in use"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_step_that_fails_is_told_with_a_hint_and_leaves_nothing(server, text):
    check = round_trip()
    found = health(server, check)
    assert not found.ok
    assert text in found.text
    assert found.hint
    assert server.files == {}
    assert check.leftovers == set()


def test_a_disk_that_fills_up_in_the_middle_is_the_servers_trouble_and_is_cleared_again():
    server, check = faulty.SpeaksLaterCodes(capacity_bytes=5), round_trip()
    assert type(ended(server, check).error) is RemoteDiskFull
    assert server.files == {}
    assert check.leftovers == set()


def test_one_file_stays_where_none_may_be_removed_and_no_second_is_made():
    server, leftovers = RemovesNothing(), set()
    for token in (b"0123abcd", b"4567ef01", b"89ab2345"):
        found = health(server, Probe(FOLDER, token, leftovers))
        assert (found.ok, found.text) == (False, f"cannot remove {SECOND.decode()!r}, which a health check made")
        assert set(server.files) == leftovers == {SECOND}


def test_a_file_that_was_never_made_is_not_looked_for_by_the_next_check():
    server, leftovers = ReadOnly(), set()
    for _ in range(2):
        assert "cannot create a file" in health(server, round_trip(leftovers=leftovers)).text
    assert wire.Remove not in asked(server)


def test_a_file_that_could_not_be_removed_is_removed_once_it_may_be():
    server, leftovers = RemovesNothing(), set()
    health(server, round_trip(leftovers=leftovers))
    server.permitted = True
    assert health(server, Probe(FOLDER, b"4567ef01", leftovers)).ok
    assert server.files == {}
    assert leftovers == set()


def test_a_leftover_that_is_gone_already_is_forgotten():
    leftovers = {b"/in/.iris-gone"}
    assert health(MemoryServer(), round_trip(leftovers=leftovers)).ok
    assert leftovers == set()


def test_the_next_check_leaves_no_file_wherever_the_link_broke():
    whole = MemoryLink(MemoryServer()).open()
    begun = whole.sent, whole.received
    whole.begin(probe(round_trip(), whole.capabilities), ProbeContent())
    whole.run()
    cuts = [{"sent_max": n} for n in range(begun[0], whole.sent)]
    cuts += [{"received_max": n} for n in range(begun[1], whole.received)]
    assert len(cuts) > 500
    for cut in cuts:
        server, leftovers = MemoryServer(), set()
        broken = ended(server, round_trip(leftovers=leftovers), **cut)
        assert type(broken.error) is LinkLost
        assert set(server.files) <= leftovers
        assert health(server, Probe(FOLDER, b"4567ef01", leftovers)).ok
        assert server.files == {}
        assert leftovers == set()


@pytest.mark.parametrize(
    "server",
    [
        faulty.AnswersOutOfOrder(),
        faulty.StatusWithoutText(),
        faulty.ReadingForbidden(),
        faulty.MakesNoFolders(),
        TellsNoKind(),
        MemoryServer(announces_limits=False),
        MemoryServer(rename_overwrites=True),
        MemoryServer(handles_max=1),
    ],
    ids=lambda server: type(server).__name__,
)
def test_manners_that_do_not_keep_files_away_are_no_trouble(server):
    assert health(server, round_trip()).ok
    assert server.files == {}


def test_an_answer_that_makes_no_sense_ends_the_session():
    assert type(ended(faulty.AnswersOpenWithOk(), round_trip()).error) is ProtocolViolation


def test_a_check_beside_uploads_waits_for_none_of_them():
    """Its requests are short, so they go ahead of another conversation's data."""
    server = MemoryServer()
    link = MemoryLink(server).open()

    def upload():
        handle = (yield wire.Open(b"/in/big.csv", wire.WRITE | wire.CREATE)).handle
        yield wire.Write(handle, 0, 8 * 1024 * 1024), wire.Close(handle)

    class Zeros:
        def read(self, offset, size_bytes):
            return bytes(size_bytes)

    def exchange(times):
        link.on_turn = iter([None] * times).__next__
        with pytest.raises(StopIteration):
            link.run()

    link.begin(upload(), Zeros())
    exchange(2)
    checking = link.begin(probe(looked(), link.capabilities), ProbeContent())
    exchange(2)
    assert checking.result.ok
    assert link.session.live == 1, "the upload is still under way"


def test_a_folder_of_any_bytes_is_shown():
    found = health(MemoryServer(), looked(b"/in/\xff"))
    assert found.text == r"the folder '/in/\\xff' does not exist yet"


@pytest.mark.parametrize("code", [wire.FX_NO_SUCH_FILE, wire.FX_FAILURE, wire.FX_NO_SUCH_PATH])
def test_a_missing_folder_is_no_trouble_whatever_code_the_server_has_for_it(code):
    found = health(MissingHasAnotherCode(code), round_trip(b"/nowhere"))
    assert found.ok
    assert found.text == "the folder '/nowhere' does not exist yet"


def test_a_failure_of_a_server_that_lets_nobody_look_is_not_taken_for_a_missing_folder():
    class NobodyMayLook(MemoryServer):
        """Says FAILURE to every STAT."""

        def answer(self, session, request):
            return FAILURE if isinstance(request, wire.Stat) else super().answer(session, request)

    assert health(NobodyMayLook(), looked(b"/nowhere")).text == ""


def test_a_failure_of_one_name_alone_is_not_taken_for_a_missing_folder():
    class CannotTellOfOneFolder(MemoryServer):
        """Says FAILURE to a STAT of one folder, as over a disk that fails."""

        def answer(self, session, request):
            return FAILURE if request == wire.Stat(b"/broken") else super().answer(session, request)

    assert health(CannotTellOfOneFolder(), looked(b"/broken")).text == ""


@pytest.mark.parametrize("code", [wire.FX_FAILURE, wire.FX_NO_SUCH_PATH])
def test_leftovers_that_are_gone_are_not_held_against_a_server_with_another_code_for_it(code):
    check = round_trip()
    check.leftovers.add(b"/in/.iris-of-before")
    assert health(MissingHasAnotherCode(code), check).ok
    assert check.leftovers == set()
