"""Whoever stands at an outbox's door: says an errand, waits for its answer.

What is asked of a visitor is done by the owner, in the owner's process. It says hello first, so that
an owner that hangs is found out before anything was asked. No answer to an errand is not a no: the owner may have
run it and ended before it could say so.
"""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from iris_communication.control.address import SOCKET_NAME, short_name
from iris_communication.control.protocol import FILES_MAX, IDS_MAX, LINE_BYTES_MAX, answered, errand_line, error_of
from iris_communication.errors import Effect, InvalidRequest, IrisError, Scope
from iris_communication.remote_path import source_path
from iris_communication.server import private_keys
from iris_communication.upload_request import SftpUploadRequest

HELLO_S = 30.0  # an owner that is busy with somebody else's errand answers after it
ANSWER_S = 60.0  # a commit on a disk that is busy
TAKEN_OVER_BYTES_PER_S = 10_000_000  # at least: a large file is read once before it is accepted
LOAD_BYTES = LINE_BYTES_MAX // 2  # of files in one errand
KNOCKS = 100
KNOCK_PAUSE_S = 0.02


class OwnerSilent(IrisError):
    """The process that owns the outbox listens, but did not answer this time."""

    scope = Scope.OUTBOX
    default_hint = "look at what became of it with `iris queue list`, and at the uploader's log; then ask once more"


class ControlClient:
    """A connection for each errand: an owner does not wait long for somebody who has come in. Making one raises
    FileNotFoundError or ConnectionRefusedError where nobody listens, another OSError where it may not or cannot knock.
    Each errand raises OwnerSilent and what the owner answers: ErrandRefused's facts from one of another version."""

    def __init__(self, folder: Path, answer_s: float = ANSWER_S) -> None:
        self._folder = folder
        self._answer_s = answer_s
        self.pid: int = self._exchanged(self._connected(min(HELLO_S, answer_s)), "hello", "pid", {})

    def retry(self, ids: Sequence[str]) -> dict[str, str]:
        return self._of_each("retry", ids)

    def drop(self, ids: Sequence[str]) -> dict[str, str]:
        return self._of_each("drop", ids)

    def set_priority(self, ids: Sequence[str], priority: int) -> dict[str, str]:
        return self._of_each("priority", ids, priority=priority)

    def accept(self, requests: Sequence[SftpUploadRequest]) -> list[list[str] | IrisError]:
        """Of each request the ids of its items, one a destination, or why it was refused."""
        done: list[list[str] | IrisError] = []
        for files in _loads(requests):
            size_bytes = sum(_size_bytes(each["file_path"]) for each in files)
            told = self._ask("accept", self._answer_s + size_bytes / TAKEN_OVER_BYTES_PER_S, files=files)
            done += [error_of(each) if isinstance(each, dict) else list(each) for each in told]
        return done

    def pause(self, server_key: str) -> None:
        self._ask("pause", self._answer_s, server=server_key)

    def resume(self, server_key: str) -> None:
        self._ask("resume", self._answer_s, server=server_key)

    def _of_each(self, errand: str, ids: Sequence[str], **facts: Any) -> dict[str, str]:
        done: dict[str, str] = {}
        for start in range(0, len(ids), IDS_MAX):
            done |= self._ask(errand, self._answer_s, ids=list(ids[start : start + IDS_MAX]), **facts)
        return done

    def _ask(self, errand: str, timeout_s: float, **facts: Any) -> Any:
        try:
            connection = self._connected(timeout_s)
        except OSError as error:
            raise self._silence(errand, error, Effect.NONE) from error
        return self._exchanged(connection, errand, "done", facts)

    def _connected(self, timeout_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout_s)
            with short_name(self._folder) as name:
                _knock(connection, os.path.join(name, SOCKET_NAME))
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchanged(self, connection: socket.socket, errand: str, wanted: str, facts: Mapping[str, Any]) -> Any:
        """What the answer says under `wanted`."""
        with connection:
            try:
                connection.sendall(errand_line(errand, **facts))
                return answered(_line(connection))[wanted]
            except IrisError:  # the answer itself
                raise
            except (OSError, ValueError, TypeError, KeyError) as error:
                effect = Effect.NONE if errand == "hello" else Effect.UNKNOWN
                raise self._silence(errand, error, effect) from error

    def _silence(self, errand: str, error: Exception, effect: Effect) -> OwnerSilent:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        text = f"the process that owns the outbox {self._folder} did not answer {errand!r}: {reason}"
        return OwnerSilent(text, effect=effect)


def _loads(requests: Sequence[SftpUploadRequest]) -> Iterator[list[dict[str, Any]]]:
    """Pieces that fit into one errand. Paths are made absolute: the owner's folder is another."""
    files: list[dict[str, Any]] = []
    load_bytes = 0
    for request in requests:
        facts = {each.name: getattr(request, each.name) for each in fields(request)}
        facts |= {name: source_path(facts[name]) for name in ("file_path", "move_to") if facts[name] is not None}
        facts["sftp_server_info"] = _with_absolute_keys(facts["sftp_server_info"])
        try:
            facts, size_bytes = json.loads(text := json.dumps(facts, default=os.fspath)), len(text)
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"{facts['file_path']!r} cannot be handed over: {error}") from None
        if files and (len(files) == FILES_MAX or load_bytes + size_bytes > LOAD_BYTES):
            yield files
            files, load_bytes = [], 0
        files.append(facts)
        load_bytes += size_bytes
    if files:
        yield files


def _with_absolute_keys(info: Any) -> Any:
    """What a caller gives for a server, or several; whatever is odd is left for the owner to refuse."""
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


def _knock(connection: socket.socket, address: str) -> None:
    """A crowd at the door is not waited for by the system: then once more, for about two seconds."""
    for _ in range(KNOCKS):
        try:
            return connection.connect(address)
        except BlockingIOError:
            time.sleep(KNOCK_PAUSE_S)
    return connection.connect(address)


def _line(connection: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = connection.recv(LINE_BYTES_MAX)
        if not piece or len(line) > LINE_BYTES_MAX:
            raise ConnectionError("its answer has no end" if piece else "it broke the connection off")
        line += piece
    return bytes(line)
