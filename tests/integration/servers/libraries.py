"""Servers that are libraries: asyncssh and paramiko for Python, npm's ssh2 for Node, each in a process of its own.

asyncssh serves a folder as it is. The other two bring the protocol and leave the files to their user: the programs
here hand each question to the system.
"""

import json
import shutil
import sys
from pathlib import Path

from tests.integration.servers.program import ServerProgram, keep_private, public_line

HERE = Path(__file__).resolve().parent


class _Library(ServerProgram):
    def prepare(self) -> None:
        authorized = f"{public_line(self._client_key)}\n".encode()
        facts = {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "root": str(self.root),
            "host_key": str(keep_private(self.folder / "host_key", self._host_key.export_private_key())),
            "client_key": str(keep_private(self.folder / "client_key", self._client_key.export_private_key())),
            "authorized_keys": str(keep_private(self.folder / "authorized_keys", authorized)),
        }
        self._settings = self.folder / "settings.json"
        self._settings.write_text(json.dumps(facts))


class AsyncSsh(_Library):
    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "asyncssh_program.py"), str(self._settings)]


class Paramiko(_Library):
    def command(self) -> list[str]:
        return [sys.executable, str(HERE / "paramiko_program.py"), str(self._settings)]


class Ssh2(_Library):
    modules = HERE / "npm" / "node_modules"

    def command(self) -> list[str]:
        return [shutil.which("node") or "node", str(HERE / "npm" / "server.js"), str(self._settings)]
