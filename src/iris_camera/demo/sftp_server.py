"""A real SFTP server for the demo: asyncssh's own, in a process of its own, on loopback, for one user and
one folder.

The demo must show a real delivery: so the server is another process with a host key and a password that are
made for this run, it answers OPEN, WRITE and RENAME as asyncssh does, and an outage looks like one of the
network: every connection is reset, and the port refuses new ones until `recover()`. With `refuses` it refuses
a file now and then without a reason, and takes it the next time.

    parent: DemoServer --stdin, lines of JSON--> child: `python -m iris_camera.demo.sftp_server` --stdout-->
    parent

The first line carries folder, user and password (never the command line, which every user of the machine
can read), each further line is a command, and each command has one reply. The end of stdin ends the child,
so it cannot outlive a parent that was killed. The child has a session of its own: Ctrl+C in the terminal
reaches only the parent, which still has to deliver.

A socket that is bound and never listens holds the port. During an outage the system therefore refuses
connections to it, and gives it to no other program.
"""

import asyncio
import hmac
import itertools
import json
import logging
import os
import secrets
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh

HOST = "127.0.0.1"
ANSWER_TIMEOUT_S = 20.0
END_TIMEOUT_S = 5.0
FIRST_REFUSED = 5  # of the uploads; then the 10th, 20th, 40th ...: often enough to be seen


class DemoServerError(Exception):
    """The server's process did not start, did not answer, or has ended."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the server. `host_key` is the line of its public key, as in known_hosts without the
    host.
    """

    host: str
    port: int
    username: str
    host_key: str
    password: str = field(repr=False)

    def server_info(self, remote_directory: str) -> dict[str, Any]:
        """The same as the uploader's `sftp_server_info`, with the folder on the server to deliver into."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "host_key": self.host_key,
            "remote_directory": remote_directory,
        }


class DemoServer:
    """Starts and ends the server's process, and takes it off the network and back.

    `folder` (made if missing) is the root the user sees; one that `refuses` refuses a file now and then.
    Methods block until the server has answered, and raise DemoServerError. `stop()` may be called from any
    thread at any time, more than once.
    """

    def __init__(self, folder: Path, *, refuses: bool = False) -> None:
        self._folder = folder
        self._refuses = refuses
        self._process: subprocess.Popen[bytes] | None = None
        self._replies = b""

    def start(self) -> Access:
        """Start the process; returns when it accepts connections."""
        if self._process is not None:
            raise DemoServerError("the demo's SFTP server was started before")
        self._folder.mkdir(parents=True, exist_ok=True)
        username, password = "iris", secrets.token_urlsafe(24)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "iris_camera.demo.sftp_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            login = {"folder": str(self._folder.resolve()), "username": username, "password": password}
            reply = self._ask(login | ({"refuses": "now and then"} if self._refuses else {}))
        except BaseException:
            self.stop()
            raise
        return Access(HOST, reply["port"], username, reply["host_key"], password)

    def outage(self) -> None:
        """Reset every connection and refuse new ones."""
        self._ask({"command": "outage"})

    def recover(self) -> None:
        """Accept connections again, on the same port and with the same host key."""
        self._ask({"command": "recover"})

    def stop(self) -> None:
        """End the process: by the end of its stdin, and by a kill if that does not help."""
        process = self._process
        if process is None or process.stdin is None:
            return
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ask(self, question: dict[str, str]) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None or process.stdin.closed:
            raise DemoServerError("the demo's SFTP server is not running")
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            reply: dict[str, Any] = json.loads(self._read_line(process.stdout.fileno()))
        except (OSError, ValueError) as error:
            raise DemoServerError(f"the demo's SFTP server has ended or was stopped: {error}") from error
        if "failed" in reply:
            raise DemoServerError(f"the demo's SFTP server: {reply['failed']}")
        return reply

    def _read_line(self, descriptor: int) -> bytes:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while b"\n" not in self._replies:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1e3):
                raise DemoServerError(f"the demo's SFTP server did not answer in {ANSWER_TIMEOUT_S:.0f} s")
            data = os.read(descriptor, 4096)
            if not data:
                raise DemoServerError("the demo's SFTP server has ended; standard error says why")
            self._replies += data
        line, _, self._replies = self._replies.partition(b"\n")
        return line


Connections = set[asyncssh.SSHServerConnection]
REFUSED_FOR_ONCE = "refused for once"  # the error text for a file that it refuses on purpose


class LoneUser(asyncssh.SSHServer):
    """Lets in one user with one password, and keeps the set of connections up to date."""

    def __init__(self, connections: Connections, username: str, password: str) -> None:
        self._connections = connections
        self._username = username
        self._password = password

    def connection_made(self, connection: asyncssh.SSHServerConnection) -> None:
        """Note the connection, before anybody has logged in."""
        self._connection = connection
        self._connections.add(connection)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._connections.discard(self._connection)

    def password_auth_supported(self) -> bool:
        """The server offers password authentication."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """True only if both are right, in a time that does not show which was wrong."""
        given = f"{username}\0{password}".encode()
        return hmac.compare_digest(given, f"{self._username}\0{self._password}".encode())


class Refusals:
    """Which uploads are refused, recognised by their hidden names, which are new for each attempt. A refused name stays
    refused: a client that believes it has too many files open repeats the request at once."""

    def __init__(self) -> None:
        self._openings = itertools.count(1)
        self._refused: set[bytes] = set()

    def refuses(self, path: bytes) -> bool:
        """Whether the upload that opens `path` is refused."""
        is_hidden = path.rpartition(b"/")[2].startswith(b".iris-")
        if is_hidden and path not in self._refused:
            times, rest = divmod(next(self._openings), FIRST_REFUSED)
            if rest == 0 and times.bit_count() == 1:
                self._refused.add(path)
        return path in self._refused


class RefusingNowAndThen(asyncssh.SFTPServer):
    """Refuses to open a temporary file now and then, like a server whose virus scanner locks the folder."""

    def __init__(self, refusals: Refusals, channel: asyncssh.SSHServerChannel[bytes], chroot: bytes) -> None:
        super().__init__(channel, chroot=chroot)
        self._refusals = refusals  # of all connections

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> asyncssh.misc.MaybeAwait[object]:
        """As asyncssh does. Raises SFTPFailure for a file that is refused."""
        if self._refusals.refuses(path):
            raise asyncssh.SFTPFailure(REFUSED_FOR_ONCE)
        return super().open(path, pflags, attrs)


class LoopbackListener:
    """One loopback port on which an SSH server can be stopped and started again.

    `server_factory` makes the asyncssh.SSHServer of a connection; it is handed the set in which that server
    has to keep its connection (as LoneUser does). `options` are those of `asyncssh.listen`. Belongs to the
    running event loop; `port` stays the same from the beginning to the end.
    """

    def __init__(self, server_factory: Callable[[Connections], asyncssh.SSHServer], **options: Any) -> None:
        self.connections: Connections = set()
        self._server_factory = lambda: server_factory(self.connections)
        self.options = options
        self._port_holder = _bound_socket(0)
        self.port: int = self._port_holder.getsockname()[1]
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def listen(self) -> None:
        """Accept connections; does nothing if it does already."""
        if self._acceptor is not None:
            return
        self._listening = listening = _bound_socket(self.port)
        try:
            self._acceptor = await asyncssh.listen(sock=listening, server_factory=self._server_factory, **self.options)
        except BaseException:
            listening.close()
            raise

    async def outage(self) -> None:
        """Refuse new connections and reset the present ones."""
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            # A client accepted just now becomes a connection some turns of the loop later; asyncio's server, once it
            # is closed, would leave that client's socket open for good.
            asyncio.get_running_loop().remove_reader(self._listening)
            for _ in range(10):
                await asyncio.sleep(0)
            acceptor.close()
        await self.reset()

    async def reset(self) -> None:
        """Reset the present connections: their peers see ECONNRESET, no orderly end. Returns when that is
        done.
        """
        sockets = []
        for connection in list(self.connections):
            sock = connection.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sockets.append(sock)
            connection.abort()
        # The loop closes the socket of an aborted connection a few turns later, and has no event for it.
        for _ in range(100):
            if all(sock.fileno() < 0 for sock in sockets):
                break
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Reset everything and give the port back."""
        await self.outage()
        self._port_holder.close()


def _bound_socket(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    return sock


async def _serve() -> None:
    """The child process: reads the login from stdin, then sends one reply a command, until stdin ends."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(pass_over_lost_connections)
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin.buffer)
    login = json.loads(await questions.readline() or b"null")
    if login is None:
        return
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    folder, refusals = os.fsencode(login["folder"]), Refusals()

    def make_server(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        if "refuses" in login:
            return RefusingNowAndThen(refusals, channel, folder)
        return asyncssh.SFTPServer(channel, chroot=folder)

    listener = LoopbackListener(
        lambda connections: LoneUser(connections, login["username"], login["password"]),
        server_host_keys=[host_key],
        sftp_factory=make_server,
        encoding=None,
    )
    await listener.listen()
    _reply({"port": listener.port, "host_key": host_key.export_public_key().decode().strip()})
    while question := await questions.readline():
        command = json.loads(question)["command"]
        try:
            await (listener.outage() if command == "outage" else listener.listen())
        except OSError as error:
            _reply({"failed": f"{command}: {error}"})
        else:
            _reply({"done": command})
    await listener.close()


def _reply(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def pass_over_lost_connections(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ignores reset connections, which this server makes on purpose; any other error is reported."""
    if not isinstance(context.get("exception"), (OSError, asyncssh.Error)):
        loop.default_exception_handler(context)


def main() -> None:
    """Run as the child process."""
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
    with suppress(BrokenPipeError, KeyboardInterrupt):
        asyncio.run(_serve())


if __name__ == "__main__":
    main()
