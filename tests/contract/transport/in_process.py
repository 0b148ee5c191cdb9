"""Servers in this process: asyncssh's, and a socket that sends one text."""

import asyncio
import contextlib

import asyncssh

from tests.servers.one_user import HOST_KEY, OneUser, public


@contextlib.asynccontextmanager
async def listening(user=OneUser, **facts):
    """The address of a server of asyncssh's."""
    facts = {"sftp_factory": True, "server_host_keys": [HOST_KEY]} | facts
    acceptor = await asyncssh.listen("127.0.0.1", 0, server_factory=user, **facts)
    try:
        yield {"host": "127.0.0.1", "username": "iris", "port": acceptor.get_port(), "host_key": public(HOST_KEY)}
    finally:
        acceptor.close()
        await acceptor.wait_closed()


@contextlib.asynccontextmanager
async def sending(text, then=lambda writer: writer.close()):
    """The address of a server that reads a line and sends this text; `then` ends the connection, or does not."""
    writers = []

    async def answer(reader, writer):
        writers.append(writer)
        await reader.readline()
        writer.write(text)
        then(writer)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield {
            "host": "127.0.0.1",
            "username": "iris",
            "port": server.sockets[0].getsockname()[1],
            "host_key": public(HOST_KEY),
        }
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await server.wait_closed()
