"""The two transports, each with a home of its own, and a real sshd."""

import pytest

from iris_communication.transport import host_keys
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.contract.transport.connecting import HINT
from tests.servers.openssh import OpenSshServer


@pytest.fixture(params=["asyncssh", "ssh"])
def transport(request, tmp_path, need_program, monkeypatch):
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", tmp_path / "home" / "known_hosts")
    accepted = tmp_path / "outbox" / "known_hosts"
    if request.param == "asyncssh":
        return AsyncsshTransport(accepted)
    return SshProgramTransport(accepted, str(need_program("ssh", hint=HINT)), configs=[])


@pytest.fixture(scope="module")
def openssh(tmp_path_factory, need_program):
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=need_program("sshd", hint=HINT)) as server:
        yield server
