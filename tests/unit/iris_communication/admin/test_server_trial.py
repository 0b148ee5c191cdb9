"""A whole trial of a server in memory: what it takes away again, whatever happens, and how fast it says the way is."""

import io
import logging
import re
import signal
import stat

import pytest

from iris_communication.admin import server_trial
from iris_communication.admin.server_trial import CLEARING_S, TrialStopped, try_server
from iris_communication.errors import LinkLost, LinkTimeout
from iris_communication.sftp import wire
from iris_communication.sftp.token_bucket import SAVED_S
from iris_communication.testing import FakeClock, MemoryServer, MemoryTransport
from iris_communication.testing.faulty_servers import NeverGreets
from iris_communication.testing.memory_channel import MemoryChannel
from iris_communication.testing.memory_server import DENIED, ServerDies
from iris_communication.testing.server_wire import WriteData
from iris_communication.testing.silent_servers import SilentFrom
from iris_communication.transport.algorithms import Negotiated
from tests import virtual_time
from tests.own_process import in_a_process_of_its_own

MIB = 1 << 20
ALL_FOLDERS = {b"/", b"/login", b"/in"}


class Trying:
    """`trying(server)` tries it out in virtual time; `seconds` is how long that took."""

    def __init__(self):
        self.clock = FakeClock()
        self.begun_s = self.clock.monotonic_s()

    def __call__(self, server, *, round_trip_s=0.0, outbox=None, **info):
        transport = MemoryTransport(server)
        transport.round_trip_s = round_trip_s
        info = {"host": "one", "username": "iris", "password": "x", "remote_directory": "/in"} | info
        return try_server(info, outbox=outbox, transport=transport, clock=self.clock)

    @property
    def seconds(self):
        return self.clock.monotonic_s() - self.begun_s


def trying_in_virtual_time(patch):
    made = Trying()
    patch.setattr(server_trial, "run", lambda main: virtual_time.run(main, made.clock))
    return made


@pytest.fixture
def trying(monkeypatch):
    return trying_in_virtual_time(monkeypatch)


@pytest.mark.parametrize(
    ("used", "legacy_algorithms", "text"),
    [
        (
            ("diffie-hellman-group14-sha1", "ssh-rsa", "aes128-ctr", "hmac-sha1"),
            True,
            "spoken with diffie-hellman-group14",
        ),
        (
            ("curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "implicit"),
            True,
            "take legacy_algorithms out",
        ),
        (("curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "implicit"), False, ""),
    ],
    ids=["old", "not needed", "of today"],
)
def test_old_algorithms_are_reported(trying, monkeypatch, used, legacy_algorithms, text):
    monkeypatch.setattr(MemoryChannel, "algorithms", Negotiated(*used))
    report = trying(MemoryServer(), legacy_algorithms=legacy_algorithms)
    assert report.works
    assert report.facts()["algorithms"]["key_exchange"] == used[0]
    told = [sentence.text for sentence in report.sentences if "algorithms" in sentence.text or "SSH" in sentence.text]
    assert len(told) == bool(text)
    assert not text or text in told[0]


# -- what is taken away again -------------------------------------------------------------------------------------


def test_a_trial_of_a_sound_server_leaves_no_file(trying):
    server = MemoryServer()
    report = trying(server)
    assert report.works
    assert (report.findings.left, server.names(), server.folders) == ([], [], ALL_FOLDERS)


class KeepsOneOfMany(MemoryServer):
    """Lets everything be removed but the file with this ending."""

    def __init__(self, ending):
        super().__init__()
        self.ending = ending

    def answer(self, session, request):
        if isinstance(request, wire.Remove) and request.path.endswith(self.ending):
            return DENIED
        return super().answer(session, request)


@pytest.mark.parametrize("ending", [b"-b", b"-7", b"-r"], ids=["of the steps", "of many", "of the rate"])
def test_a_file_that_could_not_be_removed_is_reported_by_name_whatever_it_was_for(trying, ending):
    server = KeepsOneOfMany(ending)
    report = trying(server)
    (left,) = server.names()
    assert report.findings.left == [b"/in/" + left]
    assert left.decode() in " ".join(sentence.text for sentence in report.sentences)
    assert "remove" in report.findings.refused


class TellsHalfItsSpace(MemoryServer):
    """Its answer to statvfs@openssh.com is too short."""

    def answer(self, session, request):
        reply = super().answer(session, request)
        return wire.ExtendedReply(reply.body[:40]) if request == wire.free_space(b"/in") else reply


def test_an_answer_that_makes_no_sense_is_a_finding_and_leaves_nothing(trying):
    server = TellsHalfItsSpace()
    report = trying(server)
    assert "40 bytes" in report.findings.refused["free space"]
    assert (server.names(), server.folders) == ([], ALL_FOLDERS)


class DiesAtTheRate(MemoryServer):
    """Dies at the first WRITE that is longer than those of the steps."""

    def answer(self, session, request):
        if is_of_the_rate(request):
            raise ServerDies
        return super().answer(session, request)


def test_a_trial_that_loses_the_link_names_what_it_may_have_left(trying):
    server = DiesAtTheRate()
    with pytest.raises(LinkLost) as lost:
        trying(server)
    assert names_in(lost.value) == server.names()
    assert lost.value.hint == LinkLost.default_hint


def test_a_trial_of_a_server_that_falls_silent_names_what_it_may_have_left(trying):
    server = SilentFrom(wire.Rename)
    with pytest.raises(LinkTimeout) as lost:
        trying(server)
    assert set(server.names()) <= set(names_in(lost.value))


def names_in(error):
    """The files that an error names, without their folder, in order."""
    return sorted(name.encode() for name in re.findall(r"/in/(\.iris-[0-9a-f]+-\w+)", str(error)))


# -- Ctrl+C -------------------------------------------------------------------------------------------------------


def is_of_the_rate(request):
    return isinstance(request, WriteData) and len(request.data) > 1000


MOMENTS = {
    "while it asks how far it is": lambda request: isinstance(request, wire.Stat),
    "while the first file is made": lambda request: isinstance(request, wire.Open),
    "while a file is renamed": lambda request: isinstance(request, wire.Rename),
    "while a folder is made": lambda request: isinstance(request, wire.MakeDirectory),
    "while many files are open": lambda request: isinstance(request, wire.Open) and request.path.endswith(b"-40"),
    "while it is measured how fast it is": is_of_the_rate,
}


class CtrlC(MemoryServer):
    """Ctrl+C is pressed while it does this; with `silent` it says nothing more from then on."""

    def __init__(self, moment, *, silent=False):
        super().__init__()
        self.moment = moment
        self.silent = silent
        self.pressed = False

    def answer(self, session, request):
        reply = super().answer(session, request)
        if not self.pressed and self.moment(request):
            self.pressed = True
            signal.raise_signal(signal.SIGINT)
        return None if self.pressed and self.silent else reply


@in_a_process_of_its_own
def test_ctrl_c_ends_a_trial_and_leaves_nothing():
    with pytest.MonkeyPatch.context() as patch:
        for name, moment in MOMENTS.items():
            trying, server = trying_in_virtual_time(patch), CtrlC(moment)
            with pytest.raises(TrialStopped) as stopped:
                trying(server, round_trip_s=0.1)
            assert server.pressed, name
            assert (server.names(), server.folders) == ([], ALL_FOLDERS), name
            assert "left" not in str(stopped.value), name


@in_a_process_of_its_own
def test_ctrl_c_ends_a_test_of_a_silent_server_soon_and_names_what_may_be_left():
    with pytest.MonkeyPatch.context() as patch:
        for name, moment in MOMENTS.items():
            trying, server = trying_in_virtual_time(patch), CtrlC(moment, silent=True)
            with pytest.raises(TrialStopped) as stopped:
                trying(server)
            assert trying.seconds == pytest.approx(CLEARING_S), name
            assert set(server.names()) <= set(names_in(stopped.value)), name
            assert (server.names() == []) == ("left" not in str(stopped.value)), name


class CtrlCTwice(MemoryServer):
    """Somebody has no patience at all, while it is measured how fast it is."""

    def answer(self, session, request):
        if is_of_the_rate(request):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return super().answer(session, request)


@in_a_process_of_its_own
def test_a_second_ctrl_c_waits_for_nothing_and_what_may_be_left_is_named_all_the_same():
    log, server = io.StringIO(), CtrlCTwice()
    logging.basicConfig(stream=log)
    with pytest.MonkeyPatch.context() as patch:
        trying = trying_in_virtual_time(patch)
        with pytest.raises(TrialStopped) as stopped:
            trying(server)
    assert trying.seconds == 0
    assert names_in(stopped.value) == server.names()
    assert len(server.names()) == 1
    assert log.getvalue() == ""


class CtrlCAtTheGreeting(NeverGreets):
    """Ctrl+C is pressed while everybody waits for it to say anything."""

    def greeting(self):
        signal.raise_signal(signal.SIGINT)
        return super().greeting()


@in_a_process_of_its_own
def test_ctrl_c_ends_connecting_at_once():
    with pytest.MonkeyPatch.context() as patch:
        trying = trying_in_virtual_time(patch)
        with pytest.raises(TrialStopped):
            trying(CtrlCAtTheGreeting())
    assert trying.seconds == 0


def test_a_stop_of_a_trial_stops_the_program_too():
    assert issubclass(TrialStopped, KeyboardInterrupt)


# -- how fast it is -----------------------------------------------------------------------------------------------


def test_the_rate_with_a_high_round_trip_time_is_not_that_of_one_mib_at_a_time(trying):
    round_trip_s = 0.1
    report = trying(MemoryServer(), round_trip_s=round_trip_s)
    opened_and_written_s = 2 * round_trip_s
    assert report.rate_bytes_per_s > 5 * MIB / opened_and_written_s
    assert report.round_trip_s == pytest.approx(round_trip_s)


class Counts(MemoryServer):
    """Notes how many bytes of files it was sent, and how many of them by when."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.received = []

    def answer(self, session, request):
        if isinstance(request, WriteData):
            self.received.append((self.clock.monotonic_s(), len(request.data)))
        return super().answer(session, request)


def test_a_trial_keeps_to_the_bandwidth_that_the_server_is_to_get(trying):
    limit_bytes_per_s = 100_000
    server = Counts(trying.clock)
    report = trying(server, bandwidth_bytes_per_s=limit_bytes_per_s)
    total_bytes, first_s = 0, server.received[0][0]
    for at_s, size_bytes in server.received:
        total_bytes += size_bytes
        assert total_bytes <= limit_bytes_per_s * (at_s - first_s + SAVED_S)
    assert report.rate_bytes_per_s == pytest.approx(limit_bytes_per_s, rel=0.1)
    assert report.rate_bytes_per_s <= limit_bytes_per_s
    assert trying.seconds < 10


# -- what is remembered -------------------------------------------------------------------------------------------


def test_a_trial_before_the_first_delivery_is_remembered_in_a_folder_of_our_own(trying, tmp_path):
    outbox = tmp_path / "state" / "outbox"
    report = trying(MemoryServer(), outbox=outbox)
    assert server_trial.known(outbox)["iris@one:22"]["trial"] == report.facts()
    assert stat.S_IMODE(outbox.stat().st_mode) == 0o700


def test_a_trial_whose_outbox_cannot_be_made_is_a_trial_all_the_same(trying, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    assert trying(MemoryServer(), outbox=tmp_path / "file" / "outbox").works
    assert "facts about servers are not saved" in caplog.text
