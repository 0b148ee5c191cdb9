"""What a `host` may be, and its one spelling: a name has no case, so one host has one account in the outbox and one
place in known_hosts, however it is written.

    Plant.Example   plant.example        MÜLLER.example   xn--mller-kva.example (what is looked up in the end)
    FE80::1%eth0    fe80::1%eth0         the part behind % names an interface of ours, and is case-sensitive
    0:0:0::1, 127.1 ::1, 127.0.0.1       an address stands in known_hosts as `ssh` writes it
"""

import ipaddress
import re
import socket

BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\](?::(?P<port>\d+))?")
WITH_A_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def canonical(host: str) -> str:
    """The same for every spelling of a host; what is no name of a host stays as it is."""
    name, scoped, scope = host.partition("%")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return host
    return _address(name.lower()) + scoped + scope


def _address(name: str) -> str:
    """An address in its one spelling, from any that the system takes; a name as it is."""
    try:
        if ":" in name:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name))
        if name[:1].isdigit():
            return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        pass
    return name


def shown(host: str) -> str:
    """A host, or what was given as one, for a message: a whole address may hold a password, so its start is hidden."""
    before, at, after = host.rpartition("@")
    return repr(f"***@{after}" if before and at else host)


def canonical_key(word: str) -> str:
    """The key of an account, user@host:port, from any spelling of it; anything else stays as it is."""
    user, at, address = word.rpartition("@")
    host, colon, port = address.rpartition(":")
    return f"{user}@{without_dot(canonical(host))}:{port}" if at and colon else word


def without_dot(host: str) -> str:
    """A dot at the end says that a name is whole. The host is the same."""
    return host.removesuffix(".") or host


def trouble(host: str) -> str | None:
    """Why this is no host, and what to give instead; None: it may be one."""
    if any(character.isspace() or not character.isprintable() for character in host):
        return "holds a space or an unprintable character"
    if WITH_A_SCHEME.match(host):
        return "is an address with a scheme: give the name of the host alone; port, username and remote_directory apart"
    if "@" in host:
        return "holds a user: give the user as username, and the host alone"
    if "/" in host or "\\" in host:
        return "holds a path: give the folder as remote_directory, and the host alone"
    if (found := BRACKETED.fullmatch(host)) is not None:
        port = f" and port = {found['port']}" if found["port"] else ""
        return f"is in brackets: give {found['host']!r}{port}"
    if host.startswith(("[", "-")) or "]" in host:
        return "is no name and no address of a host"
    if ":" in host and not _is_ipv6(host):
        name, _, port = host.rpartition(":")
        if port.isdigit() and ":" not in name:
            return f"holds a port: give {name!r} and port = {port}"
        return "holds a colon and is no IPv6 address: give the port as port, and the host alone"
    if not host.isascii() and not canonical(host).isascii():
        return "is no name that can be looked up"
    return None


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
