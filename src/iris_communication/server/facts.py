"""The forms in which a server's facts may be given, and the one form of each that is stored.

A caller's mapping may give a port as text, a key as a list, a folder with `~`: here each is read, or refused with the
key and what to give instead; never with a value that could be a secret.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

from iris_communication import delivery_window
from iris_communication.errors import InvalidRequest
from iris_communication.naming import host_names
from iris_communication.naming.path_template import check_template
from iris_communication.server import pinned_keys, private_keys
from iris_communication.settings import (
    ADDRESS_KEYS,
    SECRET_KEYS,
    Conflict,
    HostKeyPolicy,
    Marker,
    Secret,
    Server,
    TransportName,
    is_amount,
)

STREAMS_MAX = 8
PIN_SHOWN_MAX = 80  # characters


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
    """No error shows any of it."""
    for name in ("password", "passphrase"):
        text = getattr(secret, name)
        if text is not None and text.endswith(("\n", "\r")):
            raise InvalidRequest(f"sftp_server_info: {name} ends with a line break, probably by mistake: remove it")


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
    """The pinned keys as one text, one a line."""
    keys = value.splitlines() if isinstance(value, str) else value
    if not isinstance(keys, (list, tuple)) or not all(isinstance(each, str) for each in keys):
        raise InvalidRequest(
            f"sftp_server_info[{key!r}] is a {type(value).__name__}: expected a string, or a list of strings"
        )
    pins = pinned_keys.lines("\n".join(keys))
    for pin in pins:
        if (trouble := pinned_keys.trouble(pin)) is not None:
            shown = "a text" if "PRIVATE" in pin else repr(pin[:PIN_SHOWN_MAX])
            raise InvalidRequest(f"sftp_server_info: {key} is {shown}, which {trouble}")
    return "\n".join(map(pinned_keys.stated, pins))


def _choice(choices: Any) -> Callable[[str, Any], Any]:
    def checked(key: str, value: Any) -> Any:
        if value not in get_args(choices):
            text = ", ".join(choice or repr(choice) for choice in get_args(choices))
            raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected one of {text}")
        return value

    return checked


def _number(least: float, kind: type = float) -> Callable[[str, Any], Any]:
    def checked(key: str, value: Any) -> Any:
        is_zero = type(value) in (int, float) and value == 0
        if not (is_zero or is_amount(value)) or not value >= least or kind(value) != value:
            raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected a number of at least {least:g}")
        return kind(value)

    return checked


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise InvalidRequest(f"sftp_server_info: {key} is {value!r}: expected a list of strings")
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
            f"sftp_server_info: {key} is {text!r}, but SFTP knows no home of {first[1:]!r}: give an absolute path",
            hint=f"for a folder whose name begins with ~, write './{text}'",
        )
    return rest.lstrip("/") or "."


def _remote_path(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else _as_text(key, value)
    if text.startswith("~"):
        raise InvalidRequest(
            f"sftp_server_info: {key} is {text!r}, and SFTP does not expand ~: leave it out, because a relative path "
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
