"""The program ssh, where it is installed."""

import pytest

from tests.unit.iris_communication.transport.openssh.process.ssh_program import HINT


@pytest.fixture
def ssh(need_program):
    return str(need_program("ssh", hint=HINT))
