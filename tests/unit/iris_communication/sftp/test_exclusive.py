"""Servers that do not know an OPEN of new files alone: that is learned, and files arrive without."""

import pytest

from iris_communication.settings import Server
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.in_place import put_in_place
from iris_communication.sftp.conversations.upload import Quirks
from iris_communication.sftp.trials.probe import Probe, ProbeContent, probe
from iris_communication.sftp.trials.trial import Findings, TrialContent, trial
from iris_communication.sftp.trials.trial_report import Weight, sentences
from iris_communication.testing.memory_server import MemoryServer
from iris_communication.testing.refusing_servers import KnowsNoExclusive, OverlooksExclusive
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed

CODES = [wire.FX_FAILURE, wire.FX_BAD_MESSAGE, wire.FX_OP_UNSUPPORTED, 23]
each_code = pytest.mark.parametrize("code", CODES)


def opens(server):
    return [request for request in server.asked if isinstance(request, wire.Open)]


def attempt(server, owed, quirks, kind="put"):
    """One attempt; its conversation, ended."""
    link = MemoryLink(server).open()
    upload = owed.claim()
    upload.quirks = quirks
    if kind == "put":
        conversation = owed.begin_upload(upload, link)
    else:
        conversation = link.begin(put_in_place(upload, link.capabilities, owed.source.read), owed.source)
    link.run()
    return conversation


@pytest.mark.parametrize("kind", ["put", "in place"])
@pytest.mark.parametrize("marker", ["", ".sha256"])
@each_code
def test_files_arrive_and_what_was_learned_is_used_for_the_next(code, marker, kind):
    server, quirks = KnowsNoExclusive(code), Quirks()
    for name in (b"/in/new/1.csv", b"/in/new/2.csv"):
        before = len(opens(server))
        conversation = attempt(server, Owed(final_path=name, marker=marker), quirks, kind)
        assert conversation.error is None
        assert server.content(name) == Owed().content
        assert quirks.refuses_exclusive
    made = [request for request in opens(server)[before:] if request.flags & wire.CREATE]
    assert not any(request.flags & wire.EXCLUSIVE for request in made)
    assert len(made) == (2 if marker else 1)


@each_code
def test_a_file_that_is_there_is_not_touched_in_place(code):
    server, quirks = KnowsNoExclusive(code), Quirks()
    server.files[b"/in/a.csv"] = bytearray(b"of somebody else, and longer than ours")
    for _ in range(2):
        assert attempt(server, Owed(), quirks, "in place").error is None
        assert server.content(b"/in/a.csv") == b"of somebody else, and longer than ours"
    assert len(server.names()) == 2


def test_a_file_that_is_there_is_not_touched_in_place_though_the_flag_is_overlooked():
    server = OverlooksExclusive()
    server.files[b"/in/a.csv"] = bytearray(b"of somebody else, and longer than ours")
    assert attempt(server, Owed(), Quirks(), "in place").error is None
    assert server.content(b"/in/a.csv") == b"of somebody else, and longer than ours"
    assert len(server.names()) == 2


def test_a_server_that_knows_it_is_asked_for_it_always():
    server, quirks = MemoryServer(), Quirks()
    assert attempt(server, Owed(), quirks).error is None
    assert not quirks.refuses_exclusive
    assert all(request.flags & wire.EXCLUSIVE for request in opens(server))


def test_a_folder_that_is_closed_teaches_nothing():
    class Closed(MemoryServer):
        """No file may be made, which it says as FAILURE."""

        def answer(self, session, request):
            if isinstance(request, wire.Open) and request.flags & wire.CREATE:
                return wire.Status(wire.FX_FAILURE, "")
            return super().answer(session, request)

    quirks = Quirks()
    assert attempt(Closed(), Owed(), quirks).error is not None
    assert not quirks.refuses_exclusive


@each_code
def test_a_trial_and_a_health_check_do_without_it_too(code):
    server = KnowsNoExclusive(code)
    link, found = MemoryLink(server).open(), Findings(b"/in")
    link.begin(trial(found, b"abc", link.capabilities), TrialContent())
    checking = link.begin(probe(Probe(b"/in", b"0123"), link.capabilities), ProbeContent())
    link.run()
    assert (found.refused, found.left, server.files) == ({}, [], {})
    assert checking.result.ok
    told = sentences(found, Server("one", "iris"))
    assert [each.weight for each in told if "EXCL" in each.text] == [Weight.NOTE]
    assert not [each for each in told if each.weight is Weight.TROUBLE]
