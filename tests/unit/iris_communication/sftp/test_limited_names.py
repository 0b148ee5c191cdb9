"""Accounts that may create files of some names only: the name that was refused is told, with the setting that helps."""

import pytest

from iris_communication.settings import Server
from iris_communication.sftp import wire
from iris_communication.sftp.conversations.in_place import put_in_place
from iris_communication.sftp.trials.probe import Probe, ProbeContent, probe
from iris_communication.sftp.trials.trial import Findings, TrialContent, trial
from iris_communication.sftp.trials.trial_report import Weight, sentences
from iris_communication.testing.faulty_servers import FolderClosedToUs
from iris_communication.testing.memory_server import DENIED, FAILURE, MemoryServer
from iris_communication.testing.refusing_servers import SomeNamesOnly
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed

BAD_MESSAGE = wire.Status(wire.FX_BAD_MESSAGE, "Bad message")
UNSUPPORTED = wire.Status(wire.FX_OP_UNSUPPORTED, "")
LIMITS = {
    "*.csv": rb".*\.csv",
    "*.csv and *.jpg": rb".*\.(csv|jpg)",
    "no dot in front": rb"[^.].*",
    "no long names": rb".{1,12}",
    "letters and one dot": rb"\w+\.\w+",
}
each_limit = pytest.mark.parametrize("pattern", LIMITS.values(), ids=LIMITS)
each_refusal = pytest.mark.parametrize(
    "refusal", [DENIED, FAILURE, BAD_MESSAGE, UNSUPPORTED], ids=lambda it: str(it.code)
)


def tried(server):
    link, found = MemoryLink(server).open(), Findings(b"/in")
    conversation = link.begin(trial(found, b"abc", link.capabilities), TrialContent())
    link.run()
    assert conversation.error is None
    assert found.left == []
    assert server.files == {}
    return found


def says(found, weight, **settings):
    return " ".join(each.text for each in sentences(found, Server("one", "iris", **settings)) if each.weight is weight)


@each_refusal
@each_limit
def test_the_hidden_name_that_was_refused_is_told_with_the_setting_that_helps(pattern, refusal):
    owed = Owed()
    assert not owed.attempt(MemoryLink(SomeNamesOnly(pattern, refusal)))
    hidden = owed.temp_path(owed.item.token).decode()
    assert f"cannot create '{hidden}' (for '/in/a.csv') on the server" in str(owed.error)
    assert "in_place = true" in owed.error.hint


@each_limit
def test_the_setting_helps(pattern):
    server, owed = SomeNamesOnly(pattern), Owed()
    link = MemoryLink(server).open()
    upload = owed.claim()
    conversation = link.begin(put_in_place(upload, link.capabilities, owed.source.read), owed.source)
    link.run()
    assert conversation.error is None
    assert server.content(b"/in/a.csv") == owed.content


@pytest.mark.parametrize("pattern", [rb".*\.csv", rb".*\.jpg", rb".*\.(txt|log)", rb"[^.].*"])
def test_a_trial_tells_that_hidden_names_alone_are_refused(pattern):
    found = tried(SomeNamesOnly(pattern))
    assert "create" not in found.refused
    trouble = says(found, Weight.TROUBLE)
    assert "no hidden name that begins with .iris-" in trouble
    assert "set in_place = true" in trouble
    assert says(found, Weight.TROUBLE, in_place=True) == ""
    assert "in place" in says(found, Weight.NOTE, in_place=True)


def test_a_trial_of_a_folder_that_is_closed_tells_so():
    found = tried(FolderClosedToUs())
    assert "nothing can be delivered" in says(found, Weight.TROUBLE)
    assert "hidden names" not in found.refused


def checked(server, **facts):
    link = MemoryLink(server).open()
    conversation = link.begin(probe(Probe(b"/in", b"0123", **facts), link.capabilities), ProbeContent())
    link.run()
    assert conversation.error is None
    assert server.files == {}
    return conversation.result


def test_a_health_check_tells_of_the_setting_and_is_no_trouble_once_that_is_set():
    server = SomeNamesOnly(rb".*\.csv")
    found = checked(server)
    assert not found.ok
    assert "in_place = true" in found.hint
    found = checked(server, in_place=True)
    assert found.ok
    assert "under a hidden name" in found.text


def test_a_health_check_of_a_server_written_to_in_place_renames_nothing():
    server = MemoryServer()
    assert checked(server, in_place=True).ok
    assert not [request for request in server.asked if isinstance(request, wire.Rename)]
