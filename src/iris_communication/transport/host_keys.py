"""Is this the server we mean? A pinned key decides, else the user's known_hosts; nothing is ever trusted unseen."""

from collections.abc import Callable
from pathlib import Path

import asyncssh

from iris_communication.errors import CredentialsUnusable, HostKeyRejected
from iris_communication.settings import Server

KNOWN_HOSTS = Path("~/.ssh/known_hosts")

Verdict = Callable[[asyncssh.SSHKey], str | None]  # None: trusted; else why not


def pinned(server: Server) -> Verdict:
    """Judge by `server.host_key`: a public key ("ssh-ed25519 AAAA...") or a fingerprint ("SHA256:...")."""
    if server.host_key.startswith("SHA256:"):
        expected = server.host_key
    else:
        try:
            expected = asyncssh.import_public_key(server.host_key).get_fingerprint()
        except (asyncssh.KeyImportError, ValueError) as error:
            raise CredentialsUnusable(
                f"the host_key of {server.key} cannot be read: {error}",
                hint="give a public key line such as 'ssh-ed25519 AAAA...' or a fingerprint 'SHA256:...'",
            ) from None

    def judge(key: asyncssh.SSHKey) -> str | None:
        found = key.get_fingerprint()
        return None if found == expected else f"it shows {found}, but {expected} is pinned"

    return judge


def known(server: Server) -> Verdict:
    """Judge by ~/.ssh/known_hosts."""
    path = KNOWN_HOSTS.expanduser()

    def judge(key: asyncssh.SSHKey) -> str | None:
        if not path.is_file():
            return f"no host_key is pinned and there is no {path}; it shows {key.get_fingerprint()}"
        trusted, _, revoked, *_ = asyncssh.match_known_hosts(str(path), server.host, server.host, server.port)
        if key in revoked:
            return f"its key {key.get_fingerprint()} is revoked in {path}"
        if key in trusted:
            return None
        was = f"{path} has another key for it" if trusted else f"{path} does not know it"
        return f"{was}; it shows {key.get_fingerprint()}"

    return judge


def rejected(server: Server, reason: str) -> HostKeyRejected:
    return HostKeyRejected(f"the host key of {server.key} is not trusted: {reason}")
