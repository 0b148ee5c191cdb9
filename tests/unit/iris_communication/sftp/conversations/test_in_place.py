"""An upload straight under its final name, for servers that cannot rename."""

import hashlib

import pytest

from iris_communication.errors import (
    Effect,
    LinkLost,
    RemoteFailure,
    RemoteNameKept,
    RemoteNameTaken,
    RemoteRefused,
    SourceChanged,
    SpoolMissing,
)
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.in_place import put_in_place
from iris_communication.sftp.conversations.upload import SftpUpload
from iris_communication.testing import MemoryServer
from iris_communication.testing.faulty_servers import FolderClosedToUs, KeepsHalf, RefusesAWrite
from iris_communication.testing.memory_server import DENIED, UNSUPPORTED, ServerDies
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.spoiling_servers import ClosesBeforeItHasWritten, TellsSizesLate
from tests.memory_link import BytesSource, MemoryLink

NAME, MARKER, TEMP = b"/in/a.csv", b"/in/a.csv.done", b"/in/.iris-1"
CONTENT = b"id,label\n" + b"1,good\n" * 20_000
OTHER = b"somebody else's"


class CannotRename(MemoryServer):
    """Knows no RENAME at all, as some gateways to object stores do."""

    def answer(self, session, request):
        if isinstance(request, wire.Rename | wire.PosixRename):
            return UNSUPPORTED
        return super().answer(session, request)


class Attempt:
    def __init__(self, server, *, content=CONTENT, changed=False, **limits):
        self.link = MemoryLink(server, **limits)
        self.source = BytesSource(content, changed=changed)

    def go(self, *, earlier=False, **facts):
        content = self.source.content
        upload = SftpUpload(
            final_path=NAME,
            temp_path=TEMP,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            confirm_source=self.source.confirm,
            earlier_temp=b"/in/.iris-0" if earlier else None,
            **facts,
        )
        self.link.open()
        talk = self.link.begin(put_in_place(upload, self.link.capabilities, self.source.read), self.source)
        self.link.run()
        self.landed, self.error = talk.result, talk.error
        return self


def test_a_file_arrives_where_nothing_can_be_renamed():
    server = CannotRename()
    assert Attempt(server).go().landed == NAME
    assert server.files == {NAME: CONTENT}


def test_missing_folders_are_made():
    server = CannotRename()
    server.folders.discard(b"/in")
    assert Attempt(server).go().landed == NAME
    assert server.files == {NAME: CONTENT}


def test_an_empty_file_arrives():
    server = CannotRename()
    assert Attempt(server, content=b"").go().landed == NAME
    assert server.files == {NAME: b""}


@pytest.mark.parametrize("kept_bytes", [0, 1, 50_000, len(CONTENT) - 1])
def test_the_part_that_a_cut_off_attempt_left_is_written_anew(kept_bytes):
    server = CannotRename()
    server.files[NAME] = bytearray(CONTENT[:kept_bytes])
    assert Attempt(server).go(earlier=True).landed == NAME
    assert server.files == {NAME: CONTENT}


def test_the_part_is_known_again_where_a_close_overtakes_what_comes_with_it():
    server = ClosesBeforeItHasWritten(announces_limits=False)
    server.files[NAME] = bytearray(CONTENT[:50_000])
    assert Attempt(server).go(earlier=True).landed == NAME
    assert server.files == {NAME: CONTENT}


class LosesTheSecondOpen(CannotRename):
    """Dies when a file that is there is opened for writing. `late_open()` does it after all, as a session whose
    connection is long gone may."""

    lost = None

    def answer(self, session, request):
        is_second = isinstance(request, wire.Open) and request.flags & (wire.WRITE | wire.EXCLUSIVE) == wire.WRITE
        if is_second and self.lost is None:
            self.lost = request
            raise ServerDies
        return super().answer(session, request)

    def late_open(self):
        super().answer(self.session(), self.lost)


def test_a_late_open_of_a_dead_session_empties_no_file_that_was_finished_since():
    server = LosesTheSecondOpen()
    server.files[NAME] = bytearray(CONTENT[:1000])
    assert isinstance(Attempt(server).go(earlier=True).error, LinkLost)
    assert Attempt(server).go(earlier=True).landed == NAME
    server.late_open()
    assert server.files == {NAME: CONTENT}


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_part_of_ours_that_may_not_be_written_over_is_made_anew_where_it_may_be_removed(is_gone):
    class WritesOverNothing(CannotRename):
        """Lets nobody open a file that is there for writing, as ProFTPD may."""

        def answer(self, session, request):
            if isinstance(request, wire.Open) and request.flags & wire.WRITE and request.path in self.files:
                return DENIED
            if isinstance(request, wire.Remove) and not is_gone:
                return DENIED
            return super().answer(session, request)

    server = WritesOverNothing()
    server.files[NAME] = bytearray(CONTENT[:1000])
    attempt = Attempt(server).go(earlier=True)
    if is_gone:
        assert attempt.landed == NAME
        assert server.files == {NAME: CONTENT}
    else:
        assert isinstance(attempt.error, RemoteRefused)
        assert attempt.error.effect is Effect.UNSEEN
        assert server.files == {NAME: CONTENT[:1000]}


def test_a_part_that_was_neither_finished_nor_removed_is_still_told_of():
    class Gone(BytesSource):
        """Was removed by hand."""

        def read(self, offset, size_bytes):
            raise SpoolMissing("it is gone")

    server = CannotRename()
    server.files[NAME] = bytearray(CONTENT[:1000])
    attempt = Attempt(server)
    attempt.source = Gone(CONTENT)
    assert isinstance(attempt.go(earlier=True).error, SpoolMissing)
    assert attempt.error.effect is Effect.UNSEEN
    assert server.files == {NAME: CONTENT[:1000]}, "nothing tells any more whose it is"


def test_a_size_that_is_known_late_is_waited_for():
    server = TellsSizesLate()
    assert Attempt(server).go().landed == NAME
    assert server.files == {NAME: CONTENT}


def test_a_file_that_the_cut_off_attempt_had_finished_is_not_sent_again():
    server = CannotRename()
    server.files[NAME] = bytearray(CONTENT)
    assert Attempt(server).go(earlier=True).landed == NAME
    assert not any(isinstance(request, WriteData) for request in server.asked)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_file_that_somebody_else_put_there_is_never_touched(earlier):
    server = CannotRename()
    server.files[NAME] = bytearray(OTHER)
    attempt = Attempt(server).go(earlier=earlier)
    assert attempt.landed != NAME
    assert server.files == {NAME: OTHER, attempt.landed: CONTENT}


def test_a_beginning_of_ours_that_no_attempt_of_ours_can_have_left_is_not_touched():
    server = CannotRename()
    server.files[NAME] = bytearray(CONTENT[:1000])
    attempt = Attempt(server).go()
    assert server.files == {NAME: CONTENT[:1000], attempt.landed: CONTENT}


@pytest.mark.parametrize(("conflict", "error"), [("fail", RemoteNameTaken), ("keep", RemoteNameKept)])
def test_a_name_that_is_taken_is_told_and_nothing_was_done(conflict, error):
    server = CannotRename()
    server.files[NAME] = bytearray(OTHER)
    attempt = Attempt(server).go(conflict=conflict)
    assert type(attempt.error) is error
    assert attempt.error.effect is Effect.NONE
    assert server.files == {NAME: OTHER}


@pytest.mark.parametrize("there", [OTHER, CONTENT + OTHER])
def test_overwriting_leaves_nothing_of_what_was_there(there):
    server = CannotRename()
    server.files[NAME] = bytearray(there)
    assert Attempt(server).go(conflict="overwrite").landed == NAME
    assert server.files == {NAME: CONTENT}


@pytest.mark.parametrize("server", [RefusesAWrite(1), KeepsHalf()], ids=["a write is refused", "half is kept"])
def test_a_part_that_cannot_be_finished_is_taken_away(server):
    attempt = Attempt(server).go()
    assert isinstance(attempt.error, RemoteFailure)
    assert attempt.error.effect is Effect.NONE
    assert server.files == {}


def test_a_source_that_was_changed_is_taken_away_again():
    server = CannotRename()
    attempt = Attempt(server, changed=True).go()
    assert isinstance(attempt.error, SourceChanged)
    assert server.files == {}


def test_a_closed_folder_is_told():
    attempt = Attempt(FolderClosedToUs()).go()
    assert isinstance(attempt.error, RemoteRefused)
    assert attempt.error.effect is Effect.NONE


def test_the_marker_comes_last_and_is_never_there_beside_a_part():
    class Watched(CannotRename):
        """Looks at each moment whether the marker is there without its whole file."""

        beside_a_part = 0

        def answer(self, session, request):
            reply = super().answer(session, request)
            self.beside_a_part += MARKER in self.files and self.files[NAME] not in (OTHER, CONTENT)
            return reply

    server = Watched()
    server.files |= {NAME: bytearray(OTHER), MARKER: bytearray()}
    assert Attempt(server).go(conflict="overwrite", marker=".done").landed == NAME
    assert server.files == {NAME: CONTENT, MARKER: b""}
    assert server.beside_a_part == 0


def test_a_marker_that_may_not_be_made_is_told_and_made_by_the_next_attempt():
    class ForbidsMarkers(CannotRename):
        """Lets nobody make a marker, for now."""

        forbids = True

        def answer(self, session, request):
            if self.forbids and isinstance(request, wire.Open) and request.path == MARKER:
                return DENIED
            return super().answer(session, request)

    server = ForbidsMarkers()
    assert isinstance(Attempt(server).go(marker=".done").error, RemoteRefused)
    server.forbids = False
    assert Attempt(server).go(earlier=True, marker=".done").landed == NAME
    assert server.files == {NAME: CONTENT, MARKER: b""}


@pytest.mark.parametrize("conflict", ["rename", "overwrite"])
@pytest.mark.parametrize("marker", ["", ".done", ".sha256"])
def test_a_link_cut_after_any_request_ends_in_one_whole_file_under_its_name(conflict, marker):
    for received_max in range(60, 400, 7):
        server = CannotRename()
        if conflict == "overwrite":
            server.files[NAME] = bytearray(OTHER)
        first = Attempt(server, received_max=received_max, content=CONTENT[:70_000])
        try:
            first.go(conflict=conflict, marker=marker)
        except LinkLost:
            pass  # in its greeting
        else:
            assert first.error is None or first.error.effect in (Effect.UNSEEN, Effect.NONE)
        again = Attempt(server, content=CONTENT[:70_000]).go(earlier=True, conflict=conflict, marker=marker)
        assert again.landed == NAME
        whole = {path: bytes(content) for path, content in server.files.items()}
        assert whole.pop(NAME) == CONTENT[:70_000]
        assert [*whole] == ([NAME + marker.encode()] if marker else [])
