"""A known_hosts file, read as OpenSSH's client reads it.

A line is: an optional marker, the hosts it is for, a key. The hosts are patterns with * and ?, and a matching one with
! before it excludes the whole line; or the hash of one name. Case does not matter. A server on another port than 22 is
listed as [host]:port; where that name is not known, a key listed for the host alone is trusted as well, but another one
there says nothing about this port.

A line that cannot be read is skipped, and the others count all the same.
"""

import base64
import hmac
import re
from typing import NamedTuple

from iris_communication.naming import host_names
from iris_communication.settings import DEFAULT_PORT
from iris_communication.transport.quick_import import asyncssh

REVOKED = b"@revoked"
AUTHORITY = b"@cert-authority"  # host certificates are not used
HMAC_SHA1 = b"1"
ON_A_PORT = re.compile(r"\[(?P<host>[^\]]*)\]:\d+")


class Listed(NamedTuple):
    """What a file says of one server. `alone` are keys of the host without the port, where those count."""

    trusted: list[asyncssh.SSHKey]
    revoked: list[asyncssh.SSHKey]
    alone: list[asyncssh.SSHKey]


class OddLine(NamedTuple):
    number: int
    why: str


class _Line(NamedTuple):
    hosts: bytes
    key: asyncssh.SSHKey
    is_revoked: bool


class KnownHosts:
    def __init__(self, content: bytes) -> None:
        self._lines: list[_Line] = []
        self.odd: list[OddLine] = []
        for number, text in enumerate(content.split(b"\n"), 1):
            try:
                line = _line(text.strip())
            except ValueError as error:
                self.odd.append(OddLine(number, str(error)))
            else:
                self._lines += [line] if line is not None else []

    def of(self, host: str, port: int, searched: str = "") -> Listed:
        """`searched` is a further name of the server, as a line has it."""
        name = host_names.canonical(host)
        names = list(dict.fromkeys([name, host_names.without_dot(name)]))
        with_port = ON_A_PORT.fullmatch(searched)
        also = [searched.lower()] if searched else []
        here = self._lines_for([*(listed_name(each, port) for each in names), *also])
        bare = [*(names if port != DEFAULT_PORT else []), *([with_port["host"].lower()] if with_port else [])]
        alone = [line for line in self._lines_for(bare) if line not in here]
        return Listed(
            trusted=(trusted := [line.key for line in here if not line.is_revoked]),
            revoked=[line.key for line in [*here, *alone] if line.is_revoked],
            alone=[line.key for line in alone if not line.is_revoked and not trusted],
        )

    def _lines_for(self, names: list[str]) -> list[_Line]:
        return [line for line in self._lines if any(_are_for(line.hosts, name.encode()) for name in names)]


def listed_name(host: str, port: int) -> str:
    """A server's name in a line."""
    name = host_names.canonical(host)
    return name if port == DEFAULT_PORT else f"[{name}]:{port}"


def public_key(line: str | bytes) -> asyncssh.SSHKey:
    """Raises ValueError, whatever asyncssh and the libraries below it raise."""
    try:
        return asyncssh.import_public_key(line)
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _line(text: bytes) -> _Line | None:
    """None: the line has no host's key. Raises ValueError."""
    words = text.split()
    if not words or text.startswith(b"#"):
        return None
    marker = words.pop(0) if text.startswith(b"@") else b""
    if marker not in (b"", REVOKED, AUTHORITY):
        raise ValueError("it has an unknown marker")
    if len(words) < 3:
        raise ValueError("it lacks a host, a kind of key or a key")
    hosts, kind, key = words[:3]  # what follows is a comment, in whatever encoding
    if hosts.startswith(b"|"):
        _hash(hosts)
    try:
        public = public_key(kind + b" " + key)
    except ValueError as error:
        raise ValueError(f"its key cannot be read: {error}") from None
    return None if marker == AUTHORITY else _Line(hosts, public, marker == REVOKED)


def _are_for(hosts: bytes, name: bytes) -> bool:
    if hosts.startswith(b"|"):
        salt, digest = _hash(hosts)
        return hmac.compare_digest(hmac.digest(salt, name, "sha1"), digest)
    patterns = hosts.lower().split(b",")
    if any(each.startswith(b"!") and _matches(each[1:], name) for each in patterns):
        return False
    return any(_matches(each, name) for each in patterns if not each.startswith(b"!"))


def _hash(hosts: bytes) -> tuple[bytes, bytes]:
    """Raises ValueError."""
    _, kind, *parts = [*hosts.split(b"|"), b""]
    if kind != HMAC_SHA1 or len(parts) != 3:
        raise ValueError("the hash of its host is of an unknown kind")
    try:
        return base64.b64decode(parts[0], validate=True), base64.b64decode(parts[1], validate=True)
    except ValueError:
        raise ValueError("the hash of its host cannot be read") from None


def _matches(pattern: bytes, name: bytes) -> bool:
    """In at most len(pattern) * len(name) steps, whatever the pattern."""
    if b"*" not in pattern and b"?" not in pattern:
        return pattern == name
    first, *others = pattern.split(b"*")
    if not _begins(name, first):
        return False
    if not others:
        return len(first) == len(name)
    at, last = len(first), others.pop()
    for part in others:
        while not _begins(name[at:], part):
            at += 1
            if at > len(name):
                return False
        at += len(part)
    return len(name) - at >= len(last) and _begins(name[len(name) - len(last) :], last)


def _begins(name: bytes, part: bytes) -> bool:
    return len(name) >= len(part) and all(p in (ord("?"), n) for p, n in zip(part, name, strict=False))
