"""Is this the server we mean? A pinned key decides, else the user's known_hosts; nothing is ever trusted unseen.

A server has keys of several kinds and shows the one it is asked for, so it is asked first for the kinds that are
known of it: asked for another it would show a key that nobody could judge.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import asyncssh

from iris_communication.errors import CredentialsUnusable, HostKeyRejected
from iris_communication.settings import Server

KNOWN_HOSTS = Path("~/.ssh/known_hosts")
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


def pinned(server: Server) -> Trust:
    """Judge by `server.host_key`: a public key ("ssh-ed25519 AAAA...") or a fingerprint ("SHA256:...").

    Of a fingerprint the kind of key is not known, so it has to be that of the key the ssh program shows."""
    text, known = server.host_key.strip(), []
    if text.startswith("SHA256:"):
        expected = text
    else:
        try:
            known = [asyncssh.import_public_key(text)]
        except ValueError as error:
            raise CredentialsUnusable(
                f"the host_key of {server.key} cannot be read: {error}",
                hint="give a public key line such as 'ssh-ed25519 AAAA...' or a fingerprint 'SHA256:...'",
            ) from None
        expected = known[0].get_fingerprint()

    def judge(key: asyncssh.SSHKey) -> str | None:
        return None if key.get_fingerprint() == expected else f"it shows {_shown(key)}, but {expected} is pinned"

    return Trust(judge, _asked_for(known))


def known(server: Server) -> Trust:
    """Judge by ~/.ssh/known_hosts. Only the host's name counts, as with the ssh program: another name or an address
    that leads to the same key proves nothing."""
    path = KNOWN_HOSTS.expanduser()
    if not path.is_file():
        return Trust(
            lambda key: f"no host_key is pinned and there is no {path}; it shows {_shown(key)}", _asked_for([])
        )
    port = server.port if server.port != DEFAULT_PORT else None
    try:
        trusted, _, revoked, *_ = asyncssh.read_known_hosts(str(path)).match(server.host, "", port)
    except (OSError, ValueError) as error:
        reason = f"{path} cannot be read: {error}"
        return Trust(lambda key: f"{reason}; it shows {_shown(key)}", _asked_for([]))

    def judge(key: asyncssh.SSHKey) -> str | None:
        if key in revoked:
            return f"its key {_shown(key)} is revoked in {path}"
        if key in trusted:
            return None
        was = f"{path} has another key for it" if trusted else f"{path} does not know it"
        return f"{was}; it shows {_shown(key)}"

    return Trust(judge, _asked_for(trusted))


def rejected(server: Server, reason: str) -> HostKeyRejected:
    return HostKeyRejected(f"the host key of {server.key} is not trusted: {reason}")


def _asked_for(known_keys: Iterable[asyncssh.SSHKey]) -> list[str]:
    known_first = [algorithm.decode() for key in known_keys for algorithm in key.sig_algorithms]
    return list(dict.fromkeys([*known_first, *ALGORITHMS]))


def _shown(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
