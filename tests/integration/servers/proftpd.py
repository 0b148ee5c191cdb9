"""ProFTPD with mod_sftp: an SSH server of its own, with real error texts and codes of later protocol versions.

Its default forbids to write over a file; `overwrites` allows it.
"""

import grp
import os
import pwd
import shutil
from typing import ClassVar

from tests.integration.servers.program import HOST, ServerProgram, keep_private

MODULES = "/usr/lib/proftpd"


class ProFtpd(ServerProgram):
    host_key_type: ClassVar[str] = "ssh-rsa"
    client_key_type: ClassVar[str] = "ssh-rsa"
    overwrites: ClassVar[bool] = False

    def prepare(self) -> None:
        folder, user, group = self.folder, os.geteuid(), os.getegid()
        keep_private(folder / "host_key", self._host_key.export_private_key("pkcs1-pem"))
        keep_private(folder / "client_key.pub", self._client_key.export_public_key("rfc4716"))
        keep_private(folder / "users", f"{self.username}:*:{user}:{group}::{self.root}:/bin/sh\n".encode())
        keep_private(folder / "groups", f"{self.username}:*:{group}:\n".encode())
        self._settings = keep_private(folder / "proftpd.conf", "\n".join(self._lines()).encode())

    def command(self) -> list[str]:
        program = shutil.which("proftpd", path="/usr/sbin:/sbin:/usr/local/sbin") or "proftpd"
        return [program, "--nodaemon", "--quiet", "--config", str(self._settings)]

    def _lines(self) -> list[str]:
        folder = self.folder
        return [
            f"ModulePath {MODULES}",
            "LoadModule mod_sftp.c",
            "ServerType standalone",
            f"DefaultAddress {HOST}",
            "SocketBindTight on",
            f"Port {self.port}",
            f"User {pwd.getpwuid(os.geteuid()).pw_name}",
            f"Group {grp.getgrgid(os.getegid()).gr_name}",
            "RootLogin on",
            "RequireValidShell off",
            "AuthPAM off",
            "AuthOrder mod_auth_file.c",
            f"AuthUserFile {folder / 'users'}",
            f"AuthGroupFile {folder / 'groups'}",
            f"PidFile {folder / 'proftpd.pid'}",
            f"ScoreboardFile {folder / 'scoreboard'}",
            f"DelayTable {folder / 'delay'}",
            f"SystemLog {folder / 'server.log'}",
            "WtmpLog off",
            "UseReverseDNS off",
            "DefaultRoot ~",
            "SFTPEngine on",
            f"SFTPLog {folder / 'server.log'}",
            f"SFTPHostKey {folder / 'host_key'}",
            f"SFTPAuthorizedUserKeys file:{folder / 'client_key.pub'}",
            "SFTPAuthMethods publickey",
            f"AllowOverwrite {'on' if self.overwrites else 'off'}",
        ]


class ProFtpdThatOverwrites(ProFtpd):
    overwrites = True
