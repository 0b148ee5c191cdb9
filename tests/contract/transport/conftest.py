"""The two transports, each with a home of its own, and a real sshd."""

import pytest

from iris_communication.transport import host_keys
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.contract.transport.connecting import HINT
from tests.servers.openssh import OpenSshServer


@pytest.fixture(params=["asyncssh", "ssh"])
def make_transport(request, tmp_path, need_program, monkeypatch):
    """`make_transport(accepted)` is a transport with this file of accepted host keys."""
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", tmp_path / "home" / "known_hosts")
    if request.param == "asyncssh":
        return AsyncsshTransport
    program = str(need_program("ssh", hint=HINT))
    return lambda accepted: SshProgramTransport(accepted, program, configs=[])


@pytest.fixture
def transport(make_transport, tmp_path):
    return make_transport(tmp_path / "outbox" / "known_hosts")


@pytest.fixture(scope="module")
def openssh(tmp_path_factory, need_program):
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=need_program("sshd", hint=HINT)) as server:
        yield server
