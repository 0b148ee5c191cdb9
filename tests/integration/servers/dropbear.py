"""Dropbear, as on routers and small storage boxes: 24 KiB of window, and OpenSSH's program for the files.

It looks for keys in the home of the user alone, and this user's home is not the test's. So the C library
reports another home: libnss-wrapper, loaded into this one process, has a passwd with one line.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping

from tests.integration.servers.program import HOST, ServerProgram, keep_private, public_line


class Dropbear(ServerProgram):
    def prepare(self) -> None:
        self.prefix = str(self.root)
        self._home = self.folder / "home"
        keys = self._home / ".ssh"
        keys.mkdir(parents=True, mode=0o700)
        self._home.chmod(0o700)
        keep_private(keys / "authorized_keys", f"{public_line(self._client_key)}\n".encode())
        user, group = os.geteuid(), os.getegid()
        (self.folder / "passwd").write_text(f"{self.username}:x:{user}:{group}::{self._home}:/bin/sh\n")
        (self.folder / "group").write_text(f"{self.username}:x:{group}:\n")
        opened = keep_private(self.folder / "openssh_key", self._host_key.export_private_key())
        converted = ["dropbearconvert", "openssh", "dropbear", opened, self.folder / "host_key"]
        subprocess.run(converted, check=True, capture_output=True, timeout=170)

    def command(self) -> list[str]:
        program = shutil.which("dropbear", path="/usr/sbin:/sbin:/usr/local/sbin") or "dropbear"
        address = f"{HOST}:{self.port}"
        pid_file = str(self.folder / "dropbear.pid")
        return [program, "-F", "-E", "-m", "-s", "-r", str(self.folder / "host_key"), "-p", address, "-P", pid_file]

    def environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": "libnss_wrapper.so",
            "NSS_WRAPPER_PASSWD": str(self.folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.folder / "group"),
        }
