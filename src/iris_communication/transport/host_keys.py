"""Is this the server we mean? A pinned key decides, else the policy of the server's settings:

    strict      the user's known_hosts has to name its key; nothing is ever trusted unseen
    accept-new  an unknown server is trusted once, and its key saved; from then on only that key is trusted
    off         any key is trusted; that is logged, because anyone on the network path can answer

A server has keys of several kinds and shows the one it is asked for, so it is asked first for the kinds that are
known of it: asked for another it would show a key that there is nothing to compare with.

Accepted keys are written to a file of ours, in the format of known_hosts, and not to the user's own: a service often
has no home it may write to, and a key that a program accepted shall not make a person's `ssh` trust it too. A key
that cannot be saved is not accepted: it would be new again at each start, which is `off` without saying so.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from iris_communication.errors import AND_READ_AGAIN, CredentialsUnusable, HostKeyRejected
from iris_communication.runtime.system_trouble import link_trouble
from iris_communication.server import pinned_keys
from iris_communication.settings import Server
from iris_communication.transport import accepted_keys, algorithms
from iris_communication.transport.known_hosts import KnownHosts, listed_name, public_key
from iris_communication.transport.quick_import import asyncssh

log = logging.getLogger(__name__)

KNOWN_HOSTS = Path("~/.ssh/known_hosts")
SYSTEMS_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
STATE = Path("~/.local/state")
OLD_KINDS = ("ssh-rsa", "ssh-dss")  # signed with SHA-1, or in ways that are asyncssh's alone

UNKNOWN_HINT = (
    "the server is not known yet, nothing has changed: compare the fingerprint with what the server's people say, then "
    'pin it as host_key, or set host_key_policy = "accept-new" to trust what is shown first, '
    f"{AND_READ_AGAIN}; once known_hosts has it, a server that waits is resumed (iris queue resume SERVER)"
)
PINNED_HINT = (
    "find out why the server shows another key than the one pinned for it, and if that is right, correct its host_key "
    f"{AND_READ_AGAIN}"
)
REVOKED_HINT = (
    "the key was revoked on purpose, so a server that shows it may be an impostor: ask the server's operator for its "
    "new key"
)
UNREADABLE_HINT = "correct that file or its permissions, then resume the server (iris queue resume SERVER)"
UNREMEMBERED_HINT = (
    "free space on that disk, or correct the permissions of the folder, then resume the server "
    "(iris queue resume SERVER); or pin the key as host_key"
)


class Refusal(str):
    """Why a key is not trusted. `hint` is what to do; None: what is to be done about a key that has changed."""

    __slots__ = ("hint",)

    def __new__(cls, why: str, hint: str | None = None) -> "Refusal":
        refusal = super().__new__(cls, why)
        refusal.hint = hint
        return refusal

    hint: str | None


class HostKeyCheck(Protocol):
    def __call__(self, key: asyncssh.SSHKey, searched: str = "") -> Refusal | None:
        """None: trusted; else why not. `searched` is the name that `ssh` looks for in known_hosts: by ssh_config
        (HostName, HostKeyAlias) it may be another than the server's."""


class Trust(NamedTuple):
    judge: HostKeyCheck
    algorithms: list[str]  # to ask the server for, best first


def trust(server: Server, accepted: Path | None) -> Trust:
    """As the server's settings say. `accepted` is the file of the keys that were accepted unseen, by default in the
    user's state folder: only `accept-new` needs one."""
    if server.host_key:
        return pinned(server)
    if server.host_key_policy == "accept-new":
        return known_or_new(server, accepted or default_accepted())
    return any_key(server) if server.host_key_policy == "off" else known(server)


def default_accepted() -> Path:
    """Where accepted keys are saved without an outbox: in the user's state folder."""
    if state := os.environ.get("XDG_STATE_HOME"):
        return Path(state) / "iris" / accepted_keys.NAME
    try:
        return STATE.expanduser() / "iris" / accepted_keys.NAME
    except RuntimeError:
        raise CredentialsUnusable(
            "this process's user has no home directory, so no accepted host key could be remembered",
            hint="give the server's host_key, or set XDG_STATE_HOME or HOME, or use an outbox",
        ) from None


def pinned(server: Server) -> Trust:
    """Check by `server.host_key`: public keys ("ssh-ed25519 AAAA...") or fingerprints ("SHA256:..."), one a line. The
    current key and the next one may both be pinned, so that the server's change of keys is no outage.

    Of a fingerprint the kind of key is not known, so it has to be that of the key the ssh program shows."""
    pins = [pinned_keys.stated(line) for line in pinned_keys.lines(server.host_key)]
    trouble = next(filter(None, map(pinned_keys.trouble, pins)), None)
    known: list[asyncssh.SSHKey] = []
    try:
        known = [public_key(pin) for pin in pins if not trouble and not pin.startswith("SHA256:")]
    except ValueError as error:
        trouble = str(error)
    if trouble:
        raise CredentialsUnusable(
            f"the host_key of {server.key} cannot be used: {trouble}",
            hint="give a public key line such as 'ssh-ed25519 AAAA...' or a fingerprint 'SHA256:...'",
        )
    expected = [pin for pin in pins if pin.startswith("SHA256:")] + [key.get_fingerprint() for key in known]

    def judge(key: asyncssh.SSHKey, searched: str = "") -> Refusal | None:
        if key.get_fingerprint() in expected:
            return None
        verb = "is" if len(expected) == 1 else "are"
        return Refusal(f"it shows {_shown(key)}, but {' and '.join(expected)} {verb} pinned", PINNED_HINT)

    return Trust(judge, _asked_for(server, known))


def known(server: Server) -> Trust:
    """Check by the files that OpenSSH's client reads. Only the host's name counts, as with the ssh program: another
    name or an address that leads to the same key proves nothing."""
    try:
        files = _known_files()
    except _KnownHostsUnreadable as error:
        _pass_on(error)
        return _nobody(server, str(error), UNREADABLE_HINT)
    if not files:
        return _nobody(server, f"no host_key is pinned and there is no {_users_file() or KNOWN_HOSTS}", UNKNOWN_HINT)

    def judge(key: asyncssh.SSHKey, searched: str = "") -> Refusal | None:
        refusal = _against(files, key, server, searched)
        if refusal is not _UNKNOWN:
            return refusal
        return Refusal(f"{files[0].path} does not know it; it shows {_shown(key)}", UNKNOWN_HINT)

    return Trust(judge, _asked_for(server, _known_keys(files, server)))


def foreseen_refusal(server: Server) -> str | None:
    """Why `strict` would trust no key that this server shows; None: it knows one, or another policy decides, or
    ssh_config, which may have another name for it."""
    if server.host_key or server.host_key_policy != "strict" or server.transport == "ssh":
        return None
    try:
        files = _known_files()
    except _KnownHostsUnreadable as error:
        return str(error)
    if _known_keys(files, server):
        return None
    if not files and _users_file() is None:
        return "this user has no home, and so no ~/.ssh/known_hosts"
    return f"{files[0].path if files else _users_file()} does not know {server.host}"


def known_or_new(server: Server, accepted: Path) -> Trust:
    """Check by what OpenSSH's client reads and by `accepted`, the file of what was accepted before; where neither knows
    the server, its key is trusted and written to `accepted` first."""

    def judged(key: asyncssh.SSHKey, searched: str) -> Refusal | None:
        refusals = [_against(files, key, server, searched) for files in (_known_files(), _accepted_file(accepted))]
        # A refusal by one side weighs more than the other's trust: one of the two was meant to be changed.
        if said := [refusal for refusal in refusals if refusal not in (None, _UNKNOWN)]:
            return said[0]
        return None if None in refusals else _UNKNOWN

    def judge(key: asyncssh.SSHKey, searched: str = "") -> Refusal | None:
        try:
            refusal = judged(key, searched)
            if refusal is not _UNKNOWN:
                return refusal
            with accepted_keys.locked(accepted):
                # What another connection or another process accepted a moment ago is known by now.
                refusal = judged(key, searched)
                if refusal is _UNKNOWN:
                    _accept(key, server, accepted)
                    return None
                return refusal
        except _KnownHostsUnreadable as error:
            return Refusal(f"{error}; it shows {_shown(key)}", UNREADABLE_HINT)
        except OSError as error:
            why = f"it is new, and its key {_shown(key)} cannot be remembered in {accepted}: {error.strerror}"
            return Refusal(why, UNREMEMBERED_HINT)

    try:
        asked_for = _asked_for(server, _known_keys([*_known_files(), *_accepted_file(accepted)], server))
    except _KnownHostsUnreadable as error:
        _pass_on(error)
        return _nobody(server, str(error), UNREADABLE_HINT)
    return Trust(judge, asked_for)


def any_key(server: Server) -> Trust:
    """Trust any key. Logs that each time, because nothing else would."""

    def judge(key: asyncssh.SSHKey, searched: str = "") -> Refusal | None:
        log.warning(
            "the host key of %s is not checked (host_key_policy is off): anyone on the network path can impersonate "
            "it; it shows %s, pin that as host_key to be safe",
            server.key,
            _shown(key),
        )
        return None

    return Trust(judge, _asked_for(server, []))


def _nobody(server: Server, reason: str, hint: str) -> Trust:
    def judge(key: asyncssh.SSHKey, searched: str = "") -> Refusal | None:
        return Refusal(f"{reason}; it shows {_shown(key)}", hint)

    return Trust(judge, _asked_for(server, []))


class _KnownHostsFile(NamedTuple):
    path: Path
    known: KnownHosts


def _pass_on(error: "_KnownHostsUnreadable") -> None:
    """A file that cannot be read for now is tried again, without a person. Raises LinkError."""
    if (trouble := link_trouble(str(error), error.__cause__)) is not None:
        raise trouble from error


class _KnownHostsUnreadable(Exception):
    """A known_hosts that cannot be used: its text says which and why."""


_UNKNOWN = Refusal("unknown")  # neither trusted nor refused
_said: dict[Path, list[str]] = {}  # what was logged last of each file's ignored lines


def _users_file() -> Path | None:
    """None: the user has no home, as in some containers, and so knows no server."""
    try:
        return KNOWN_HOSTS.expanduser()
    except RuntimeError:
        return None


def _known_files() -> list[_KnownHostsFile]:
    """Those that OpenSSH's client reads, and that are there: the user's, and the system's where we may read them."""
    found = [_read(each) for each in _both(_users_file())]
    for each in _both(SYSTEMS_KNOWN_HOSTS):
        try:
            found.append(_read(each))
        except _KnownHostsUnreadable as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
    return [file for file in found if file is not None]


def _both(path: Path | None) -> list[Path]:
    """ssh reads a second one beside each."""
    return [] if path is None else [path, path.with_name(f"{path.name}2")]


def _accepted_file(accepted: Path) -> list[_KnownHostsFile]:
    file = _read(accepted, ours=True)
    return [] if file is None else [file]


def _read(path: Path, *, ours: bool = False) -> _KnownHostsFile | None:
    """None: there is no such file. In a file of ours each line has to be readable, or we do not know what we
    accepted."""
    try:
        if not path.is_file():
            return None
        known = KnownHosts(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _KnownHostsUnreadable(f"{path} cannot be read: {error}") from error
    odd = [f"line {line.number}: {line.why}" for line in known.odd]
    if odd and ours:
        raise _KnownHostsUnreadable(f"{path} cannot be read: {odd[0]}")
    if odd != _said.get(path, []):
        _said[path] = odd
        log.warning("%s: %d of its lines are ignored, first %s", path, len(odd), odd[0] if odd else "none now")
    return _KnownHostsFile(path, known)


def _against(files: Sequence[_KnownHostsFile], key: asyncssh.SSHKey, server: Server, searched: str) -> Refusal | None:
    """Check a key by all files together, as one. None: trusted; `_UNKNOWN`; else why it is refused, and what to do if
    all is well."""
    said = [(file, file.known.of(server.host, server.port, searched)) for file in files]
    if (revoking := next((file for file, listed in said if key in listed.revoked), None)) is not None:
        return Refusal(f"its key {_shown(key)} is revoked in {revoking.path}", REVOKED_HINT)
    if any(key in listed.trusted for _, listed in said):
        return None
    for (path, known), listed in said:
        if listed.trusted:
            was = " and ".join(map(_shown, listed.trusted))
            by_its_own_name = not searched or known.of(server.host, server.port).trusted
            name = listed_name(server.host, server.port) if by_its_own_name else searched
            return Refusal(
                f"{path} has another key for it; it shows {_shown(key)}, known is {was}. If the server was given a new "
                f"key, remove the old one: ssh-keygen -R '{name}' -f {path}"
            )
    return None if any(key in listed.alone for _, listed in said) else _UNKNOWN


def _known_keys(files: Iterable[_KnownHostsFile], server: Server) -> list[asyncssh.SSHKey]:
    listed = [file.known.of(server.host, server.port) for file in files]
    return [key for each in listed for key in (*each.trusted, *each.alone)]


def _accept(key: asyncssh.SSHKey, server: Server, accepted: Path) -> None:
    """To be called under the lock. Raises OSError: then it is not accepted."""
    public = key.export_public_key().decode().strip()
    accepted_keys.add(accepted, f"{listed_name(server.host, server.port)} {public}\n")
    log.warning("%s is new; its host key %s is accepted and saved in %s", server.key, _shown(key), accepted)


def rejected(server: Server, refusal: Refusal) -> HostKeyRejected:
    return HostKeyRejected(f"the host key of {server.key} is not trusted: {refusal}", hint=refusal.hint)


def _asked_for(server: Server, known_keys: Iterable[asyncssh.SSHKey]) -> list[str]:
    """The algorithms to ask for: those of known keys first."""
    offered = algorithms.offered(server).host_keys
    known_first = [algorithm.decode() for key in known_keys for algorithm in key.sig_algorithms]
    may_be = [name for name in known_first if name in offered or not name.startswith(OLD_KINDS)]
    return list(dict.fromkeys([*may_be, *offered]))


def _shown(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
