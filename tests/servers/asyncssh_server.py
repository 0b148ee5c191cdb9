"""An SFTP server within the test's process, in a thread of its own: for faults that a real server does not have.

    class FullDisk(asyncssh.SFTPServer):
        "Takes the file, then finds no room for its bytes."
        def write(self, file_obj, offset, data):
            raise asyncssh.SFTPFailure("No space left on device")

    with AsyncSshServer(tmp_path, sftp_server=FullDisk) as server: ...

A fault that is silence: write the method as a coroutine that waits for ever.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

import asyncssh

from iris_camera.demo.sftp_server import (
    HOST,
    Connections,
    LoneUser,
    LoopbackListener,
    pass_over_lost_connections,
)

CALL_TIMEOUT_S = 60.0
LONGEST_FREEZE_S = 60.0


class AsyncSshServer:
    """Serves `folder` (made if missing) as the root of one user, who may log in with a key or a password.

    `sftp_server` is asyncssh's SFTPServer or a subclass with a fault.
    """

    def __init__(self, folder: Path, *, sftp_server: Callable[..., asyncssh.SFTPServer] = asyncssh.SFTPServer) -> None:
        self.folder = folder
        self.host = HOST
        self.username = "iris"
        self.password = secrets.token_urlsafe(16)
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.private_key = client_key.export_private_key().decode()
        self._public_key = client_key.convert_to_public()
        self.connections_made = 0  # also those that never logged in
        self._sftp_server = sftp_server
        self._new_host_key()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._thawed = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def connection_count(self) -> int:
        """How many clients are connected, logged in or not."""
        return len(self._listener.connections)

    def start(self) -> None:
        """Start the thread; returns when connections are accepted."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="asyncssh-server")
        self._thread.start()
        if not self._ready.wait(CALL_TIMEOUT_S):
            raise RuntimeError("the server did not start")

    def stop(self) -> None:
        """Reset all connections and end the thread."""
        if self._thread is not None and self._thread.is_alive():
            self._thawed.set()
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join(CALL_TIMEOUT_S)
            assert not self._thread.is_alive(), "the server's thread does not end"

    def cut(self) -> None:
        """Reset the live connections; new ones are accepted."""
        self._call(self._listener.reset())

    def outage(self) -> None:
        """Reset the live connections and refuse new ones."""
        self._call(self._listener.outage())

    def recover(self) -> None:
        """Accept connections again, on the same port."""
        self._call(self._listener.listen())

    def freeze(self) -> None:
        """Fall silent: connections stay, the system even accepts new ones, but the server does not answer."""
        frozen = threading.Event()
        self._thawed.clear()

        def hold_the_loop() -> None:
            frozen.set()
            self._thawed.wait(LONGEST_FREEZE_S)

        self._loop.call_soon_threadsafe(hold_the_loop)
        frozen.wait(CALL_TIMEOUT_S)

    def thaw(self) -> None:
        """Answer again, beginning with what came in meanwhile."""
        self._thawed.set()

    def change_host_key(self) -> None:
        """Come back as a server with another host key, as after a new installation or with a man in the middle."""
        self._new_host_key()
        self._listener.options["server_host_keys"] = [self._host_key]
        self.outage()
        self.recover()

    def offer(self, **options: Any) -> None:
        """Come back with other options of asyncssh's, such as what it offers for the key exchange."""
        self._listener.options.update(options)
        self.outage()
        self.recover()

    def info(self, remote_directory: Path | str, by: Literal["key", "password"] = "key") -> dict[str, object]:
        """The same server as the uploader's `sftp_server_info`; paths on it begin at `folder`."""
        secret = {"private_key": self.private_key} if by == "key" else {"password": self.password}
        return {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            **secret,
            "host_key": self.host_key,
            "remote_directory": str(remote_directory),
        }

    def __enter__(self) -> "AsyncSshServer":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _new_host_key(self) -> None:
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self._host_key.export_public_key().decode().strip()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(pass_over_lost_connections)
        self._stopped = asyncio.Event()
        self._listener = LoopbackListener(
            self._user,
            server_host_keys=[self._host_key],
            sftp_factory=lambda channel: self._sftp_server(channel, chroot=os.fsencode(self.folder)),
            encoding=None,
        )
        await self._listener.listen()
        self._ready.set()
        await self._stopped.wait()
        await self._listener.close()

    def _user(self, connections: Connections) -> "_KeyOrPassword":
        self.connections_made += 1
        return _KeyOrPassword(connections, self.username, self.password, self._public_key)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)


class _KeyOrPassword(LoneUser):
    """The only user, with a key as well."""

    def __init__(self, connections: Connections, username: str, password: str, key: asyncssh.SSHKey) -> None:
        super().__init__(connections, username, password)
        self._owner = username
        self._key = key

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._owner and key == self._key
