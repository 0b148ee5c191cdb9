"""The client of the control socket: sends a request, waits for its answer.

The owner carries the request out in its own process. A client sends `hello` first, so that it detects an owner that
hangs before it asks for anything. A missing answer is no refusal: the owner may have carried the request out and ended
before it could answer.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from iris_communication.control.address import SOCKET_NAME, short_name
from iris_communication.control.protocol import (
    FILES_MAX,
    IDS_MAX,
    LINE_BYTES_MAX,
    answered,
    error_of,
    facts_of,
    request_line,
)
from iris_communication.errors import Effect, InvalidRequest, IrisError, Scope
from iris_communication.outbox.orders import Order, ServerOrder
from iris_communication.remote_path import source_path
from iris_communication.server import private_keys
from iris_communication.upload_request import SftpUploadRequest

HELLO_S = 30.0  # an owner that is busy with somebody else's request answers after it
ANSWER_S = 60.0  # a commit on a disk that is busy
TAKEN_OVER_BYTES_PER_S = 10_000_000  # at least: a large file is read once before it is accepted
FILES_BYTES_MAX = LINE_BYTES_MAX // 2  # the descriptions of the files in one request
CONNECT_TRIES = 100
CONNECT_PAUSE_S = 0.02


class OwnerSilent(IrisError):
    """The process that owns the outbox listens, but did not answer this time."""

    scope = Scope.OUTBOX
    default_hint = "check the outcome with `iris queue list` and in the uploader's log, then try again"


class ControlClient:
    """A connection for each request: an owner does not wait long for a client that is connected. Making one raises
    FileNotFoundError or ConnectionRefusedError where no process listens, another OSError where it may not or cannot
    connect. Each request raises OwnerSilent and what the owner answers: ControlRequestRefused from another version."""

    def __init__(self, folder: Path, answer_s: float = ANSWER_S) -> None:
        self._folder = folder
        self._answer_s = answer_s
        self.pid: int = self._exchanged(self._connected(min(HELLO_S, answer_s)), "hello", "pid", {})

    def execute(self, order: Order) -> dict[str, str]:
        """What became of each of its items: empty when it was done, else why it was not."""
        done: dict[str, str] = {}
        for part in _parts(order):
            done |= self._ask(part.verb, self._answer_s, **facts_of(part))
        return done

    def accept(self, requests: Sequence[SftpUploadRequest]) -> list[list[str] | IrisError]:
        """Of each request the ids of its items, one a destination, or why it was refused."""
        done: list[list[str] | IrisError] = []
        for files in _pieces(requests):
            size_bytes = sum(_size_bytes(each["file_path"]) for each in files)
            answers = self._ask("accept", self._answer_s + size_bytes / TAKEN_OVER_BYTES_PER_S, files=files)
            done += [error_of(each) if isinstance(each, dict) else list(each) for each in answers]
        return done

    def _ask(self, verb: str, timeout_s: float, **facts: Any) -> Any:
        try:
            connection = self._connected(timeout_s)
        except OSError as error:
            raise self._silence(verb, error, Effect.NONE) from error
        return self._exchanged(connection, verb, "done", facts)

    def _connected(self, timeout_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            with short_name(self._folder) as name:
                _connect(connection, os.path.join(name, SOCKET_NAME))
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchanged(self, connection: socket.socket, verb: str, wanted: str, facts: Mapping[str, Any]) -> Any:
        """What the answer says under `wanted`."""
        with connection:
            try:
                connection.sendall(request_line(verb, **facts))
                return answered(_line(connection))[wanted]
            except IrisError:  # the answer itself
                raise
            except (OSError, ValueError, TypeError, KeyError) as error:
                effect = Effect.NONE if verb == "hello" else Effect.UNKNOWN
                raise self._silence(verb, error, effect) from error

    def _silence(self, verb: str, error: Exception, effect: Effect) -> OwnerSilent:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        text = f"the process that owns the outbox {self._folder} did not answer {verb!r}: {reason}"
        return OwnerSilent(text, effect=effect)


def _parts(order: Order) -> Iterator[Order]:
    """Parts that each fit into one request; none of an order about no item."""
    if isinstance(order, ServerOrder):
        yield order
    else:
        for start in range(0, len(order.ids), IDS_MAX):
            yield replace(order, ids=order.ids[start : start + IDS_MAX])


def _pieces(requests: Sequence[SftpUploadRequest]) -> Iterator[list[dict[str, Any]]]:
    """Pieces that fit into one request. Paths are made absolute: the owner's working directory is another."""
    files: list[dict[str, Any]] = []
    piece_bytes = 0
    for request in requests:
        facts = {each.name: getattr(request, each.name) for each in fields(request)}
        facts |= {name: source_path(facts[name]) for name in ("file_path", "move_to") if facts[name] is not None}
        facts["sftp_server_info"] = _with_absolute_keys(facts["sftp_server_info"])
        try:
            facts, size_bytes = json.loads(text := json.dumps(facts, default=os.fspath)), len(text)
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"{facts['file_path']!r} cannot be queued: {error}") from None
        if files and (len(files) == FILES_MAX or piece_bytes + size_bytes > FILES_BYTES_MAX):
            yield files
            files, piece_bytes = [], 0
        files.append(facts)
        piece_bytes += size_bytes
    if files:
        yield files


def _with_absolute_keys(info: Any) -> Any:
    """What a caller gives for a server, or several; the owner refuses what is wrong with it."""
    if isinstance(info, list | tuple):
        return [_with_absolute_keys(each) for each in info]
    if isinstance(info, Mapping) and isinstance(key := info.get("private_key"), str):
        return {**info, "private_key": private_keys.absolute(key)}
    return info


def _size_bytes(path: str) -> int:
    """Of what has to be read before it is accepted."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _connect(connection: socket.socket, address: str) -> None:
    """With a timeout, connecting fails at once while the backlog is full: try again, for about two seconds."""
    for _ in range(CONNECT_TRIES):
        try:
            return connection.connect(address)
        except BlockingIOError:
            time.sleep(CONNECT_PAUSE_S)
    return connection.connect(address)


def _line(connection: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = connection.recv(LINE_BYTES_MAX)
        if not piece or len(line) > LINE_BYTES_MAX:
            raise ConnectionError("its answer is incomplete" if piece else "it closed the connection")
        line += piece
    return bytes(line)
