"""Is this the server we mean? A pinned key decides, else the policy of the server's settings:

    strict      the user's known_hosts has to name its key; nothing is ever trusted unseen
    accept-new  a server nobody has seen is trusted once, and its key written down; from then on it is that key or none
    off         whoever answers is trusted; said aloud, because anybody on the way can answer

A server has keys of several kinds and shows the one it is asked for, so it is asked first for the kinds that are
known of it: asked for another it would show a key that nobody could judge.

What was accepted is written to a file of ours, in the format of known_hosts, and not to the user's own: a service often
has no home it may write to, and what a program accepted by itself shall not make a person's `ssh` trust it too. A key
that cannot be written down is not accepted: it would be new again at each start, which is `off` without saying so.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from iris_communication.errors import CredentialsUnusable, HostKeyRejected
from iris_communication.settings import Server
from iris_communication.transport.quick_import import asyncssh

log = logging.getLogger(__name__)

KNOWN_HOSTS = Path("~/.ssh/known_hosts")
STATE = Path("~/.local/state")
ACCEPTED_NAME = "known_hosts"
DEFAULT_PORT = 22  # listed in known_hosts without its number

# In the order the ssh program prefers them, so that a key learned with it is the key that is shown to us.
ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
)


class Trust(NamedTuple):
    judge: Callable[[asyncssh.SSHKey], str | None]  # None: trusted; else why not
    algorithms: list[str]  # to ask the server for, best first


def trust(server: Server, accepted: Path | None) -> Trust:
    """As the server's settings say. `accepted` is the file of the keys that were accepted unseen, by default in the
    user's state folder: only who accepts keys needs to have one."""
    if server.host_key:
        return pinned(server)
    if server.host_key_policy == "accept-new":
        return known_or_new(server, accepted or default_accepted())
    return anybody(server) if server.host_key_policy == "off" else known(server)


def default_accepted() -> Path:
    """Where what was accepted is remembered by who has no outbox: in the user's state folder."""
    state = os.environ.get("XDG_STATE_HOME") or STATE.expanduser()
    return Path(state) / "iris" / ACCEPTED_NAME


def pinned(server: Server) -> Trust:
    """Judge by `server.host_key`: public keys ("ssh-ed25519 AAAA...") or fingerprints ("SHA256:..."), one a line. The
    current key and the next one may both be pinned, so that the day the server changes over is nobody's outage.

    Of a fingerprint the kind of key is not known, so it has to be that of the key the ssh program shows."""
    pins = [line.strip() for line in server.host_key.splitlines() if line.strip()]
    try:
        known = [asyncssh.import_public_key(pin) for pin in pins if not pin.startswith("SHA256:")]
    except ValueError as error:
        raise CredentialsUnusable(
            f"the host_key of {server.key} cannot be read: {error}",
            hint="give a public key line such as 'ssh-ed25519 AAAA...' or a fingerprint 'SHA256:...'",
        ) from None
    expected = [pin for pin in pins if pin.startswith("SHA256:")] + [key.get_fingerprint() for key in known]

    def judge(key: asyncssh.SSHKey) -> str | None:
        if key.get_fingerprint() in expected:
            return None
        verb = "is" if len(expected) == 1 else "are"
        return f"it shows {_shown(key)}, but {' and '.join(expected)} {verb} pinned"

    return Trust(judge, _asked_for(known))


def known(server: Server) -> Trust:
    """Judge by ~/.ssh/known_hosts. Only the host's name counts, as with the ssh program: another name or an address
    that leads to the same key proves nothing."""
    path = _users_file()
    try:
        on_record = _listed_in(path, server) if path is not None else None
    except _Unreadable as error:
        return _nobody(str(error))
    if on_record is None:
        return _nobody(f"no host_key is pinned and there is no {path or KNOWN_HOSTS}")

    def judge(key: asyncssh.SSHKey) -> str | None:
        refusal = _against(on_record, key, server)
        return f"{path} does not know it; it shows {_shown(key)}" if refusal is _UNKNOWN else refusal

    return Trust(judge, _asked_for(on_record.trusted))


def known_or_new(server: Server, accepted: Path) -> Trust:
    """Judge by ~/.ssh/known_hosts and by `accepted`, the file of what was accepted before; where neither knows the
    server, its key is trusted and written to `accepted` first."""
    files = [path for path in (_users_file(), accepted) if path is not None]
    try:
        asked_for = _asked_for([key for on_record in _listed_in_all(files, server) for key in on_record.trusted])
    except _Unreadable as error:
        return _nobody(str(error))

    def judge(key: asyncssh.SSHKey) -> str | None:
        with _accepting:  # what another connection accepted a moment ago is known by now
            try:
                records = _listed_in_all(files, server)
            except _Unreadable as error:
                return f"{error}; it shows {_shown(key)}"
            refusals = [_against(on_record, key, server) for on_record in records]
            # A refusal by one file weighs more than the other's trust: one of the two was meant to be changed.
            if said := [refusal for refusal in refusals if refusal not in (None, _UNKNOWN)]:
                return said[0]
            return None if None in refusals else _accept(key, server, accepted)

    return Trust(judge, asked_for)


def anybody(server: Server) -> Trust:
    """Judge nothing. Says so each time, because nothing else would."""

    def judge(key: asyncssh.SSHKey) -> str | None:
        log.warning(
            "the host key of %s is not checked (host_key_policy is off): anybody on the way can pose as it; "
            "it shows %s, pin that as host_key to be safe",
            server.key,
            _shown(key),
        )
        return None

    return Trust(judge, _asked_for([]))


def _nobody(reason: str) -> Trust:
    return Trust(lambda key: f"{reason}; it shows {_shown(key)}", _asked_for([]))


class _OnRecord(NamedTuple):
    path: Path
    trusted: list[asyncssh.SSHKey]
    revoked: list[asyncssh.SSHKey]


class _Unreadable(Exception):
    """A known_hosts that cannot be judged by: says which and why."""


_UNKNOWN = "unknown"  # neither trusted nor refused
_accepting = threading.Lock()


def _users_file() -> Path | None:
    """None: the user has no home, as in some containers, and so has never met anybody."""
    try:
        return KNOWN_HOSTS.expanduser()
    except RuntimeError:
        return None


def _listed_in_all(paths: Iterable[Path], server: Server) -> list[_OnRecord]:
    return [on_record for path in paths if (on_record := _listed_in(path, server)) is not None]


def _listed_in(path: Path, server: Server) -> _OnRecord | None:
    """None: there is no such file."""
    port = server.port if server.port != DEFAULT_PORT else None
    try:
        if not path.is_file():
            return None
        trusted, _, revoked, *_ = asyncssh.read_known_hosts(str(path)).match(server.host, "", port)
    except (OSError, ValueError) as error:
        raise _Unreadable(f"{path} cannot be read: {error}") from error
    return _OnRecord(path, list(trusted), list(revoked))


def _against(on_record: _OnRecord, key: asyncssh.SSHKey, server: Server) -> str | None:
    """None: trusted; `_UNKNOWN`; else why it is refused, and what to do if all is well."""
    path, trusted, revoked = on_record
    if key in revoked:
        return f"its key {_shown(key)} is revoked in {path}"
    if key in trusted:
        return None
    if not trusted:
        return _UNKNOWN
    was = " and ".join(map(_shown, trusted))
    return (
        f"{path} has another key for it; it shows {_shown(key)}, known is {was}. If the server was given a new key, "
        f"take the old one out: ssh-keygen -R '{_listed_name(server)}' -f {path}"
    )


def _accept(key: asyncssh.SSHKey, server: Server, accepted: Path) -> str | None:
    line = f"{_listed_name(server)} {key.export_public_key().decode().strip()}\n"
    try:
        accepted.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(accepted, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        return f"it is new, and its key {_shown(key)} cannot be remembered in {accepted}: {error.strerror}"
    log.warning(
        "%s was never seen before and is accepted with the host key %s; remembered in %s",
        server.key,
        _shown(key),
        accepted,
    )
    return None


def _listed_name(server: Server) -> str:
    return server.host if server.port == DEFAULT_PORT else f"[{server.host}]:{server.port}"


def rejected(server: Server, reason: str) -> HostKeyRejected:
    return HostKeyRejected(f"the host key of {server.key} is not trusted: {reason}")


def _asked_for(known_keys: Iterable[asyncssh.SSHKey]) -> list[str]:
    known_first = [algorithm.decode() for key in known_keys for algorithm in key.sig_algorithms]
    return list(dict.fromkeys([*known_first, *ALGORITHMS]))


def _shown(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
