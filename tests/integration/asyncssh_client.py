"""asyncssh's own client, by which the servers of the tests are asked, and not by the project's."""

import contextlib

import asyncssh

DATA = bytes(range(256)) * 400
SILENCE_S = 0.5  # how long the test waits before it calls a server silent
CONNECTION_GONE = (
    ConnectionError,
    asyncssh.ConnectionLost,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
)


@contextlib.asynccontextmanager
async def client(info):
    """An SFTP session of asyncssh's own client, which accepts the server's key and no other."""
    if "password" in info:
        login = {"password": info["password"], "client_keys": None}
    else:
        key = info["private_key"]  # its text, or the path of a file with it
        login = {"client_keys": [asyncssh.import_private_key(key) if key.startswith("-----") else key]}
    trusted = asyncssh.import_public_key(info["host_key"])
    connection = asyncssh.connect(
        info["host"],
        info["port"],
        username=info["username"],
        known_hosts=([trusted], [], []),
        config=None,
        **login,
    )
    async with connection as opened, opened.start_sftp_client() as sftp:
        yield sftp


async def put(info, name, data=DATA):
    async with client(info) as sftp, sftp.open(f"{info['remote_directory']}/{name}", "wb") as file:
        await file.write(data)
