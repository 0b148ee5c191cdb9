"""The files of known hosts: the user's, the system's, and Iris's own."""

import pytest

from iris_communication.transport import host_keys


@pytest.fixture
def known_hosts(tmp_path, monkeypatch):
    path = tmp_path / "known_hosts"
    monkeypatch.setattr(host_keys, "KNOWN_HOSTS", path)
    monkeypatch.setattr(host_keys, "SYSTEMS_KNOWN_HOSTS", tmp_path / "system" / "ssh_known_hosts")
    return path


@pytest.fixture
def accepted(tmp_path, known_hosts):
    return tmp_path / "outbox" / "known_hosts"
