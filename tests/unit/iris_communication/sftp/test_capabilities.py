"""What a server announces, and what we make of it."""

import struct

import pytest

from iris_communication.errors import ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.sftp.capabilities import SAFE_FILES_IN_FLIGHT, SAFE_WRITE_SIZE, Capabilities, greeted, learn
from iris_communication.sftp.status import StatusError

LIMITS = {b"limits@openssh.com": b"1"}
OPENSSH = {
    b"posix-rename@openssh.com": b"1",
    b"statvfs@openssh.com": b"2",
    b"fsync@openssh.com": b"1",
    b"limits@openssh.com": b"1",
}


def learned(packet=0, read=0, write=0, handles=0, software="", extensions=LIMITS, files_in_flight_max=256):
    learning = learn(software, extensions, files_in_flight_max)
    assert next(learning) == wire.limits()
    with pytest.raises(StopIteration) as done:
        learning.send(wire.ExtendedReply(struct.pack(">4Q", packet, read, write, handles)))
    return done.value.value


def learned_at_once(software="", extensions=None, files_in_flight_max=256):
    with pytest.raises(StopIteration) as done:
        next(learn(software, extensions or {}, files_in_flight_max))
    return done.value.value


@pytest.mark.parametrize(
    ("announced", "write_size_bytes", "files_in_flight"),
    [
        pytest.param((262144, 261120, 261120, 1019), 261120, 256, id="OpenSSH"),
        pytest.param((4195328, 4194304, 4194304, 0), 262144 - 277, 64, id="asyncssh: 4 MiB"),
        pytest.param((524288, 523264, 523264, 1019), 262144 - 277, 256, id="ProFTPD: 512 KiB"),
        pytest.param((0, 0, 0, 0), SAFE_WRITE_SIZE, SAFE_FILES_IN_FLIGHT, id="zeros say nothing"),
        pytest.param((34000, 32768, 32768, 64), 32768, 32, id="just the draft"),
        pytest.param((32768, 0, 0, 64), 32768 - 277, 32, id="a packet no larger than its data should be"),
        pytest.param((262144, 0, 65536, 1), 65536, 1, id="a single handle"),
        pytest.param((262144, 0, 65536, 2**64 - 1), 65536, 256, id="handles without end"),
        pytest.param((1, 1, 1, 1), 1024, 1, id="nonsense"),
    ],
)
def test_a_servers_word_is_clamped_to_what_is_safe(announced, write_size_bytes, files_in_flight):
    found = learned(*announced)
    assert (found.write_size_bytes, found.files_in_flight) == (write_size_bytes, files_in_flight)


@pytest.mark.parametrize("write", [0, 1, 32768, 261120, 2**40])
@pytest.mark.parametrize("packet", [0, 300, 34000, 262144, 2**40])
def test_no_write_packet_is_longer_than_any_known_server_takes(packet, write):
    size = learned(packet=packet, write=write).write_size_bytes
    head = wire.Write(b"h" * 256, 0, 0).head(1, 0, size)
    assert len(head) - 4 + size <= wire.PACKET_MAX


def test_our_own_limit_of_files_in_flight_counts():
    assert learned(handles=1000, files_in_flight_max=10).files_in_flight == 10
    assert learned_at_once(files_in_flight_max=10).files_in_flight == 10


def test_limits_that_are_safe_everywhere_are_used_where_none_are_announced():
    assert learned_at_once() == Capabilities(SAFE_WRITE_SIZE, SAFE_FILES_IN_FLIGHT)


def test_limits_of_another_version_are_not_asked_for():
    assert learned_at_once(extensions={b"limits@openssh.com": b"2"}).write_size_bytes == SAFE_WRITE_SIZE


def test_limits_that_are_announced_and_refused_stay_at_what_is_safe():
    learning = learn("", LIMITS, 256)
    next(learning)
    with pytest.raises(StopIteration) as done:
        learning.throw(StatusError(wire.FX_OP_UNSUPPORTED, "no"))
    assert done.value.value == Capabilities(SAFE_WRITE_SIZE, SAFE_FILES_IN_FLIGHT)


@pytest.mark.parametrize(
    ("software", "extensions", "files"),
    [
        ("", LIMITS, SAFE_FILES_IN_FLIGHT),
        ("OpenSSH_9.2p1", OPENSSH, SAFE_FILES_IN_FLIGHT),
        ("OpenSSH_9.2p1", None, 256),
    ],
    ids=["of no name", "another program behind OpenSSH's sshd", "OpenSSH's own"],
)
def test_limits_that_are_safe_there_are_used_before_a_server_has_told_its_own(software, extensions, files):
    extensions = OPENSSH_9_2 if extensions is None else extensions
    before = greeted(software, extensions, 512)
    assert (before.files_in_flight, before.write_size_bytes) == (files, SAFE_WRITE_SIZE)
    assert greeted(software, extensions, 10).files_in_flight == 10


def test_limits_that_are_cut_short_are_a_violation():
    learning = learn("", LIMITS, 256)
    next(learning)
    with pytest.raises(ProtocolViolation, match="24 bytes where 32 were due"):
        learning.send(wire.ExtendedReply(bytes(24)))


OPENSSH_9_2 = OPENSSH | dict.fromkeys((b"lsetstat@openssh.com", b"expand-path@openssh.com", b"copy-data"), b"1")


@pytest.mark.parametrize(
    ("software", "extensions", "says"),
    [
        ("OpenSSH_9.2p1 Debian-2", OPENSSH_9_2, True),
        ("OpenSSH_9.2p1", OPENSSH, False),  # another program behind sshd
        ("OpenSSH_for_Windows_9.5", OPENSSH_9_2, False),  # a fork, with a file system of its own
        ("dropbear_2022.83", OPENSSH_9_2, False),
        ("AsyncSSH_2.24.1", OPENSSH_9_2, False),
    ],
)
def test_opensshs_own_server_alone_is_taken_at_its_word_of_what_it_kept(software, extensions, says):
    found = learned(software=software, extensions=extensions)
    assert found.says_what_it_kept is says


@pytest.mark.parametrize(
    ("software", "extensions", "refuses"),
    [
        ("OpenSSH_9.2p1 Debian-2", OPENSSH, True),
        ("AsyncSSH_2.24.1", OPENSSH, False),
        ("Go", OPENSSH, False),
        ("SFTPGo_2.6", {}, False),
        ("", OPENSSH, False),
        # sshd with another program's SFTP server behind it: the banner is sshd's, the manners are not.
        ("OpenSSH_9.2p1", {b"posix-rename@openssh.com": b"1", b"statvfs@openssh.com": b"2"}, False),
    ],
)
def test_servers_known_for_it_alone_are_trusted_to_refuse_a_name_that_is_taken(software, extensions, refuses):
    without_limits = {name: data for name, data in extensions.items() if name != b"limits@openssh.com"}
    assert learned_at_once(software, without_limits).rename_refuses_existing is refuses


@pytest.mark.parametrize(("data", "tells"), [(b"2", True), (b"1", False), (b"", False), (None, False)])
def test_free_space_is_asked_for_where_it_is_offered_in_the_version_we_know(data, tells):
    extensions = {} if data is None else {b"statvfs@openssh.com": data}
    assert learned_at_once(extensions=extensions).tells_free_space is tells


@pytest.mark.parametrize(("data", "replaces"), [(b"1", True), (b"2", False), (b"", False), (None, False)])
def test_replacing_in_one_step_is_trusted_where_it_is_offered_in_the_version_we_know(data, replaces):
    extensions = {} if data is None else {b"posix-rename@openssh.com": data}
    assert learned_at_once(extensions=extensions).replaces_in_one_step is replaces
