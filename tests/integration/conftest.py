"""What every integration test begins with: an uploader that runs, and a folder to make files in."""

import pytest

from tests.integration.uploading import running
from tests.servers.openssh import OpenSshServer


@pytest.fixture
def uploader(tmp_path):
    with running(tmp_path / "outbox") as opened:
        yield opened


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def openssh(tmp_path_factory, need_program):
    """One for all tests of a file; a test that cuts or freezes it has one of its own."""
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=sshd) as server:
        yield server
