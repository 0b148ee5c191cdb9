"""What may be configured, as frozen values.

A `Server` is an address without its secrets: it may be stored, logged and shown. `Secret` is the rest; it exists in
memory and in one 0600 file of the outbox, and its repr shows nothing.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from iris_communication.errors import InvalidRequest

DEFAULT_PORT = 22
DEFAULT_REMOTE_PATH = "{remote_directory}/{project}/{folder_type}/{file_name}"

HostKeyPolicy = Literal["strict", "accept-new", "off"]

ADDRESS_KEYS = ("host", "port", "username", "remote_directory", "host_key", "host_key_policy", "remote_path")
SECRET_KEYS = ("password", "private_key", "passphrase")


@dataclass(frozen=True, slots=True)
class Server:
    """One SFTP account. `host_key` pins the server: a public key line or a SHA256:... fingerprint. Without one
    `host_key_policy` decides: "strict" trusts whom the user's known_hosts names, "accept-new" also a server never seen
    before (whose key is remembered), "off" everybody. `remote_path` is the template of where a file goes."""

    host: str
    username: str
    port: int = DEFAULT_PORT
    remote_directory: str = "."
    host_key: str = ""
    remote_path: str = DEFAULT_REMOTE_PATH
    host_key_policy: HostKeyPolicy = "strict"

    @property
    def key(self) -> str:
        return f"{self.username}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Secret:
    """How to prove who we are: a password, or a private key (its text or its file's path) with its passphrase."""

    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.password is not None or self.private_key is not None


def _documented(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


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
        30.0, "seconds without a byte from a server that owes an answer, after which the connection counts as lost"
    )
    idle_close_s: float = _documented(60.0, "seconds without work after which a connection is closed")
    files_in_flight_max: int = _documented(
        256, "files under way at once on one connection; the server's own limits lower it"
    )

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not value > 0:
                raise InvalidRequest(f"{name} is {value!r}: expected a number above 0")


def parse_server(info: Mapping[str, Any]) -> tuple[Server, Secret]:
    """Split a `sftp_server_info` mapping into what may be stored and what must be kept secret.

    Raises InvalidRequest naming the key that is missing, unknown or of the wrong kind; never with a value of it that
    could be a secret.
    """
    for key in info:
        if key not in ADDRESS_KEYS and key not in SECRET_KEYS:
            raise InvalidRequest(f"sftp_server_info has an unknown key {key!r}{_did_you_mean(str(key))}")
    for key in ("host", "username"):
        if not info.get(key):
            raise InvalidRequest(f"sftp_server_info needs {key!r}")
    policy = info.get("host_key_policy")
    if policy is not None and policy not in get_args(HostKeyPolicy):
        raise InvalidRequest(
            f"sftp_server_info: host_key_policy is {policy!r}: expected one of {', '.join(get_args(HostKeyPolicy))}"
        )
    texts = {key: info[key] for key in (*ADDRESS_KEYS, *SECRET_KEYS) if key != "port" and info.get(key) is not None}
    for key, value in texts.items():
        if not isinstance(value, str):
            texts[key] = _as_text(key, value)
    server = Server(port=_port(info.get("port")), **{k: v for k, v in texts.items() if k in ADDRESS_KEYS})
    for key, text in (("host", server.host), ("username", server.username)):
        if any(character.isspace() or not character.isprintable() for character in text):
            raise InvalidRequest(
                f"sftp_server_info: {key} is {text!r}, which holds a space or an unprintable character"
            )
    return server, Secret(**{k: v for k, v in texts.items() if k in SECRET_KEYS})


def _did_you_mean(key: str) -> str:
    close = difflib.get_close_matches(key, (*ADDRESS_KEYS, *SECRET_KEYS), n=1)
    return f": did you mean {close[0]!r}?" if close else f"; known are {', '.join((*ADDRESS_KEYS, *SECRET_KEYS))}"


def _as_text(key: str, value: Any) -> str:
    if hasattr(value, "__fspath__"):
        return str(value)
    raise InvalidRequest(f"sftp_server_info[{key!r}] is a {type(value).__name__}: expected text")


def _port(value: Any) -> int:
    if value is None:
        return DEFAULT_PORT
    try:
        port = int(value)
    except (TypeError, ValueError, OverflowError):
        port = 0
    if not 0 < port < 65536 or isinstance(value, bool) or (isinstance(value, float) and value != port):
        raise InvalidRequest(f"sftp_server_info: port is {value!r}: expected a number from 1 to 65535")
    return port
