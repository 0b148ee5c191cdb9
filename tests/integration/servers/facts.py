"""What a server does with the requests that an upload is made of, asked by asyncssh's client, not by the project's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from asyncssh.sftp import FXF_CREAT, FXF_EXCL, FXF_WRITE

OPEN_AT_ONCE = 128  # twice what we ask of a server that does not announce its limit


@dataclass(frozen=True, slots=True)
class MeasuredFacts:
    """`rename` and `posix_rename`: what becomes of a name that something has: "replaces", "refuses", or "not allowed"
    where also a free name is refused. `open_files`: how many it lets us hold open, None: as many as we asked for;
    `distinct_handles`: each of them by a handle of its own."""

    software: str
    host_key: str
    rename: str
    posix_rename: str
    open_files: int | None
    distinct_handles: bool


async def measure(info: Mapping[str, object], folder: Path) -> MeasuredFacts:
    """`folder` on this machine is the server's `remote_directory`, and there."""
    base = str(info["remote_directory"])
    for name in ("plain", "posix"):  # before a server that caches listings is asked
        for kind in ("old", "taken"):
            (folder / f"{name}-{kind}").write_bytes(kind.encode())
    async with client(info) as (connection, sftp):
        open_files, distinct_handles = await count_open(sftp, base)
        return MeasuredFacts(
            software=str(connection.get_extra_info("server_version")).removeprefix("SSH-2.0-"),
            host_key=connection.get_server_host_key().get_algorithm(),
            rename=await renamed(sftp.rename, base, folder, "plain"),
            posix_rename=await renamed(sftp.posix_rename, base, folder, "posix"),
            open_files=open_files,
            distinct_handles=distinct_handles,
        )


async def renamed(rename, base: str, folder: Path, name: str) -> str:
    try:
        await rename(f"{base}/{name}-old", f"{base}/{name}-free")
    except asyncssh.SFTPError:
        return "not allowed"
    try:
        await rename(f"{base}/{name}-free", f"{base}/{name}-taken")
    except asyncssh.SFTPError:
        return "refuses"
    assert (folder / f"{name}-taken").read_bytes() == b"old"
    return "replaces"


async def count_open(sftp: asyncssh.SFTPClient, base: str) -> tuple[int | None, bool]:
    new = FXF_WRITE | FXF_CREAT | FXF_EXCL
    asked = (sftp.open(f"{base}/open-{number}", new) for number in range(OPEN_AT_ONCE))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    files = [answer for answer in answers if isinstance(answer, asyncssh.SFTPClientFile)]
    handles = {file._handle for file in files}  # asyncssh has no public name for a file's handle
    await asyncio.gather(*(file.close() for file in files))
    return (None if len(files) == OPEN_AT_ONCE else len(files)), len(handles) == len(files)


@contextlib.asynccontextmanager
async def client(info) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]]:
    key = str(info["private_key"])
    connection = await asyncssh.connect(
        info["host"],
        info["port"],
        username=info["username"],
        client_keys=[asyncssh.import_private_key(key) if key.startswith("-----") else key],
        known_hosts=([asyncssh.import_public_key(info["host_key"])], [], []),
        config=None,
    )
    try:
        yield connection, await connection.start_sftp_client()
    finally:
        connection.abort()  # some servers do not answer a farewell
        await connection.wait_closed()
