"""What a trial finds out of servers in memory, what it says of that, and that it leaves nothing."""

import pytest

from iris_communication.settings import Server
from iris_communication.sftp import wire
from iris_communication.sftp.trials.trial import (
    CONTENT,
    MODE,
    MTIME_S,
    OPEN_FILES,
    Findings,
    TrialContent,
    clear_away,
    one_of_many,
    trial,
)
from iris_communication.sftp.trials.trial_report import Weight, sentences
from iris_communication.testing import MemoryServer, faulty_servers
from iris_communication.testing.memory_server import DENIED, FAILURE, NO_SUCH_FILE
from iris_communication.testing.refusing_servers import OneHandle
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.spoiling_servers import ClosesBeforeItHasWritten, LiesAboutSizes
from tests.memory_link import MemoryLink

SERVER = Server("one", "iris")


def tried(server, folder=b"/in"):
    link, found = MemoryLink(server).open(), Findings(folder)
    conversation = link.begin(trial(found, b"abc", link.capabilities), TrialContent())
    link.run()
    assert conversation.error is None
    return found


def says(found, weight, **settings):
    return " ".join(each.text for each in sentences(found, Server("one", "iris", **settings)) if each.weight is weight)


def test_a_trial_of_a_sound_server_says_all_is_well_and_leaves_no_file():
    server = MemoryServer()
    found = tried(server)
    assert found.refused == {}
    assert found.replaces is False
    assert found.free_bytes == 1 << 40
    assert (server.names(), server.folders) == ([], {b"/", b"/login", b"/in"})
    assert {sentence.weight for sentence in sentences(found, SERVER)} == {Weight.WELL}


def test_a_server_that_works_at_several_requests_at_once_is_well():
    assert tried(ClosesBeforeItHasWritten(announces_limits=False)).refused == {}


def test_a_missing_folder_is_made_and_taken_away_again():
    server = MemoryServer()
    found = tried(server, b"/new/deep")
    assert found.made_folder
    assert found.refused == {}
    assert server.folders == {b"/", b"/login", b"/in"}


@pytest.mark.parametrize(
    ("server", "step", "text"),
    [
        (faulty_servers.FolderClosedToUs(), "create", "nothing can be delivered"),
        (faulty_servers.RefusesClose(), "write", "nothing can be delivered"),
        (LiesAboutSizes(), "write", "nothing can be delivered"),
        (faulty_servers.RenamingForbidden(), "rename", "set in_place = true"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MemoryServer) else None,
)
def test_a_step_that_keeps_files_from_arriving_is_trouble(server, step, text):
    found = tried(server)
    assert step in found.refused
    assert text in says(found, Weight.TROUBLE)
    assert found.left == []
    assert server.names() == []


@pytest.mark.parametrize(
    ("server", "step", "text"),
    [
        (faulty_servers.ReadingForbidden(), "read", "Reading is forbidden"),
        (faulty_servers.RemovingForbidden(), "remove", "hidden files of attempts"),
        (faulty_servers.MakesNoFolders(), "folders", "No folder may be made"),
        (MemoryServer(rename_overwrites=True), None, "silently replaces an existing file"),
    ],
    ids=["reading", "removing", "folders", "overwriting"],
)
def test_any_other_lack_is_noted_and_files_arrive(server, step, text):
    found = tried(server)
    assert step is None or step in found.refused
    assert text in says(found, Weight.NOTE)
    assert says(found, Weight.TROUBLE) == ""


def test_a_file_that_could_not_be_removed_is_told_by_name():
    server = faulty_servers.RemovingForbidden()
    found = tried(server)
    assert sorted(server.files) == sorted(found.files)
    assert found.folders == [b"/in/.iris-abc-d", b"/in/.iris-abc-d/new"]
    assert "/in/.iris-abc-b" in says(found, Weight.NOTE)


def test_files_arrive_in_place_without_a_rename_if_that_is_set():
    found = tried(faulty_servers.RenamingForbidden())
    assert says(found, Weight.TROUBLE, in_place=True) == ""
    assert "in place" in says(found, Weight.NOTE, in_place=True)


@pytest.mark.parametrize(
    ("server", "most"), [(MemoryServer(), OPEN_FILES), (OneHandle(), 1), (MemoryServer(handles_max=5), 5)]
)
def test_the_number_of_files_a_server_holds_open_is_found_by_asking_for_many(server, most):
    link, found = MemoryLink(server).open(), Findings(b"/in")
    for number in range(OPEN_FILES):
        link.begin(one_of_many(found, b"/in/.iris-%d" % number))
    link.run()
    assert link.session.handles.proven == most
    link.begin(clear_away(found))
    link.run()
    assert (found.left, server.names()) == ([], [])


def test_few_handles_are_told():
    found = tried(MemoryServer())
    assert "open at once" not in says(found, Weight.WELL)
    found.open_files = 5
    assert "It holds 5 files open at once." in says(found, Weight.WELL)


class SaysYesToAttributes(MemoryServer):
    """Grants every SETSTAT, and does nothing."""

    def answer(self, session, request):
        return wire.Status(0, "") if isinstance(request, wire.SetStat) else super().answer(session, request)


def test_attributes_that_are_granted_and_not_set_are_found_out():
    found = tried(SaysYesToAttributes())
    assert found.refused["attributes"] == "it says yes, and does nothing"
    assert "no effect" in says(found, Weight.NOTE, file_mode="0640")


def test_the_written_content_is_the_one_that_is_looked_for():
    assert TrialContent().read(0, len(CONTENT)) == CONTENT
    assert (MODE, MTIME_S) == (0o640, 1_000_000_000)


class EmptiesFilesItOpens(MemoryServer):
    """Opens a file that is there for writing as if it were to be replaced."""

    def answer(self, session, request):
        if isinstance(request, wire.Open) and request.flags == wire.WRITE:
            request = request._replace(flags=wire.WRITE | wire.TRUNCATE | wire.CREATE)
        return super().answer(session, request)


def test_a_server_that_empties_files_it_opens_is_found_out():
    found = tried(EmptiesFilesItOpens())
    assert found.refused["resume"] == "what was there before is gone"
    assert "is sent again from the start" in says(found, Weight.NOTE)


class RefusesAReadOfWhatWasThere(MemoryServer):
    """Lets a file be read back until it was written on."""

    def answer(self, session, request):
        if isinstance(request, wire.Read) and len(session.handles[request.handle].content) > len(CONTENT):
            return DENIED
        return super().answer(session, request)


def test_a_read_that_is_refused_is_not_taken_for_bytes_that_are_gone():
    found = tried(RefusesAReadOfWhatWasThere())
    assert found.refused.keys() == {"read"}


class EmptiesFilesForGood(EmptiesFilesItOpens):
    """Opens a file that is there for writing as if it were to be replaced, and drops what is written to it."""

    def answer(self, session, request):
        if isinstance(request, WriteData) and request.offset:
            return wire.OK
        return super().answer(session, request)


def test_a_file_that_has_nothing_left_to_read_is_bytes_that_are_gone():
    assert tried(EmptiesFilesForGood()).refused.keys() == {"resume"}


class CallsWhatIsMissingAFailure(faulty_servers.RenamingForbidden):
    """Every RENAME is refused, and FAILURE is said where a REMOVE's name does not exist."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        return FAILURE if isinstance(request, wire.Remove) and reply == NO_SUCH_FILE else reply


def test_a_name_that_never_came_to_be_is_no_leftover():
    found = tried(CallsWhatIsMissingAFailure())
    assert found.left == []
    assert "remove" not in found.refused


def test_a_trial_that_is_broken_off_asks_for_nothing_new_and_clears_away():
    server = MemoryServer()
    link, found = MemoryLink(server).open(), Findings(b"/in")
    conversation = link.begin(trial(found, b"abc", link.capabilities), TrialContent())

    def break_off():
        found.broken_off = bool(server.files)

    link.on_turn = break_off
    link.run()
    assert conversation.error is None
    assert (found.left, server.names()) == ([], [])
    assert [type(request) for request in server.asked[-4:]] == [wire.Open, WriteData, wire.Close, wire.Remove]
