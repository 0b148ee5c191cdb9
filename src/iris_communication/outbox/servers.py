"""Which servers are meant: server key -> address, and their secrets in a file of their own with mode 0600.

Items carry a key only, so that no password is ever in a row, a log or a ledger line, and a changed password reaches
every item that waits. Both files are replaced whole, never written in place. The keeper alone writes; everybody may
read the current picture, which is replaced, never changed.
"""

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from iris_communication.errors import OutboxStorageError, ServerUnresolved
from iris_communication.settings import Secret, Server

log = logging.getLogger(__name__)


class Servers:
    def __init__(self, folder: Path) -> None:
        self._addresses_path = folder / "servers.json"
        self._secrets_path = folder / "secrets.json"
        stored = _read(self._addresses_path)
        self._names: Mapping[str, str] = stored.get("names", {})
        self._servers: Mapping[str, Server] = {key: Server(**facts) for key, facts in stored.get("servers", {}).items()}
        self._secrets: Mapping[str, Secret] = {key: Secret(**facts) for key, facts in _read(self._secrets_path).items()}

    def knows(self, server: Server, secret: Secret, name: str | None = None) -> bool:
        """Whether `remember` would change nothing."""
        key = server.key
        return (
            self._servers.get(key) == server
            and (not secret or self._secrets.get(key) == secret)
            and (name is None or self._names.get(name) == key)
        )

    def remember(self, server: Server, secret: Secret, name: str | None = None) -> None:
        """Store an address and, where one is given, its secret; the latest word wins."""
        key = server.key
        if secret and self._secrets.get(key) != secret:
            secrets = {**self._secrets, key: secret}
            _replace(self._secrets_path, {k: _without_none(asdict(s)) for k, s in secrets.items()})
            self._secrets = secrets
        servers = {**self._servers, key: server}
        names = self._names if name is None else {**self._names, name: key}
        _replace(self._addresses_path, {"names": names, "servers": {k: asdict(s) for k, s in servers.items()}})
        self._servers, self._names = servers, names

    def named(self, name: str) -> Server | None:
        """The server configured under `name`."""
        key = self._names.get(name)
        return self._servers.get(key) if key is not None else None

    @property
    def names(self) -> list[str]:
        return sorted(self._names)

    def resolve(self, server_key: str) -> tuple[Server, Secret]:
        """Raises ServerUnresolved when the address or the secret is not on record (any more)."""
        server, secret = self._servers.get(server_key), self._secrets.get(server_key)
        if server is None or secret is None:
            what = "address" if server is None else "password or key"
            raise ServerUnresolved(f"the outbox has no {what} for {server_key}")
        return server, secret

    def info(self, server_key: str) -> dict[str, Any]:
        """A server as a `sftp_server_info` mapping, secret included: for an injected transferData() only."""
        server, secret = self.resolve(server_key)
        return {**asdict(server), **_without_none(asdict(secret))}


def _without_none(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


def _read(path: Path) -> dict[str, Any]:
    """An unreadable file is put aside: the items of its servers wait until the server is passed once more."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.error("%s cannot be read (%s); it is put aside, pass the servers' addresses and secrets again", path, error)
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        return {}
    return found if isinstance(found, dict) else {}


def _replace(path: Path, content: Any) -> None:
    temporary = path.with_suffix(".new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)  # a left-over file may have had another mode
            os.write(descriptor, json.dumps(content, indent=1).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise OutboxStorageError(f"cannot write {path}: {error.strerror}") from error
