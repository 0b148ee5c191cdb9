"""What the servers of the matrix taught (tests/integration/test_server_matrix.py): each mend has its test here."""

import hashlib

import pytest

from iris_communication.errors import (
    Effect,
    ProtocolViolation,
    RemoteFailure,
    RemoteNameRefused,
    RemoteNameTaken,
    RemoteRefused,
    Scope,
)
from iris_communication.sftp import wire
from iris_communication.sftp.credit import Handles
from iris_communication.sftp.status import StatusError, blame
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer, ServerDies
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed

OLD, NEW = b"id,label\n0,old\n", b"id,label\n1,good\n"


class LendsHandlesTwice(MemoryServer):
    """From the third open file on it says "1" to each, as Erlang's does."""

    def __init__(self, software="Unheard-of", **manners):
        super().__init__(announces_limits=False, **manners)
        self.software = software
        self.most_open = 0
        self.under = {}  # session -> [(handle, the handle it really has)], newest first

    def answer(self, session, request):
        lent = self.under.setdefault(session, [])
        if isinstance(request, wire.Open):
            reply = super().answer(session, request)
            if isinstance(reply, wire.Handle):
                name = self._next([number for number, _ in lent])
                lent.insert(0, (name, reply.handle))
                self.most_open = max(self.most_open, len(lent))
                return wire.Handle(b"%d" % name)
            return reply
        if getattr(request, "handle", None) is not None:
            entry = next(entry for entry in lent if b"%d" % entry[0] == request.handle)
            reply = super().answer(session, request._replace(handle=entry[1]))
            if isinstance(request, wire.Close):
                lent.remove(entry)
            return reply
        return super().answer(session, request)

    def _next(self, numbers):
        found = 0
        for number in numbers:
            found = number + 1 if number <= found else found
        return found


def files(count, **facts):
    return [Owed(b"%d;" % n * 5000, b"/in/%d.csv" % n, **facts) for n in range(count)]


def send(link, owed):
    """One attempt of each, all at once; how many were delivered."""
    begun = [(each, *each.begin(link)) for each in owed]
    link.run()
    return sum(each.settle(*attempt) for each, *attempt in begun)


@pytest.mark.parametrize("marker", ["", ".sha256"])
def test_a_handle_that_is_lent_twice_costs_no_file_its_content(marker):
    server, owed = LendsHandlesTwice(), files(20, marker=marker)
    link = MemoryLink(server).open()
    send(link, owed)
    late = [each for each in owed if each.landed is None]
    assert late, "none of them had a handle of another"
    assert send(link, late) == len(late)
    assert {path: content for path, content in server.files.items() if path.endswith(b".csv")} == {
        each.final_path: each.content for each in owed
    }
    assert [path for path in server.files if b"/.iris-" in path] == []
    assert link.session.handles.open == 0


def test_a_handle_that_is_lent_twice_is_the_servers_fault_and_leaves_nothing_of_the_attempt():
    link, owed = MemoryLink(LendsHandlesTwice()).open(), files(5)
    send(link, owed)
    failed = [each for each in owed if each.landed is None]
    assert {type(each.error) for each in failed} == {ProtocolViolation}
    assert {each.error.scope for each in failed} == {Scope.SERVER}
    assert {each.effect for each in failed} == {Effect.NONE}
    assert "lent one handle to two files" in str(failed[0].error)


def test_no_third_file_is_asked_of_a_server_that_is_known_to_lend_handles_twice():
    server, owed = LendsHandlesTwice("Erlang/4.15.2"), files(20)
    link = MemoryLink(server).open()
    link.session.handles.most = link.capabilities.open_files_max
    assert send(link, owed) == 20
    assert server.most_open == 2


def test_no_more_files_are_asked_for_than_are_good_for_the_server():
    handles = Handles(most=1)
    handles.asked += 1
    assert not handles.allow()
    handles.granted()
    assert not handles.allow()
    handles.open -= 1
    assert handles.allow()


class EndsAtNamesThatAreNoText(MemoryServer):
    """Crashes at a path that is no UTF-8, as Erlang's does."""

    software = "Erlang/4.15.2"

    def answer(self, session, request):
        for name in ("path", "old", "new"):
            try:
                getattr(request, name, b"").decode("utf-8")
            except UnicodeDecodeError:
                raise ServerDies from None
        return super().answer(session, request)


def test_a_name_that_would_end_the_connection_is_refused_and_never_sent():
    server = EndsAtNamesThatAreNoText()
    link = MemoryLink(server).open()
    bad, fine = Owed(NEW, b"/in/\xff.csv"), Owed(NEW, "/in/ü.csv".encode())
    assert send(link, [bad, fine]) == 1
    assert type(bad.error) is RemoteNameRefused
    assert "is not UTF-8" in str(bad.error)
    assert link.lost is None
    assert server.files == {fine.final_path: NEW}


class DropBox(MemoryServer):
    """Nobody may look at what is there, nor read it."""

    def answer(self, session, request):
        reading = isinstance(request, wire.Open) and request.flags & wire.READ
        return DENIED if reading or isinstance(request, wire.Stat) else super().answer(session, request)


def alternative(content):
    return b"/in/a." + hashlib.sha256(content).hexdigest()[:8].encode() + b".csv"


def test_a_name_that_seems_taken_in_a_drop_box_is_left_for_the_alternative_one():
    server, owed = DropBox(), Owed(NEW)
    server.files[b"/in/a.csv"] = bytearray(OLD)
    assert owed.attempt(MemoryLink(server))
    assert server.files == {b"/in/a.csv": OLD, alternative(NEW): NEW}


def test_two_refusals_in_a_drop_box_are_not_taken_for_two_names_that_are_taken():
    class RefusesEveryRename(DropBox):
        """For a reason it does not tell."""

        def answer(self, session, request):
            return FAILURE if isinstance(request, wire.Rename) else super().answer(session, request)

    server, owed = RefusesEveryRename(), Owed(NEW)
    assert not owed.attempt(MemoryLink(server))
    assert type(owed.error) is RemoteFailure
    assert server.files == {}


@pytest.mark.parametrize("conflict", ["fail", "keep"])
def test_a_file_in_a_drop_box_that_has_the_name_is_not_said_to_be_something_else(conflict):
    server, owed = DropBox(), Owed(NEW, conflict=conflict)
    server.files[b"/in/a.csv"] = bytearray(OLD)
    assert not owed.attempt(MemoryLink(server))
    assert type(owed.error) is RemoteFailure
    assert not isinstance(owed.error, RemoteNameTaken)
    assert server.files == {b"/in/a.csv": OLD}


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        pytest.param(4, "open /srv/in/.iris-1: permission denied", "permissions", id="rclone"),
        pytest.param(4, "Operation not permitted", "permissions", id="ProFTPD"),
        pytest.param(4, "Read-only file system", "permissions", id="gesftpserver"),
        pytest.param(4, "Not a directory", "remote_directory", id="ProFTPD and gesftpserver"),
        pytest.param(2, "", "remote_directory", id="no text"),
        pytest.param(3, "", "permissions", id="neither here"),
    ],
)
def test_a_refusal_or_a_missing_folder_is_known_by_its_words_too(code, message, hint):
    error = blame(StatusError(code, message), "create", b"/in/a.csv")
    assert type(error) is RemoteRefused
    assert hint in error.hint
