"""Each fault is there: a client that notices none would make its tests worthless."""

import inspect

import pytest

from iris_communication.errors import IrisError, LinkTimeout, ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.testing import faulty_servers as faulty
from iris_communication.testing import naming_servers as naming
from iris_communication.testing import refusing_servers as refusing
from iris_communication.testing import silent_servers as silent
from iris_communication.testing import spoiling_servers as spoiling
from iris_communication.testing.memory_server import MemoryServer
from tests.memory_link import MemoryLink
from tests.unit.iris_communication.sftp.owed import Owed

FAULTS = [
    kind
    for module in (faulty, naming, refusing, silent, spoiling)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if kind.__module__ == module.__name__ and issubclass(kind, MemoryServer)
]
# These trouble nobody who keeps to the protocol.
HARMLESS = {
    faulty.AnswersOutOfOrder,
    faulty.CallsAMissingFileAFailure,
    faulty.LooksAtTheNewNameFirst,
    faulty.MakesNoFolders,
    faulty.PicksUp,
    faulty.ReadingForbidden,
    faulty.RefusesItsOwnLimits,
    faulty.RemovingForbidden,
    faulty.SecondFileDenied,
    faulty.SpeaksLaterCodes,
    faulty.StatusWithoutText,
    naming.FoldsNames,
    naming.MissingHasAnotherCode,
    naming.OpenHasAnotherCode,
    refusing.KnowsNoExclusive,
    refusing.OneHandle,
    refusing.OverlooksExclusive,
    silent.TakesItsTime,
    spoiling.ClosesBeforeItHasWritten,
    spoiling.TellsSizesLate,
}
SIZE_BYTES = 100_000  # more than the smallest WRITE
MADE_WITH = {
    faulty.RefusesAWrite: (1,),
    naming.MissingHasAnotherCode: (wire.FX_FAILURE,),
    naming.OpenHasAnotherCode: (wire.FX_FAILURE,),
    refusing.PermissionLostInTheMiddle: (0,),
    refusing.SomeNamesOnly: (rb".*\.csv",),
    refusing.QuotaReached: (SIZE_BYTES - 1,),
    silent.NeverAnswersOneRequest: (wire.Close,),
    silent.SilentFrom: (wire.Close,),
    silent.TakesItsTime: (wire.Close, 1.0),
}


def made(kind):
    if kind is spoiling.MixesUpPipelinedWrites:
        return kind(lambda: 0.0, 1.0, announces_limits=False)
    return kind(*MADE_WITH.get(kind, ()))


def first_attempt(server):
    """(whether it delivered, what it failed with)."""
    link, owed = MemoryLink(server, gives_up=True), Owed(bytes(n % 251 for n in range(SIZE_BYTES)))
    try:
        done = owed.attempt(link)
    except IrisError as error:
        return False, error
    return done, owed.error


@pytest.mark.parametrize("kind", FAULTS)
def test_the_fault_is_the_docstring(kind):
    assert kind.__doc__
    assert kind.__doc__ not in [other.__doc__ for other in FAULTS if other is not kind]


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_felt_by_the_first_upload_unless_it_is_harmless(kind):
    if kind is faulty.DiesAtTheRemove:
        return  # felt later: see its own test
    done, error = first_attempt(made(kind))
    assert done is (kind in HARMLESS)
    assert (error is None) is done


@pytest.mark.parametrize(
    "kind",
    [
        faulty.LosesTheRename,
        faulty.LosesTheRenameAnswer,
        faulty.DiesAtTheRemove,
        faulty.PicksUpAndLosesTheRenameAnswer,
    ],
)
def test_a_server_that_dies_dies_once(kind):
    server, owed = made(kind), Owed()
    attempts = 0
    while not owed.attempt(MemoryLink(server)):
        attempts += 1
        assert attempts < 3
    assert attempts == 1


def test_a_silent_server_leaves_conversations_waiting():
    link = MemoryLink(faulty.SilentAfterOpen()).open()
    owed = Owed()
    _, conversation = owed.begin(link)
    assert link.run() == []
    assert conversation.error is None
    assert link.session.unanswered == 3  # WRITE, CLOSE and the look at what was kept


@pytest.mark.parametrize("kind", [silent.SilentFrom, silent.NeverAnswersOneRequest])
def test_a_server_that_leaves_a_request_unanswered_does_so_once(kind):
    server, owed = made(kind), Owed()
    assert not owed.attempt(MemoryLink(server, gives_up=True))
    assert isinstance(owed.error, LinkTimeout)
    assert owed.attempt(MemoryLink(server, gives_up=True))


def test_answers_out_of_order_really_are():
    server = faulty.AnswersOutOfOrder()
    assert server.arrange([b"1", b"2", b"3"]) == [b"3", b"2", b"1"]


@pytest.mark.parametrize("size_bytes", [0, 1])
def test_a_late_rename_without_a_lost_one_does_nothing(size_bytes):
    server = faulty.LosesTheRename()
    server.files[b"/in/a"] = bytearray(size_bytes)
    server.late_rename()
    assert list(server.files) == [b"/in/a"]


def test_a_violation_shows_what_came_instead():
    _, error = first_attempt(faulty.ShellNoise())
    assert isinstance(error, ProtocolViolation)
    assert "Welcome to the plant!" in str(error)


def test_faults_build_on_a_sound_server():
    assert first_attempt(MemoryServer()) == (True, None)
