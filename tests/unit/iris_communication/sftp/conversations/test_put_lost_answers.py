"""An upload whose answer was lost is neither sent twice nor called delivered."""

import pytest

from iris_communication.errors import (
    Effect,
    LinkLost,
    ProtocolViolation,
    RemoteRefused,
)
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.server_wire import WriteData
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.conversations.one_attempt import (
    ALTERNATIVE,
    CONTENT,
    OTHER,
    asked,
    attempt,
    delivered,
    failed,
)
from tests.unit.iris_communication.sftp.owed import Owed


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
