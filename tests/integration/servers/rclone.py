"""`rclone serve sftp`: Go's pkg/sftp, as in many gateways. Eight workers write at once, and a rename replaces.

It caches the listing of a folder for five minutes, since its files may be in a cloud. So a test that puts a file
there directly does so before the server is first asked about that folder.
"""

import shutil

from tests.integration.servers.program import HOST, ServerProgram, keep_private, public_line


class Rclone(ServerProgram):
    def prepare(self) -> None:
        keep_private(self.folder / "host_key", self._host_key.export_private_key())
        keep_private(self.folder / "authorized_keys", f"{public_line(self._client_key)}\n".encode())
        (self.folder / "rclone.conf").touch(mode=0o600)

    def command(self) -> list[str]:
        return [
            *(shutil.which("rclone") or "rclone", "serve", "sftp", str(self.root)),
            *("--addr", f"{HOST}:{self.port}"),
            *("--key", str(self.folder / "host_key")),
            *("--authorized-keys", str(self.folder / "authorized_keys")),
            *("--config", str(self.folder / "rclone.conf")),
            *("--cache-dir", str(self.folder / "cache")),
        ]
