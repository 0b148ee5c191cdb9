"""The known servers: server key -> address, and their secrets in a separate file with mode 0600.

An item holds only a key, so that no password is ever in a row, a log or a ledger line, and a changed password applies
to every item that waits. Both files are replaced whole, never written in place. Only the writer writes; any thread may
read the current mappings, which are replaced, never changed.
"""

import contextlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from iris_communication.errors import InvalidRequest, OutboxStorageError, ServerUnresolved
from iris_communication.item import Item
from iris_communication.outbox.files import json_file
from iris_communication.remote_path import remote_path
from iris_communication.runtime.safe_files import open_no_follow
from iris_communication.settings import PLACE_KEYS, Secret, Server

SECRETS_FILES = ("secrets.json", "secrets.new", "secrets.damaged")  # the second is being written
log = logging.getLogger(__name__)

PLACES_MAX = 100  # folders of one account: a program may make one each day


class Servers:
    """One account is one key. Its folders ("places") are stored separately; for every other fact the latest value
    counts."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """`look_only`: for others than the owner; a file that cannot be read raises OutboxStorageError."""
        self._addresses_path = folder / "servers.json"
        self._secrets_path = folder / "secrets.json"
        self._names, self._places = _read(self._addresses_path, _addresses, read_only=read_only) or ({}, {})
        self._secrets = _read(self._secrets_path, _secrets, read_only=read_only) or {}

    def knows(self, server: Server, secret: Secret) -> bool:
        """Whether `remember` would change nothing."""
        key = server.key
        return server in self._places.get(key, ()) and (not secret or self._secrets.get(key) == secret)

    def remember(self, server: Server, secret: Secret, name: str | None = None) -> None:
        """Store an address and, where one is given, its secret; the latest value wins."""
        key = server.key
        if secret and self._secrets.get(key) != secret:
            secrets = {**self._secrets, key: secret}
            json_file.replace(self._secrets_path, {k: _without_none(asdict(s)) for k, s in secrets.items()})
            self._secrets = secrets
        others = (
            replace(server, **{name: getattr(place, name) for name in PLACE_KEYS})
            for place in self._places.get(key, ())
        )
        here = [server, *(place for place in others if place != server)]
        places = {**self._places, key: tuple(here[:PLACES_MAX])}
        names = self._names if name is None else {**self._names, name: server}
        stored = {
            "names": {n: asdict(s) for n, s in names.items()},
            "servers": {k: [asdict(s) for s in found] for k, found in places.items()},
        }
        json_file.replace(self._addresses_path, stored)
        self._names, self._places = names, places

    def known(self, server_key: str) -> Server | None:
        """Its address and settings, as stored last."""
        return next(iter(self._places.get(server_key, ())), None)

    def named(self, name: str) -> Server | None:
        """The server configured under `name`, with the folder that was configured with it."""
        return self._names.get(name)

    @property
    def names(self) -> list[str]:
        return sorted(self._names)

    def resolve(self, server_key: str) -> tuple[Server, Secret]:
        """Raises ServerUnresolved when the address or the secret is not on record (any more)."""
        places, secret = self._places.get(server_key), self._secrets.get(server_key)
        if not places or secret is None:
            what = "password or key" if places else "address"
            raise ServerUnresolved(f"the outbox has no {what} for {server_key}")
        return places[0], secret

    def info(self, item: Item) -> dict[str, Any]:
        """The server of an item as the `sftp_server_info` mapping it was queued with, secret included: for an
        injected transferData() only. Raises ServerUnresolved."""
        server, secret = self.resolve(item.server_key)
        for place in self._places[item.server_key]:
            with contextlib.suppress(InvalidRequest):
                path = remote_path(place, item.source_path, item.project_settings, item.folder_type)
                if path == item.remote_path:
                    server = place
                    break
        return {**asdict(server), **_without_none(asdict(secret))}


def _addresses(stored: dict[str, Any]) -> tuple[dict[str, Server], dict[str, tuple[Server, ...]]]:
    names = {str(name): _server(facts) for name, facts in stored["names"].items()}
    places = {str(key): tuple(_server(facts) for facts in found) for key, found in stored["servers"].items()}
    return names, places


def _server(facts: dict[str, Any]) -> Server:
    """JSON has no tuples."""
    return Server(**{**facts, "windows": tuple(facts.get("windows", ()))})


def _secrets(stored: dict[str, Any]) -> dict[str, Secret]:
    return {str(key): Secret(**facts) for key, facts in stored.items()}


def _without_none(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None}


Parsed = TypeVar("Parsed")


def _read(path: Path, parse: Callable[[dict[str, Any]], Parsed], *, read_only: bool) -> Parsed | None:
    """None where there is no file. A damaged one is moved aside: the items of its servers wait until a caller passes
    those servers again. One that cannot be read now is not damaged, and raises OutboxStorageError."""
    try:
        with open(open_no_follow(path, os.O_RDONLY), encoding="utf-8") as file:  # without waiting for a named pipe
            return parse(json.load(file))
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = f"check with ls -l '{path}': the user who runs the uploader must be able to read it"
        raise OutboxStorageError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        what = type(error).__name__
        if read_only:
            hint = "run the command as the outbox's user; the uploader moves a damaged one aside at its next start"
            raise OutboxStorageError(f"{path} is damaged ({what})", hint=hint) from None
        log.error("%s is damaged (%s); it was moved aside: give the servers' addresses and secrets again", path, what)
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        return None
