"""What may be configured, as frozen values.

A `Server` is an address without its secrets: it may be stored, logged and shown. `Secret` is the rest; it exists in
memory and in one 0600 file of the outbox, and its repr shows nothing. A `Rule` says how files of one kind are treated.
"""

import difflib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from iris_communication import delivery_window, host_names, pinned_keys, private_keys
from iris_communication.errors import InvalidRequest
from iris_communication.path_template import check_template

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
STREAMS_MAX = 8
PIN_SHOWN_MAX = 80  # characters

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
            object.__setattr__(self, "move_to", os.path.abspath(self.move_to))


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


def parse_server(info: Mapping[str, Any], template_names: tuple[str, ...] | None = None) -> tuple[Server, Secret]:
    """Split a `sftp_server_info` mapping into what may be stored and what must be kept secret.

    `template_names`: the names that remote_path may use, besides those that always are there; None: any. Raises
    InvalidRequest naming the key that is missing, unknown or of the wrong kind; never with a value of it that could be
    a secret.
    """
    for key in info:
        if key not in ADDRESS_KEYS and key not in SECRET_KEYS:
            raise InvalidRequest(f"sftp_server_info has an unknown key {key!r}{_did_you_mean(str(key))}")
    for key in ("host", "username"):
        if not info.get(key):
            raise InvalidRequest(f"sftp_server_info needs {key!r}")
    facts = {key: info[key] for key in (*ADDRESS_KEYS, *SECRET_KEYS) if info.get(key) is not None}
    for key, value in facts.items():
        if key in _KINDS:
            facts[key] = _KINDS[key](key, value)
        elif not isinstance(value, str):
            facts[key] = _as_text(key, value)
    server = Server(**{k: v for k, v in facts.items() if k in ADDRESS_KEYS})
    _check_login(server)
    if "private_key" in facts:
        facts["private_key"] = private_keys.absolute(facts["private_key"])
    try:
        check_template(server.remote_path, template_names)
    except InvalidRequest as error:
        raise InvalidRequest(f"sftp_server_info: {error}", hint=error.hint) from None
    secret = Secret(**{k: v for k, v in facts.items() if k in SECRET_KEYS})
    _check_secret(secret)
    return replace(server, host=host_names.canonical(server.host)), secret


def _check_login(server: Server) -> None:
    if (trouble := host_names.trouble(server.host)) is not None:
        raise InvalidRequest(f"sftp_server_info: host is {host_names.shown(server.host)}, which {trouble}")
    if not server.username.isprintable() or not server.username.strip():
        raise InvalidRequest(
            f"sftp_server_info: username is {server.username!r}, which is empty or holds an unprintable character"
        )


def _check_secret(secret: Secret) -> None:
    """Never shows any of it."""
    for name in ("password", "passphrase"):
        text = getattr(secret, name)
        if text is not None and text.endswith(("\n", "\r")):
            raise InvalidRequest(
                f"sftp_server_info: {name} ends with a line break, which is hardly part of it: give it without"
            )


def _did_you_mean(key: str) -> str:
    close = difflib.get_close_matches(key, (*ADDRESS_KEYS, *SECRET_KEYS), n=1)
    return f": did you mean {close[0]!r}?" if close else f"; known are {', '.join((*ADDRESS_KEYS, *SECRET_KEYS))}"


def _as_text(key: str, value: Any) -> str:
    if hasattr(value, "__fspath__"):
        return str(value)
    raise InvalidRequest(f"sftp_server_info[{key!r}] is a {type(value).__name__}: expected text")


def _port(_: str, value: Any) -> int:
    try:
        port = int(value)
    except (TypeError, ValueError, OverflowError):
        port = 0
    if not 0 < port < 65536 or isinstance(value, bool) or (isinstance(value, float) and value != port):
        raise InvalidRequest(f"sftp_server_info: port is {value!r}: expected a number from 1 to 65535")
    return port


def _host_keys(key: str, value: Any) -> str:
    """One text of it, whatever it came as."""
    keys = value.splitlines() if isinstance(value, str) else value
    if not isinstance(keys, (list, tuple)) or not all(isinstance(each, str) for each in keys):
        raise InvalidRequest(
            f"sftp_server_info[{key!r}] is a {type(value).__name__}: expected text, or a list of texts"
        )
    pins = [pin.strip() for each in keys for pin in each.splitlines() if pin.strip()]
    for pin in pins:
        if (trouble := pinned_keys.trouble(pin)) is not None:
            shown = "a text" if "PRIVATE" in pin else repr(pin[:PIN_SHOWN_MAX])
            raise InvalidRequest(f"sftp_server_info: {key} is {shown}, which {trouble}")
    return "\n".join(map(pinned_keys.stated, pins))


def _choice(choices: Any) -> Callable[[str, Any], Any]:
    def checked(key: str, value: Any) -> Any:
        if value not in get_args(choices):
            words = ", ".join(choice or repr(choice) for choice in get_args(choices))
            raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected one of {words}")
        return value

    return checked


def _number(least: float, kind: type = float) -> Callable[[str, Any], Any]:
    def checked(key: str, value: Any) -> Any:
        is_none = type(value) in (int, float) and value == 0
        if not (is_none or is_amount(value)) or not value >= least or kind(value) != value:
            raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected a number of at least {least:g}")
        return kind(value)

    return checked


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected a list of texts")
    return tuple(value)


def _windows(key: str, value: Any) -> tuple[str, ...]:
    texts = _texts(key, value)
    try:
        delivery_window.parse(texts)
    except InvalidRequest as error:
        raise InvalidRequest(f"sftp_server_info: {key} cannot be used: {error}; {error.hint}") from None
    return texts


def _yes_or_no(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected True or False")
    return value


def _streams(key: str, value: Any) -> int:
    count: int = _number(1, int)(key, value)
    if count > STREAMS_MAX:
        raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected {STREAMS_MAX} at most")
    return count


def _file_mode(key: str, value: Any) -> str:
    if not isinstance(value, str) or re.fullmatch("0?[0-7]{3}", value) is None:
        raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected an octal number in quotes, as in '0640'")
    return value


def _remote_directory(key: str, value: Any) -> str:
    """SFTP knows no `~`: a folder of that name would be made. What it is meant to be, the login folder, is where
    relative paths begin."""
    text = value if isinstance(value, str) else _as_text(key, value)
    first, _, rest = text.partition("/")
    if not first.startswith("~"):
        return text
    if first != "~":
        raise InvalidRequest(
            f"sftp_server_info: {key} is {text!r}, and SFTP knows no folder of {first[1:]!r}: give the whole path",
            hint=f"a folder that really begins with ~ is './{text}'",
        )
    return rest.lstrip("/") or "."


def _remote_path(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else _as_text(key, value)
    if text.startswith("~"):
        raise InvalidRequest(
            f"sftp_server_info: {key} is {text!r}, and SFTP does not know what ~ is: leave it out, for a relative path "
            "begins where the login does"
        )
    return text


_KINDS: Mapping[str, Callable[[str, Any], Any]] = {
    "remote_directory": _remote_directory,
    "remote_path": _remote_path,
    "port": _port,
    "host_key": _host_keys,
    "host_key_policy": _choice(HostKeyPolicy),
    "conflict": _choice(Conflict),
    "marker": _choice(Marker),
    "transport": _choice(TransportName),
    "legacy_algorithms": _yes_or_no,
    "streams": _streams,
    "connections_max": _streams,
    "in_place": _yes_or_no,
    "file_mode": _file_mode,
    "keep_times": _yes_or_no,
    "bandwidth_bytes_per_s": _number(0),
    "windows": _windows,
    "health_interval_s": _number(0),
    "health_round_trip": _yes_or_no,
    "attempts_max": _number(1, int),
    "retry_base_s": _number(0.001),
    "retry_cap_s": _number(0.001),
}
