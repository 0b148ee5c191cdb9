"""What may be configured, as frozen values.

A `Server` is an address without its secrets: it may be stored, logged and shown. `Secret` is the rest; it exists in
memory and in one 0600 file of the outbox, and its repr shows nothing. A `Rule` says how files of one kind are treated.
"""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from iris_communication.errors import InvalidRequest
from iris_communication.naming import host_names
from iris_communication.runtime.default_folder import absolute

DEFAULT_PORT = 22
DEFAULT_REMOTE_PATH = "{remote_directory}/{project}/{folder_type}/{file_name}"

HostKeyPolicy = Literal["strict", "accept-new", "off"]

Conflict = Literal["rename", "overwrite", "fail", "keep"]
Marker = Literal["", ".done", ".sha256"]
AfterDelivery = Literal["keep", "delete", "move"]
BatchFormat = Literal["zip", "tar.gz"]
TransportName = Literal["asyncssh", "ssh"]
EventLoop = Literal["asyncio", "uvloop"]
WhenFull = Literal["reject", "drop_oldest", "drop_lowest"]

_NO_AMOUNTS = ("event_loop", "lower_share", "new_share", "rules")  # of DeliverySettings
PRIORITIES = range(-9, 10)

SECRET_KEYS = ("password", "private_key", "passphrase")


def _documented(default: Any, doc: str, **facts: Any) -> Any:
    return field(default=default, metadata={"doc": doc, **facts})


@dataclass(frozen=True, slots=True)
class Server:
    """One SFTP account. `host_key` pins the server: a public key line or a SHA256:... fingerprint, or several, one a
    line (parse_server() also takes a list), of which it has to show any. Without one `host_key_policy` decides:
    "strict" trusts whom the user's known_hosts names, "accept-new" also a server never seen before (whose key is
    remembered), "off" everybody. `remote_path` is the template of where a file goes. The rest is the account's,
    whatever the folder: the latest word counts."""

    host: str
    username: str
    port: int = DEFAULT_PORT
    remote_directory: str = "."
    host_key: str = ""
    remote_path: str = DEFAULT_REMOTE_PATH
    host_key_policy: HostKeyPolicy = "strict"
    conflict: Conflict = _documented(
        "rename",
        "when the final name holds something else: rename ours after its content, overwrite what is there, "
        "fail (the file is given up, for a person to decide) or keep what is there and drop ours",
    )
    marker: Marker = _documented(
        "", 'written last, beside each file, for pick-up jobs: ".done" (empty) or ".sha256" (as sha256sum -c reads it)'
    )
    bandwidth_bytes_per_s: float = _documented(0.0, "at most so many bytes of files in a second; 0: no limit")
    windows: tuple[str, ...] = _documented(
        (),
        "when files may be sent, in local time; always if none is given",
        example=("Mon-Fri 18:00-06:00", "Sat,Sun"),
        separator=";",  # where several are one text: each may hold commas itself
    )
    health_interval_s: float = _documented(60.0, "seconds between two looks at a server without traffic; 0: none")
    health_round_trip: bool = _documented(
        default=False, doc="such a look also writes, renames and removes a small hidden file"
    )
    transport: TransportName = _documented(
        "asyncssh",
        'what carries the SSH connection: "asyncssh" (no program needed, faster for small files) or "ssh" (OpenSSH\'s '
        "program: large files at full speed, jump hosts and whatever else ~/.ssh/config says)",
    )
    legacy_algorithms: bool = _documented(
        default=False,
        doc="also what SSH has given up (SHA-1, CBC, 64-bit tags), for a server that has nothing better; "
        "`iris server test` tells what is used",
    )
    streams: int = _documented(
        1, "connections that share one file of 16 MiB and more, where the way is long; some servers forbid it"
    )
    connections_max: int = _documented(
        4, "connections at once; a further one is opened when those there are full and the way is long"
    )
    in_place: bool = _documented(
        default=False,
        doc="write straight under the final name, for a server that cannot rename; whoever looks may see a part",
    )
    file_mode: str = _documented(
        "", "permissions of delivered files, in octal, where the server lets us; its own if empty", example="0640"
    )
    keep_times: bool = _documented(default=False, doc="delivered files bear the time their source was last written at")
    attempts_max: int | None = _documented(None, "takes the place of that of [delivery]", example=8)
    retry_base_s: float | None = _documented(None, "takes the place of that of [delivery]", example=2.0)
    retry_cap_s: float | None = _documented(None, "takes the place of that of [delivery]", example=300.0)

    @property
    def key(self) -> str:
        return f"{self.username}@{host_names.without_dot(self.host)}:{self.port}"


PLACE_KEYS = ("remote_directory", "remote_path")  # of one folder on an account; all others are the account's
ADDRESS_KEYS = tuple(each.name for each in fields(Server))


@dataclass(frozen=True, slots=True)
class Secret:
    """How to prove who we are: a password, or a private key (its text or its file's path) with its passphrase."""

    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.password is not None or self.private_key is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """How files of one kind are treated. Of each fact the first rule that matches a file and states it counts."""

    folder_type: str = _documented("*", "of the files it is for, as a pattern: model, classifier, evidence")
    pattern: str = _documented("*", "of their names", example="*.jpg")
    priority: int | None = _documented(None, "-9 to 9; what has a higher one is sent first", example=5)
    ttl_s: float | None = _documented(
        None, "seconds after which a file that is not delivered is given up as expired", example=86400.0
    )
    attempts_max: int | None = _documented(None, "takes the place of that of the server", example=8)
    retry_base_s: float | None = _documented(None, "takes the place of that of the server", example=2.0)
    retry_cap_s: float | None = _documented(None, "takes the place of that of the server", example=300.0)
    after_delivery: AfterDelivery | None = _documented(
        None, "what becomes of the source once it is delivered: keep, delete or move it", example="delete"
    )
    move_to: str | None = _documented(None, "the folder delivered sources are moved to", example="/var/lib/iris/sent")
    batch: BatchFormat | None = _documented(None, "small files travel together in archives of this kind", example="zip")
    batch_files_max: int = _documented(100, "files in one archive at most")
    batch_bytes_max: int = _documented(8 * 1024 * 1024, "bytes in one archive at most; a larger file goes by itself")
    batch_wait_s: float = _documented(10.0, "the longest that a file waits for others to travel with")

    def __post_init__(self) -> None:
        if self.priority is not None:
            check_priority(self.priority)
        for name, choices in (("after_delivery", AfterDelivery), ("batch", BatchFormat)):
            _check_choice(name, getattr(self, name), choices)
        for name in ("ttl_s", "attempts_max", "retry_base_s", "retry_cap_s"):
            if (value := getattr(self, name)) is not None:
                _check_positive(name, value)
        for name in ("batch_files_max", "batch_bytes_max", "batch_wait_s"):
            _check_positive(name, getattr(self, name))
        if self.after_delivery == "move" and not self.move_to:
            raise InvalidRequest('after_delivery is "move", so move_to has to name a folder')
        if self.move_to:  # whatever folder the process is in when a file is queued
            object.__setattr__(self, "move_to", absolute(self.move_to))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the outbox takes, beside the number of files (`max_queue_size`), and what gives way when it is full."""

    bytes_max: int | None = _documented(
        None,
        "bytes of files that are not delivered, the dead among them; no limit if not given",
        example=10_000_000_000,
    )
    disk_reserve_bytes: int = _documented(0, "free bytes on the outbox's disk below which nothing is accepted")
    when_full: WhenFull = _documented(
        "reject", "what gives way then: reject the new file, drop_oldest or drop_lowest (priority) of those that wait"
    )

    def __post_init__(self) -> None:
        _check_choice("when_full", self.when_full, WhenFull)
        if self.bytes_max is not None:
            _check_positive("bytes_max", self.bytes_max)
        if not isinstance(self.disk_reserve_bytes, int) or self.disk_reserve_bytes < 0:
            raise InvalidRequest(f"disk_reserve_bytes is {self.disk_reserve_bytes!r}: expected 0 or more")


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How delivery is paced. Back-off is `min(cap, base * 2**n)`, of which a random part is waited (full jitter)."""

    attempts_max: int = _documented(8, "tries of one file, counting only failures that are the file's own")
    retry_base_s: float = _documented(2.0, "longest wait before a file's second try, in seconds; doubles each time")
    retry_cap_s: float = _documented(300.0, "up to this many seconds")
    breaker_base_s: float = _documented(
        1.0, "longest wait before a server that failed is tried again, in seconds; doubles each time"
    )
    breaker_cap_s: float = _documented(60.0, "up to this many seconds")
    connect_timeout_s: float = _documented(
        15.0, "seconds for name look-up, TCP, key exchange and authentication together"
    )
    progress_timeout_s: float = _documented(
        30.0,
        "seconds of silence after which a connection counts as lost; a server that only is slow has ten times that",
    )
    idle_close_s: float = _documented(60.0, "seconds without work after which a connection is closed")
    files_in_flight_max: int = _documented(
        512, "files under way at once on one connection; the server's own limits lower it"
    )

    event_loop: EventLoop = _documented(
        "asyncio",
        "uvloop (pip install iris-camera[uvloop]) delivers small files with less processor time, in longer turns",
    )
    lower_share: float = _documented(
        0.1, "of the link, for files of lower priority while some of a higher one wait; 0 to 0.5"
    )
    new_share: float = _documented(
        0.25, "of the link, for new files while what an outage has left is sent; 0 (strictly in order) to 0.5"
    )
    ttl_s: float | None = _documented(
        None, "seconds after which a file that is not delivered is given up as expired; never if not given", example=1e6
    )
    rules: Mapping[str, Rule] = field(
        default_factory=dict, metadata={"doc": "one table a kind of file; the first that matches and says so counts"}
    )

    def __post_init__(self) -> None:
        for name in ("lower_share", "new_share"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value <= 0.5:
                raise InvalidRequest(f"{name} is {value!r}: expected a number from 0 to 0.5")
        if self.event_loop not in get_args(EventLoop):
            raise InvalidRequest(f"event_loop is {self.event_loop!r}: expected 'asyncio' or 'uvloop'")
        if self.event_loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
            hint = "pip install iris-camera[uvloop], or leave event_loop at asyncio"
            raise InvalidRequest("event_loop is 'uvloop', which is not installed", hint=hint)
        for name in self.__slots__:
            value = getattr(self, name)
            if name not in _NO_AMOUNTS and (name, value) != ("ttl_s", None):
                _check_positive(name, value)


def check_priority(value: Any) -> int:
    """Raises InvalidRequest for what is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in PRIORITIES:
        raise InvalidRequest(f"priority is {value!r}: expected a whole number from -9 (last) to 9 (first)")
    return value


def is_amount(value: Any) -> bool:
    """A number above 0 that can be reckoned with: neither without an end nor longer than a float."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 < value <= sys.float_info.max


def _check_positive(name: str, value: Any) -> None:
    if not is_amount(value):
        raise InvalidRequest(f"{name} is {value!r}: expected a number above 0")


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value is not None and value not in get_args(choices):
        raise InvalidRequest(f"{name} is {value!r}: expected one of {', '.join(map(repr, get_args(choices)))}")
