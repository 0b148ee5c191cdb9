"""The servers that fail: asyncssh's in this process and a real sshd, one for each test."""

import pytest

from tests.servers.asyncssh_server import AsyncSshServer
from tests.servers.openssh import OpenSshServer


@pytest.fixture
def server(tmp_path):
    with AsyncSshServer(tmp_path / "server") as opened:
        yield opened


@pytest.fixture
def openssh(tmp_path, need_program):
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint="make system-packages")) as opened:
        yield opened
