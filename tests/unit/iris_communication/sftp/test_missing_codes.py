"""Servers have several codes for what is not there: files arrive on all of them, and what is gone is known to be."""

import pytest

from iris_communication.errors import RemoteRefused
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.look import Found, compare, is_missing
from iris_communication.sftp.status import StatusError
from iris_communication.sftp.trials.trial import Findings, TrialContent, trial
from iris_communication.testing.faulty_servers import LosesTheRename, LosesTheRenameAnswer, MakesNoFolders, PicksUp
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer
from iris_communication.testing.naming_servers import MissingHasAnotherCode, OpenHasAnotherCode
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed

CODES = [wire.FX_NO_SUCH_FILE, wire.FX_PERMISSION_DENIED, wire.FX_FAILURE, wire.FX_NO_SUCH_PATH, 19, 1000]
SAYING = [wire.FX_NO_SUCH_FILE, wire.FX_FAILURE, wire.FX_NO_SUCH_PATH, 19]  # of which a look can be sure
MANNERS = [{}, {"rename_overwrites": True}, {"replaces": False}]


def delivered(server, **facts):
    owed = Owed(**facts)
    assert owed.attempt(MemoryLink(server)), owed.error
    return owed


def asked_of(server, talk):
    link = MemoryLink(server).open()
    conversation = link.begin(talk)
    link.run()
    assert conversation.error is None
    return conversation.result


@pytest.mark.parametrize("manners", MANNERS, ids=str)
@pytest.mark.parametrize("code", CODES)
def test_missing_folders_are_made_whatever_the_code_of_a_refused_open(code, manners):
    server = OpenHasAnotherCode(code, **manners)
    delivered(server, final_path=b"/in/new/deep/a.csv")
    assert server.names(b"/in/new/deep") == [b"a.csv"]


@pytest.mark.parametrize("conflict", ["rename", "overwrite", "fail", "keep"])
@pytest.mark.parametrize("marker", ["", ".sha256"])
@pytest.mark.parametrize("manners", MANNERS, ids=str)
@pytest.mark.parametrize("code", SAYING)
def test_files_arrive_whatever_the_code_for_what_is_missing(code, manners, conflict, marker):
    server = MissingHasAnotherCode(code, **manners)
    delivered(server, final_path=b"/in/new/a.csv", conflict=conflict, marker=marker)
    assert server.names(b"/in/new") == [b"a.csv", b"a.csv.sha256"][: 2 if marker else 1]


def test_many_files_for_a_missing_folder_arrive_together_though_a_failure_may_mean_too_many_open_files():
    server = OpenHasAnotherCode(wire.FX_FAILURE)
    link, missing = MemoryLink(server).open(), set()
    owed = [Owed(b"%d" % number, b"/in/new/%d.csv" % number) for number in range(50)]
    for each in owed:
        each.missing_folders = missing
    begun = [each.begin(link) for each in owed]
    link.run()
    assert all(each.settle(*attempt) for each, attempt in zip(owed, begun, strict=True))
    assert len(server.names(b"/in/new")) == 50


def test_a_folder_that_is_there_is_not_made_because_of_a_file_that_may_not_be():
    class NoFiles(MemoryServer):
        """No file may be made."""

        def answer(self, session, request):
            return FAILURE if isinstance(request, wire.Open) else super().answer(session, request)

    server = NoFiles()
    assert not Owed().attempt(MemoryLink(server))
    assert not [request for request in server.asked if isinstance(request, wire.MakeDirectory)]


def test_a_missing_folder_that_may_not_be_made_is_told_of_whatever_the_code():
    class MakesNoFoldersAndSaysLittle(MakesNoFolders):
        """MKDIR is forbidden, and an OPEN without a folder says NO_SUCH_PATH."""

        def answer(self, session, request):
            reply = super().answer(session, request)
            missing = isinstance(request, wire.Open) and reply == wire.Status(wire.FX_NO_SUCH_FILE, "No such file")
            return wire.Status(wire.FX_NO_SUCH_PATH, "") if missing else reply

    owed = Owed(final_path=b"/in/new/a.csv")
    assert not owed.attempt(MemoryLink(MakesNoFoldersAndSaysLittle()))
    assert type(owed.error) is RemoteRefused
    assert "a folder of the path is missing" in owed.error.hint
    assert str(owed.error).startswith("cannot make the folder '/in/new' (for '/in/new/a.csv') on the server: ")


@pytest.mark.parametrize("code", SAYING)
def test_a_rename_whose_answer_was_lost_is_not_repeated_for_a_file_that_was_collected(code):
    class CollectsAndLosesTheAnswer(PicksUp, LosesTheRenameAnswer, MissingHasAnotherCode):
        """Does the first RENAME and dies before it says so; a pick-up job takes the file away."""

        def answer(self, session, request):
            try:
                return super().answer(session, request)
            finally:
                self.pick_up()

    server, owed = CollectsAndLosesTheAnswer(code=code), Owed()
    assert not owed.attempt(MemoryLink(server))
    assert owed.attempt(MemoryLink(server)), owed.error
    assert len(server.collected) == 1


@pytest.mark.parametrize("code", SAYING)
def test_a_file_whose_disk_was_exchanged_is_sent_anew(code):
    class ComesBackEmpty(LosesTheRename, MissingHasAnotherCode):
        """Dies at the first RENAME, and has lost its disk afterwards."""

    server, owed = ComesBackEmpty(code=code), Owed()
    assert not owed.attempt(MemoryLink(server))
    server.files.clear()
    server.folders.discard(b"/in")
    owed.attempt(MemoryLink(server))
    assert owed.landed or owed.attempt(MemoryLink(server)), owed.error
    assert server.content(b"/in/a.csv") == owed.content


@pytest.mark.parametrize("code", SAYING)
def test_a_missing_file_is_known_to_be_gone(code):
    assert asked_of(MissingHasAnotherCode(code), compare(b"/in/a.csv", 1, None))[0] is Found.GONE
    assert asked_of(MissingHasAnotherCode(code), is_missing(b"/nowhere/a.csv"))


@pytest.mark.parametrize("reply", [FAILURE, DENIED])
def test_no_file_is_known_to_be_gone_where_nobody_may_look(reply):
    class NobodyMayLook(MemoryServer):
        """Refuses every STAT."""

        def answer(self, session, request):
            return reply if isinstance(request, wire.Stat) else super().answer(session, request)

    assert not asked_of(NobodyMayLook(), is_missing(b"/in/a.csv"))
    assert asked_of(NobodyMayLook(), compare(b"/in/a.csv", 1, None))[0] is Found.UNKNOWN


@pytest.mark.parametrize(
    ("code", "text", "missing"),
    [
        (2, "", True),
        (10, "", True),
        (4, "No such file or directory", True),
        (4, "The system cannot find the path specified.", True),
        (4, "Failure", False),
        (3, "No such file", False),
        (11, "", False),
    ],
)
def test_a_refusal_says_that_nothing_is_there_by_its_code_or_its_text(code, text, missing):
    assert StatusError(code, text).says_missing is missing


@pytest.mark.parametrize(
    ("kind", "code"),
    [*((MissingHasAnotherCode, code) for code in SAYING), *((OpenHasAnotherCode, code) for code in CODES)],
)
def test_a_trial_delivers_to_a_folder_that_is_missing_and_leaves_nothing(kind, code):
    server = kind(code)
    link, found = MemoryLink(server).open(), Findings(b"/in")
    conversation = link.begin(trial(found, b"abc", link.capabilities), TrialContent())
    link.run()
    assert conversation.error is None
    assert found.refused == {}
    assert (found.left, server.files, server.folders) == ([], {}, {b"/", b"/login", b"/in"})
    assert wire.Open(b"/in/.iris-abc-d/new/.iris-a", 0x2A) in server.asked


def test_a_trial_tells_of_a_folder_that_is_made_and_takes_no_file():
    class NewFoldersTakeNothing(MemoryServer):
        """No file may be made in a folder that was made."""

        def answer(self, session, request):
            if isinstance(request, wire.Open) and b"-d/" in request.path and b"/new" in self.place(request.path):
                return DENIED
            return super().answer(session, request)

    server = NewFoldersTakeNothing()
    link, found = MemoryLink(server).open(), Findings(b"/in")
    link.begin(trial(found, b"abc", link.capabilities), TrialContent())
    link.run()
    assert "PERMISSION_DENIED" in found.refused["new folder"]
    assert found.left == []
