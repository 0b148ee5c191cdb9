"""Each fault, what is noticed of it, what is decided, and how it ends: the tests assert every word, and docs/faults.md
shows it."""

from collections.abc import Callable
from dataclasses import dataclass

from iris_communication.errors import (
    IrisError,
    LinkLost,
    LinkTimeout,
    ProtocolViolation,
    RemoteDiskFull,
    RemoteFailure,
    RemoteRefused,
)
from iris_communication.item import Event
from iris_communication.sftp import wire
from iris_communication.testing import MemoryServer, faulty_servers
from iris_communication.testing.naming_servers import FoldsNames, MissingHasAnotherCode, OpenHasAnotherCode
from iris_communication.testing.refusing_servers import (
    KnowsNoExclusive,
    OneHandle,
    OverlooksExclusive,
    PermissionLostInTheMiddle,
    QuotaReached,
    SomeNamesOnly,
)
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.silent_servers import NeverAnswersOneRequest, SilentFrom
from iris_communication.testing.spoiling_servers import (
    ClosesBeforeItHasWritten,
    LiesAboutSizes,
    LosesAWrite,
    MixesUpPipelinedWrites,
    MovesFilesAwayAtClose,
    TellsSizesLate,
)
from tests.unit.iris_communication.faults.story import ROUND_TRIP_S, SIZE_BYTES

Now = Callable[[], float]
TIMES = {0: "nobody's", 1: "one file's", 5: "every file's"}


@dataclass(frozen=True)
class Fault:
    """`error` is the one that is met (None: none is), `event` what is decided, for so many of the five files at first.
    `ends` are how it ends for them, sorted."""

    make: Callable[[Now], MemoryServer]
    text: str
    error: type[IrisError] | None = None
    says: str = ""  # words of the error
    event: Event | None = None
    files: int = 0
    ends: tuple[str, ...] = ("delivered",) * 5


def of(kind: type[MemoryServer], *facts: object, **manners: object) -> Callable[[Now], MemoryServer]:
    return lambda now: kind(*facts, **manners)


def waits(kind: type[MemoryServer], says: str) -> Fault:
    """A server that nothing can be delivered to: it is asked again, ever more seldom, and no file pays for it."""
    return Fault(of(kind), "", ProtocolViolation, says, Event.RELEASE, 5, ("waits",) * 5)


def silent(kind: type, text: str, files: int = 5) -> Fault:
    return Fault(of(SilentFrom, kind), text, LinkTimeout, "has not answered for 30 s", Event.RELEASE, files)


def forgets(kind: type, text: str) -> Fault:
    return Fault(of(NeverAnswersOneRequest, kind), text, LinkTimeout, "has not answered for 30 s", Event.RELEASE, 1)


def dies(kind: type[MemoryServer]) -> Fault:
    return Fault(of(kind), "", LinkLost, "the server closed the connection", Event.RELEASE, 5)


def refuses(kind: type[MemoryServer], error: type[IrisError], says: str, *facts: object) -> Fault:
    return Fault(of(kind, *facts), "", error, says, Event.FAIL, 5, ("given up",) * 5)


F = faulty_servers
HALF_SENT = ("delivered", "delivered", "waits", "waits", "waits")
FAULTS = (
    # how it speaks
    Fault(of(F.AnswersOutOfOrder), ""),
    Fault(of(F.StatusWithoutText), ""),
    Fault(of(F.SpeaksLaterCodes), ""),
    Fault(of(MissingHasAnotherCode, wire.FX_FAILURE), ""),
    Fault(of(OpenHasAnotherCode, wire.FX_NO_SUCH_PATH), ""),
    Fault(of(F.RefusesItsOwnLimits), ""),
    waits(F.ShellNoise, "not an SFTP packet: 'Welcome to the plant!"),
    waits(F.OldVersion, "speaks SFTP version 2"),
    waits(F.AnswersWhatNobodyAsked, "which is not open"),
    waits(F.CutsHandlesShort, "is cut short"),
    waits(F.AnnouncesAHugePacket, "not an SFTP packet"),
    waits(F.AnswersOpenWithOk, "Open was answered by Status"),
    waits(F.AnswersWritesWithHandles, "Write was answered by Handle"),
    Fault(of(FoldsNames), ""),
    # silence
    Fault(of(F.NeverGreets), "", LinkTimeout, "has not answered for 30 s", Event.RELEASE, 5, ("waits",) * 5),
    silent(wire.Open, "Silent from the first OPEN on, without closing."),
    silent(WriteData, "Silent from the first WRITE on, without closing."),
    silent(wire.Close, "Silent from the first CLOSE on, without closing the connection."),
    silent(wire.Stat, "Silent from the first STAT on, without closing."),
    silent(wire.Rename, "Does the first RENAME, and is silent from then on, without closing."),
    forgets(wire.Open, "Never answers one OPEN, and all else."),
    forgets(WriteData, "Never answers one WRITE, and all else."),
    forgets(wire.Rename, "Never answers one RENAME, and all else."),
    # what it refuses
    Fault(of(OneHandle), ""),
    Fault(of(F.SecondFileDenied), ""),
    Fault(of(KnowsNoExclusive), ""),
    Fault(of(OverlooksExclusive), ""),
    Fault(of(F.MakesNoFolders), ""),
    Fault(of(F.ReadingForbidden), ""),
    Fault(of(F.RemovingForbidden), ""),
    Fault(of(F.RefusesAWrite, 3), "", RemoteFailure, "cannot write", Event.FAIL, 1),
    refuses(F.RefusesClose, RemoteFailure, "cannot write"),
    refuses(F.FolderClosedToUs, RemoteRefused, "cannot create"),
    refuses(SomeNamesOnly, RemoteRefused, "cannot create '/in/.iris-", rb".*\.csv"),  # its hint: in_place
    refuses(F.RenamingForbidden, RemoteRefused, "cannot rename the finished file"),
    refuses(PermissionLostInTheMiddle, RemoteRefused, "PERMISSION_DENIED", 3),
    Fault(
        of(MemoryServer, capacity_bytes=2 * SIZE_BYTES + 50_000),
        "The disk is full after two files and a half.",
        RemoteDiskFull,
        "disk is full",
        Event.RELEASE,
        5,
        HALF_SENT,
    ),
    Fault(
        of(QuotaReached, 2 * SIZE_BYTES + 50_000),
        "",
        RemoteDiskFull,
        "Disk quota exceeded",
        Event.RELEASE,
        5,
        HALF_SENT,
    ),
    # what it does with the bytes
    Fault(
        lambda now: MixesUpPipelinedWrites(now, ROUND_TRIP_S, announces_limits=False),
        "",
        RemoteFailure,
        f"of {SIZE_BYTES} bytes",
        Event.FAIL,
        5,
    ),
    Fault(of(ClosesBeforeItHasWritten, announces_limits=False), ""),
    refuses(F.KeepsHalf, RemoteFailure, f"of {SIZE_BYTES} bytes"),
    Fault(of(TellsSizesLate), ""),
    refuses(LiesAboutSizes, RemoteFailure, f"the server kept 0 of {SIZE_BYTES} bytes"),
    refuses(MovesFilesAwayAtClose, RemoteRefused, "cannot rename the finished file"),  # its hint: in_place
    # when it dies, and who else is there
    dies(LosesAWrite),
    dies(F.LosesTheRename),
    dies(F.LosesTheRenameAnswer),
    Fault(of(F.DiesAtTheRemove), "", LinkLost, "the server closed the connection", Event.RELEASE, 1),
    dies(F.ComesBackEmpty),
    Fault(of(F.PicksUp), ""),
    dies(F.PicksUpAndLosesTheRenameAnswer),
)


def name_of(fault: Fault) -> str:
    server = fault.make(lambda: 0.0)
    kind = type(server)
    which = getattr(server, "kind", None)
    if kind is MemoryServer:
        return "MemoryServer(capacity_bytes=...)"
    return kind.__name__ if which is None else f"{kind.__name__}({which.__name__})"


def text_of(fault: Fault) -> str:
    return fault.text or " ".join((type(fault.make(lambda: 0.0)).__doc__ or "").partition("\n\n")[0].split())
