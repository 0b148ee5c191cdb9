"""A server of the table that runs, with a fresh folder for each test of the matrix, and what Iris learns of it."""

import re

import pytest

from iris_communication.clock import SystemClock
from iris_communication.delivery.connection import Connection
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings
from iris_communication.sftp.trials.probe import ProbeContent
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from tests.integration.uploading import contents_of

FOLDERS = 50  # for the tests of one server


def parameters(rows):
    """Each in one group, so that its server is started once; the rare ones behind their marker."""
    marks = {True: (), False: pytest.mark.every_server}
    return [pytest.param(row, id=re.sub(r"\W+", "-", row.name).lower(), marks=marks[row.every_run]) for row in rows]


class MatrixLine:
    """A server that runs, and a folder on it by both its names: fresh for each test."""

    def __init__(self, row, server):
        self.row, self.server = row, server
        name = str(next(server.fresh))
        self.base = server.root / name
        self.folder = self.base / "line-1" / "model"
        self.info = server.info(f"{server.prefix}/{name}")
        if not row.makes_folders:
            self.folder.mkdir(parents=True)

    def place(self, name, content):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)

    def contents(self):
        """Also what is hidden, unless the server forbids to remove it."""
        found = contents_of(self.folder) if self.folder.is_dir() else {}
        return {name: found[name] for name in found if self.row.removes or not name.startswith(".iris-")}


async def asked(info, talk_of=None):
    """What the session learns of it and what it announces; or the result of a conversation with that knowledge."""
    server, secret = parse_server(info)
    connection = Connection(server, DeliverySettings(), SystemClock())
    try:
        await connection.open(AsyncsshTransport(), secret)
        if talk_of is None:
            (greeting,) = [line for line in connection.trace() if " < VERSION " in line]
            return connection.capabilities, set(greeting.split())
        return await connection.run(talk_of(connection.capabilities), ProbeContent())
    finally:
        connection.close()
