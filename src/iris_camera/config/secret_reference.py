"""A secret that is kept elsewhere: `{ file = "..." }`, `{ command = [...] }`, `{ environment = "..." }`.

It is fetched once, when the settings are read, so that a mistake is reported at the start with all others, and not at
night when a connection has to be made anew. An error states where the secret should have come from and what came
instead, as numbers and names; never the text itself, nor what the command wrote.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from iris_camera.config.paths import with_home
from iris_camera.config.problem import did_you_mean, listed

TIMEOUT_S = 10.0  # a password store that asks for a PIN, which no user can type, would otherwise hang the start
SIZE_BYTES_MAX = 100_000
KINDS = ("file", "command", "environment")
FORMS = 'a text, or one of { file = "PATH" }, { command = ["PROGRAM", "ARGUMENT"] }, { environment = "NAME" }'


class SecretUnavailable(ValueError):
    """A secret that could not be fetched: says from where and why."""


def fetched(reference: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> str:
    """The secret, without line breaks at its end; paths are relative to `folder`. Raises SecretUnavailable."""
    if len(reference) != 1:
        raise SecretUnavailable(f"is a table with {len(reference)} keys: expected {FORMS}")
    ((kind, value),) = reference.items()
    if kind not in KINDS:
        raise SecretUnavailable(
            f'is a table with the key "{kind}": expected {listed(KINDS)}{did_you_mean(kind, KINDS)}'
        )
    if kind == "command":
        secret = _of_command(value, folder)
    elif not isinstance(value, str) or not value:
        raise SecretUnavailable(f"names no {kind}: expected a string in quotes")
    elif kind == "file":
        secret = _of_file(folder / with_home(value))
    else:
        secret = _of_environment(value, environment)
    return secret


def _of_file(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            content = _received(descriptor, time.monotonic() + TIMEOUT_S)
        finally:
            os.close(descriptor)
    except TimeoutError:
        raise SecretUnavailable(f"should come from the file {path}, which did not end within {TIMEOUT_S:g} s") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be one"
        raise SecretUnavailable(f"should come from the file {path}, which cannot be read: {reason}") from None
    return _as_text(content, f"the file {path}")


def _of_environment(name: str, environment: Mapping[str, str]) -> str:
    if not environment.get(name):
        state = "empty" if name in environment else "not set"
        raise SecretUnavailable(f"is to come from the environment variable {name}, which is {state}")
    return environment[name]


def _of_command(command: Any, folder: Path) -> str:
    if not _is_command(command):
        raise SecretUnavailable('names no command: expected a list of strings such as ["pass", "show", "plant"]')
    where = f'the command "{command[0]}"'  # its arguments may hold a secret themselves
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command; no shell reads it
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be started"
        raise SecretUnavailable(f"should come from {where}, which does not run: {reason}") from None
    with process:
        try:
            content = _what_it_writes(process)
        except BaseException as error:
            _end(process)
            if not isinstance(error, (TimeoutError, subprocess.TimeoutExpired)):
                raise
            raise SecretUnavailable(f"should come from {where}, which did not end within {TIMEOUT_S:g} s") from None
    if process.returncode and len(content) <= SIZE_BYTES_MAX:
        raise SecretUnavailable(
            f"should come from {where}, which failed with exit status {process.returncode}; run it by hand to see why"
        )
    return _as_text(content, where)


def _what_it_writes(process: "subprocess.Popen[bytes]") -> bytes:
    """The output until the command ends, or has written too much. Raises TimeoutError, subprocess.TimeoutExpired."""
    deadline_s = time.monotonic() + TIMEOUT_S
    assert process.stdout is not None
    content = _received(process.stdout.fileno(), deadline_s)
    if len(content) > SIZE_BYTES_MAX:
        _end(process)
        return content
    process.wait(max(0.0, deadline_s - time.monotonic()))
    return content


def _received(descriptor: int, deadline_s: float) -> bytes:
    """The bytes until the end, and at most one beyond SIZE_BYTES_MAX: a pipe may have no end, or no writer. Raises
    TimeoutError, OSError."""
    content = b""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while len(content) <= SIZE_BYTES_MAX:
        if not ready.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
            raise TimeoutError
        with contextlib.suppress(BlockingIOError):
            piece = os.read(descriptor, SIZE_BYTES_MAX + 1 - len(content))
            if not piece:
                break
            content += piece
    return content


def _is_command(command: Any) -> bool:
    return isinstance(command, list) and bool(command) and all(isinstance(word, str) and word for word in command)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the command and its children: a child may hold the pipe open after the command has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _as_text(content: bytes, where: str) -> str:
    if len(content) > SIZE_BYTES_MAX:
        raise SecretUnavailable(f"should come from {where}, which gave more than {SIZE_BYTES_MAX} bytes")
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretUnavailable(f"should come from {where}, which gave no UTF-8 text") from None
    if not secret:
        raise SecretUnavailable(f"should come from {where}, which gave nothing")
    return secret
