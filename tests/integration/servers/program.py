"""A server program on loopback: on a port that stays ours, with its files in a folder of its own.

A socket that is bound and never listens holds the port from beginning to end. So the program can be ended and started
again on the same port, and in between connections are refused. Every program sets SO_REUSEADDR and may share it.

Clients log in with a key, since every server supports keys; its class says which kinds of keys.

File modes do not restrict root, and tests may be run as root. So a server then begins without the two capabilities
that override modes, and a closed folder is closed for it too.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import asyncssh

from tests.servers.openssh import descendants, is_running

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
HELD_BY_MODES = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


class ServerProgram:
    """One process, and what it starts, with its files in `folder`. Paths on the server that begin with `prefix` are
    those in `root` on this machine."""

    host_key_type: ClassVar[str] = "ssh-ed25519"
    client_key_type: ClassVar[str] = "ssh-ed25519"
    username = "iris"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir()
        self.prefix = ""
        self.host = HOST
        self._port_holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._port_holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port_holder.bind((HOST, 0))
        self.port: int = self._port_holder.getsockname()[1]
        self._client_key = new_key(self.client_key_type)
        self._host_key = new_key(self.host_key_type)
        self.host_key = public_line(self._host_key)
        self._process: subprocess.Popen[bytes] | None = None
        self.prepare()

    def prepare(self) -> None:
        """Write what the program reads."""

    def command(self) -> list[str]:
        raise AssertionError("each server has its own")

    def environment(self) -> Mapping[str, str]:
        """What it has beside, or in place of, that of this process."""
        return {}

    def start(self) -> None:
        """Start it, and return when it greets. Raises RuntimeError with its output if it does not."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*held_by_modes(), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._greets():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                said = self.log()[-2000:].strip() or "it said nothing"
                self.stop()
                raise RuntimeError(f"{type(self).__name__} did not start: {said}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, with all that it started. The port stays ours, and refuses connections."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGSTOP)  # so that it begins none while those are looked for that it has begun
            end([process.pid, *descendants(process.pid)])
            process.wait()

    def restart(self) -> None:
        """Stop, then start on the same port with the same host key."""
        self.stop()
        self.start()

    def cut(self) -> None:
        """Drop the live connections; new ones are accepted. One that serves everybody in one process cannot: it dies
        and comes back, which a client cannot distinguish."""
        assert self._process is not None, "it was not started"
        sessions = descendants(self._process.pid)
        end(sessions) if sessions else self.restart()

    def close(self) -> None:
        """Stop, and give the port back."""
        self.stop()
        self._port_holder.close()

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def info(self, remote_directory: str) -> dict[str, object]:
        """The same server as the uploader's `sftp_server_info`."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "private_key": self._client_key.export_private_key().decode(),
            "host_key": self.host_key,
            "remote_directory": remote_directory,
        }

    def __enter__(self) -> "ServerProgram":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _greets(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), 1.0) as asked:
                asked.settimeout(2.0)
                return asked.recv(4) == b"SSH-"
        except OSError:
            return False


def held_by_modes() -> tuple[str, ...]:
    """The prefix of a command that file modes shall restrict."""
    return HELD_BY_MODES if os.geteuid() == 0 else ()


def new_key(kind: str) -> asyncssh.SSHKey:
    size = {"key_size": 2048} if kind == "ssh-rsa" else {}
    return asyncssh.generate_private_key(kind, **size)


def public_line(key: asyncssh.SSHKey) -> str:
    """As in authorized_keys and known_hosts, without a host."""
    return key.export_public_key().decode().strip()


def keep_private(path: Path, content: bytes) -> Path:
    """Write what its owner alone may read."""
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def end(pids: list[int]) -> None:
    """Kill them, and wait until they are gone."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline_s = time.monotonic() + END_TIMEOUT_S
    for pid in pids:
        while is_running(pid):
            assert time.monotonic() < deadline_s, f"process {pid} does not end"
            time.sleep(0.005)
