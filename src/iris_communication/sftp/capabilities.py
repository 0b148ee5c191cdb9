"""What this server can do, learned from its banner, its VERSION packet and its limits, never assumed.

What a server announces is clamped to what is safe everywhere: one announces packets of 4 MiB, another a limit its own
library cannot take, and 0 means "not stated", not "none".
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace

from iris_communication.errors import ProtocolViolation
from iris_communication.sftp import wire
from iris_communication.sftp.credit import SMALL_WRITE_SIZE
from iris_communication.sftp.status import StatusError

# Without announced limits 32 KiB is the only size that every known server takes (Windows' older OpenSSH cuts writes
# beyond 100 KiB short; draft section 3 asks for packets of 34,000 bytes).
SAFE_WRITE_SIZE = SMALL_WRITE_SIZE
# Not announced: enough to hide the round trips, within the smallest cap seen in the field (64 handles).
SAFE_FILES_IN_FLIGHT = 64
# Until OpenSSH's own server has stated its limit: its system gives it a thousand, unless configured otherwise, and an
# OPEN that is one too many is sent again.
_OPENSSH_FILES_IN_FLIGHT = 256
# Erlang's server lends the same handle to every file from the third on. It is noticed (see `handle_book`), but only
# after files have been sent in vain.
_ERLANG = "Erlang/"
# Each handles one request after the other, or finishes a file's WRITEs before its CLOSE. The draft asks that of all
# (section 6.1), but asynchronous servers, npm's ssh2 among them, do otherwise.
_KEEP_ORDER = ("OpenSSH", "AsyncSSH_", "dropbear_", "mod_sftp", "rclone/", "paramiko_", _ERLANG)
_ERLANG_OPEN_FILES = 2
# Its sftp-server refuses a WRITE of which write(2) took a part, and reports what close(2) returned (sftp-server.c,
# process_write, process_close). Other servers run behind its sshd, but none offers these extensions; Windows' fork
# differs.
_OPENSSH = re.compile(r"OpenSSH_\d")
_OF_OPENSSH_ALONE = {b"limits@openssh.com", b"lsetstat@openssh.com", b"expand-path@openssh.com"}


@dataclass(frozen=True, slots=True)
class Capabilities:
    write_size_bytes: int = SAFE_WRITE_SIZE
    files_in_flight: int = SAFE_FILES_IN_FLIGHT
    rename_refuses_existing: bool = False  # a plain RENAME onto an existing name fails, as the draft asks
    replaces_in_one_step: bool = False  # posix-rename@openssh.com
    tells_free_space: bool = False  # statvfs@openssh.com
    keeps_order: bool = False  # between the WRITEs of a file and its CLOSE
    says_what_it_kept: bool = False  # a WRITE of which a part was kept is refused; a check of the size adds nothing
    open_files_max: int | None = None  # at once, where more of them are known to do harm
    ends_at_names_that_are_no_text: bool = False  # not UTF-8: the server crashes and hangs up


Learning = Generator[wire.Request, wire.Reply, Capabilities]


def greeted(software: str, extensions: Mapping[bytes, bytes], files_in_flight_max: int) -> Capabilities:
    """What its banner and its VERSION packet show. Until it has stated its limits: what is safe everywhere."""
    is_opensshs_own = _OPENSSH.match(software) is not None and extensions.keys() >= _OF_OPENSSH_ALONE
    return Capabilities(
        files_in_flight=min(_OPENSSH_FILES_IN_FLIGHT if is_opensshs_own else SAFE_FILES_IN_FLIGHT, files_in_flight_max),
        # OpenSSH links and unlinks; Go's and others' servers overwrite without an error, and one that is built on a
        # library (asyncssh) may do either. The banner is the SSH server's; another program may speak SFTP behind it,
        # but hardly one that offers fsync as well.
        rename_refuses_existing="OpenSSH" in software and b"fsync@openssh.com" in extensions,
        replaces_in_one_step=extensions.get(wire.POSIX_RENAME) == b"1",
        tells_free_space=extensions.get(b"statvfs@openssh.com") == b"2",
        keeps_order=software.startswith(_KEEP_ORDER),
        says_what_it_kept=is_opensshs_own,
        open_files_max=_ERLANG_OPEN_FILES if software.startswith(_ERLANG) else None,
        ends_at_names_that_are_no_text=software.startswith(_ERLANG),
    )


def tells_limits(extensions: Mapping[bytes, bytes]) -> bool:
    return extensions.get(b"limits@openssh.com") == b"1"


def learn(software: str, extensions: Mapping[bytes, bytes], files_in_flight_max: int) -> Learning:
    """A conversation: ask for the limits where the server offers them."""
    found = greeted(software, extensions, files_in_flight_max)
    if not tells_limits(extensions):
        return found
    try:
        reply = yield wire.limits()
    except StatusError:
        return replace(found, files_in_flight=min(SAFE_FILES_IN_FLIGHT, files_in_flight_max))  # announced, then refused
    if not isinstance(reply, wire.ExtendedReply):
        raise ProtocolViolation("limits@openssh.com was answered by the wrong kind of reply")
    packet_max, _, write_max, handles_max = reply.numbers(4)
    packet = min(packet_max or wire.PACKET_MAX, wire.PACKET_MAX)
    return replace(
        found,
        write_size_bytes=max(1024, min(write_max or SAFE_WRITE_SIZE, packet - wire.WRITE_OVERHEAD)),
        # Half the handles: other sessions of this account may hold some, and a server short of them answers strangely.
        files_in_flight=max(1, min(files_in_flight_max, handles_max // 2 if handles_max else SAFE_FILES_IN_FLIGHT)),
    )
