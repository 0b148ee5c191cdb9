"""asyncssh's own SFTP server over a folder, as a program: `python asyncssh_program.py SETTINGS`."""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncssh


async def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    root = os.fsencode(settings["root"])
    acceptor = await asyncssh.listen(
        settings["host"],
        settings["port"],
        server_host_keys=[settings["host_key"]],
        authorized_client_keys=settings["authorized_keys"],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=root),
        encoding=None,
    )
    await acceptor.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
