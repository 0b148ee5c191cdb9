"""A peer: asyncssh's own SFTP client as its documentation uses it, one connection, 64 puts at once.

Takes the options that benchmarks/peers.py lists.
"""

import argparse
import asyncio
from pathlib import Path

import asyncssh

PUTS_AT_ONCE = 64


async def carry(paths: list[Path], options: argparse.Namespace) -> None:
    host_key = asyncssh.import_public_key(options.host_key)
    connection = asyncssh.connect(
        options.host,
        options.port,
        username=options.username,
        client_keys=[options.private_key],
        known_hosts=([host_key], [], []),
        agent_path=None,
        config=None,
    )
    async with connection as opened, opened.start_sftp_client() as sftp:
        free = asyncio.Semaphore(PUTS_AT_ONCE)

        async def put(path: Path) -> None:
            async with free:
                await sftp.put(path, f"{options.remote_directory}/{path.name}")

        await asyncio.gather(*map(put, paths))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asyncssh_client")
    for name in ("source", "host", "username", "private-key", "host-key", "remote-directory", "scratch"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(carry(sorted(Path(options.source).iterdir()), options))


if __name__ == "__main__":
    main()
