"""The measured clients: their commands, without settings of their user, and named when they are missing."""

import pytest

from benchmarks import peers
from benchmarks.peers import CLIENTS, Job, MissingError

PACKAGES = {
    "openssh-sftp": "openssh-client",
    "rclone-4": "rclone",
    "lftp-16": "lftp",
    "iris-engine-ssh": "openssh-client",
}


@pytest.fixture
def job(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    key = tmp_path / "key"
    return Job(tmp_path / "a", "127.0.0.1", 2022, "user", key, "ssh-ed25519 AAAA", tmp_path / "b", scratch)


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(peers.shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.mark.parametrize(("client", "package"), PACKAGES.items())
def test_a_program_that_is_missing_is_named_with_its_package(job, monkeypatch, client, package):
    monkeypatch.setattr(peers.shutil, "which", lambda _: None)
    with pytest.raises(MissingError, match=package):
        CLIENTS[client](job)


def test_a_library_that_is_missing_is_named(job, monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingError, match="missing: paramiko"):
        CLIENTS["paramiko"](job)


@pytest.mark.parametrize("client", ["openssh-sftp", "lftp-4"])
def test_ssh_reads_no_settings_and_no_known_hosts_of_its_user(job, installed, client):
    command = " ".join(CLIENTS[client](job))
    assert "-F none" in command
    assert f"UserKnownHostsFile={job.scratch / 'known_hosts'}" in command
    assert "IdentityAgent=none" in command


def test_rclone_reads_no_settings_of_its_user_and_knows_the_server(job, installed):
    command = CLIENTS["rclone-16"](job)
    assert command[command.index("--config") + 1] == ""
    assert command[command.index("--transfers") + 1] == "16"
    assert f'known_hosts_file="{job.scratch / "known_hosts"}"' in command[-1]
    assert 'disable_hashcheck="true"' in command[-1]


def test_the_known_hosts_that_are_given_name_the_port(job, installed):
    CLIENTS["lftp-4"](job)
    assert (job.scratch / "known_hosts").read_text() == "[127.0.0.1]:2022 ssh-ed25519 AAAA\n"
