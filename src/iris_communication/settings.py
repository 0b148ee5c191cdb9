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
    line (parse_server() also takes a list), of which it has to show one. Without any `host_key_policy` decides:
    "strict" trusts servers in the user's known_hosts, "accept-new" also a server never seen before (its key is
    remembered), "off" every server. `remote_path` is the template of where a file goes. All other fields belong to the
    account, whatever the folder: the latest value counts."""

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
        "", 'a file written after each file, for pick-up jobs: ".done" (empty) or ".sha256" (as sha256sum -c reads it)'
    )
    bandwidth_bytes_per_s: float = _documented(0.0, "limit in bytes per second; 0: no limit")
    windows: tuple[str, ...] = _documented(
        (),
        "when files may be sent, in local time; always if none is given",
        example=("Mon-Fri 18:00-06:00", "Sat,Sun"),
        separator=";",  # where several are one text: each may hold commas itself
    )
    health_interval_s: float = _documented(60.0, "seconds between health checks of a server without traffic; 0: none")
    health_round_trip: bool = _documented(
        default=False, doc="such a look also writes, renames and removes a small hidden file"
    )
    transport: TransportName = _documented(
        "asyncssh",
        'what carries the SSH connection: "asyncssh" (no program needed, faster for small files) or "ssh" (OpenSSH\'s '
        "program: large files at full speed, jump hosts and everything else in ~/.ssh/config)",
    )
    legacy_algorithms: bool = _documented(
        default=False,
        doc="also what SSH has given up (SHA-1, CBC, 64-bit tags), for a server that has nothing better; "
        "`iris server test` shows what is used",
    )
    streams: int = _documented(
        1, "connections that share one file of 16 MiB or more at a high round-trip time; some servers forbid it"
    )
    connections_max: int = _documented(
        4, "connections at once; Iris opens another when the open ones are full and the round-trip time is high"
    )
    in_place: bool = _documented(
        default=False,
        doc="write straight under the final name, for a server that cannot rename; readers may see an incomplete file",
    )
    file_mode: str = _documented(
        "",
        "permissions of delivered files, in octal, if the server allows it; empty: the server's default",
        example="0640",
    )
    keep_times: bool = _documented(default=False, doc="delivered files bear the time their source was last written at")
    attempts_max: int | None = _documented(None, "overrides [delivery]", example=8)
    retry_base_s: float | None = _documented(None, "overrides [delivery]", example=2.0)
    retry_cap_s: float | None = _documented(None, "overrides [delivery]", example=300.0)

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
    """How files of one kind are treated. For each field, the first rule that matches a file and sets it counts."""

    folder_type: str = _documented("*", "a pattern for the folder type of its files: model, classifier, evidence")
    pattern: str = _documented("*", "a pattern for their names", example="*.jpg")
    priority: int | None = _documented(None, "-9 to 9; higher priorities are sent first", example=5)
    ttl_s: float | None = _documented(None, "seconds after which an undelivered file expires", example=86400.0)
    attempts_max: int | None = _documented(None, "overrides the server's setting", example=8)
    retry_base_s: float | None = _documented(None, "overrides the server's setting", example=2.0)
    retry_cap_s: float | None = _documented(None, "overrides the server's setting", example=300.0)
    after_delivery: AfterDelivery | None = _documented(
        None, "what to do with the source after delivery: keep, delete or move it", example="delete"
    )
    move_to: str | None = _documented(None, "the folder for delivered sources", example="/var/lib/iris/sent")
    batch: BatchFormat | None = _documented(None, "small files travel together in archives of this kind", example="zip")
    batch_files_max: int = _documented(100, "files in one archive at most")
    batch_bytes_max: int = _documented(8 * 1024 * 1024, "bytes in one archive at most; a larger file is sent alone")
    batch_wait_s: float = _documented(10.0, "seconds that a file waits at most for others to share its archive")

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
        None, "bytes of undelivered files, dead ones included; unset: no limit", example=10_000_000_000
    )
    disk_reserve_bytes: int = _documented(0, "free bytes on the outbox's disk below which nothing is accepted")
    when_full: WhenFull = _documented(
        "reject",
        "what to do at a limit: reject the new file, or drop waiting files: drop_oldest, drop_lowest (priority)",
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

    attempts_max: int = _documented(8, "attempts for one file; only failures of the file itself count")
    retry_base_s: float = _documented(2.0, "longest wait before a file's second attempt, in seconds; doubles each time")
    retry_cap_s: float = _documented(300.0, "upper limit of that wait, in seconds")
    breaker_base_s: float = _documented(
        1.0, "longest wait before a failed server is tried again, in seconds; doubles each time"
    )
    breaker_cap_s: float = _documented(60.0, "upper limit of that wait, in seconds")
    connect_timeout_s: float = _documented(
        15.0, "seconds for name resolution, TCP, key exchange and authentication together"
    )
    progress_timeout_s: float = _documented(
        30.0,
        "seconds of silence after which a connection counts as lost; a server that is only slow gets ten times that",
    )
    idle_close_s: float = _documented(60.0, "seconds without work after which a connection is closed")
    files_in_flight_max: int = _documented(
        512, "files in flight on one connection; the server's own limits may lower it"
    )

    event_loop: EventLoop = _documented(
        "asyncio",
        "uvloop (pip install iris-edge[uvloop]): less processor time for small files, but other threads wait longer",
    )
    lower_share: float = _documented(0.1, "share of the link for lower priorities while higher ones wait; 0 to 0.5")
    new_share: float = _documented(
        0.25, "share of the link for new files while the backlog of an outage is sent; 0 (strictly in order) to 0.5"
    )
    ttl_s: float | None = _documented(
        None, "seconds after which an undelivered file expires; never if not given", example=1e6
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
            hint = "pip install iris-edge[uvloop], or leave event_loop at asyncio"
            raise InvalidRequest("event_loop is 'uvloop', which is not installed", hint=hint)
        for name in self.__slots__:
            value = getattr(self, name)
            if name not in _NO_AMOUNTS and (name, value) != ("ttl_s", None):
                _check_positive(name, value)


def check_priority(value: Any) -> int:
    """Raises InvalidRequest for a value that is no priority."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in PRIORITIES:
        raise InvalidRequest(f"priority is {value!r}: expected a whole number from -9 (last) to 9 (first)")
    return value


def is_amount(value: Any) -> bool:
    """A finite number above 0 that fits into a float."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 < value <= sys.float_info.max


def _check_positive(name: str, value: Any) -> None:
    if not is_amount(value):
        raise InvalidRequest(f"{name} is {value!r}: expected a number above 0")


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value is not None and value not in get_args(choices):
        raise InvalidRequest(f"{name} is {value!r}: expected one of {', '.join(map(repr, get_args(choices)))}")
