"""Our rows of the table, each a whole process: see `peers.py` for the arguments.

`engine`: the SFTP carrier alone, every file given to it at once; what the protocol engine can do.
`uploader`: the public door, durable outbox included, from the first `queue_upload` to the last delivery recorded.
"""

import argparse
import asyncio
import hashlib
import secrets
import sys
import time
from pathlib import Path

from iris_communication.clock import SystemClock
from iris_communication.delivery.sftp_carrier import SftpCarrier
from iris_communication.item import Fingerprint, Item, Take
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from iris_communication.transport.asyncssh_channel import AsyncsshTransport

LIMIT_S = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=("engine", "uploader"))
    for name in ("source", "host", "port", "username", "private-key", "host-key", "remote-directory", "scratch"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    files = sorted(Path(arguments.source).iterdir())
    server = Server(
        host=arguments.host,
        username=arguments.username,
        port=int(arguments.port),
        remote_directory=arguments.remote_directory,
        host_key=arguments.host_key,
    )
    if arguments.which == "engine":
        asyncio.run(_engine(files, server, Secret(private_key=arguments.private_key)))
        return 0
    return _uploader(files, server, arguments.private_key, Path(arguments.scratch))


async def _engine(files: list[Path], server: Server, secret: Secret) -> None:
    clock, paths = SystemClock(), {file.name: file for file in files}
    carrier = SftpCarrier(
        AsyncsshTransport(), lambda _: (server, secret), lambda item: paths[item.id], DeliverySettings(), clock
    )
    waiting = iter(files)
    first = next(waiting)
    await carrier.carry(_item(first, server))  # the slots are known once connected

    async def lane() -> None:
        for file in waiting:
            await carrier.carry(_item(file, server))

    await asyncio.gather(*(lane() for _ in range(carrier.slots(server.key))))
    await carrier.close()


def _item(file: Path, server: Server) -> Item:
    data = file.read_bytes()
    facts = file.stat()
    return Item(
        id=file.name,
        sequence=1,
        server_key=server.key,
        source_path=str(file),
        remote_path=f"{server.remote_directory}/{file.name}",
        folder_type="model",
        project_settings={},
        take=Take.COPY,
        fingerprint=Fingerprint(
            facts.st_dev, facts.st_ino, len(data), facts.st_mtime_ns, hashlib.sha256(data).hexdigest()
        ),
        accepted_s=0.0,
        token=secrets.token_hex(8),
    )


def _uploader(files: list[Path], server: Server, private_key: str, scratch: Path) -> int:
    uploader = SftpUploaderThread(scratch / "outbox", max_queue_size=len(files) + 1)
    uploader.start()
    uploader.configure_server(
        "bench",
        {
            "host": server.host,
            "port": server.port,
            "username": server.username,
            "private_key": private_key,
            "host_key": server.host_key,
            "remote_directory": server.remote_directory,
        },
    )
    for file in files:
        if not uploader.queue_upload("bench", file, "line-1", "model"):
            return 1
    deadline_s = time.monotonic() + LIMIT_S
    while uploader.get_stats()["queue_size"] and time.monotonic() < deadline_s:
        time.sleep(0.002)
    stats = uploader.get_stats()
    uploader.close()
    return 0 if stats["total_uploaded"] == len(files) else 1


if __name__ == "__main__":
    sys.exit(main())
