"""How ssh is called: what is ours to say, what the user's, and what is in nobody's sight."""

import shutil
import subprocess

import pytest

from iris_communication.errors import (
    SshProgramUnusable,
)
from iris_communication.settings import DeliverySettings, Secret, Server
from iris_communication.transport.contract import KEEPALIVES_LOST
from iris_communication.transport.openssh import command as ssh_command

HINT = "make system-packages"
PASSWORD = "correct horse"
SETTINGS = DeliverySettings(progress_timeout_s=30.0)


def command(private_key=None, password=False, certificate=None, **server):
    return ssh_command.command(
        "/usr/bin/ssh",
        Server(**{"host": "plant", "username": "iris"} | server),
        algorithms=["ssh-rsa-sha224@ssh.com", "ssh-ed25519", "rsa-sha2-512"],
        judge=["/opt/my python/bin/python", "ask"],
        config="/x/config",
        identity=ssh_command.Identity(private_key, certificate) if private_key else None,
        password=password,
        settings=SETTINGS,
    )


def test_a_host_or_user_that_looks_like_an_option_is_none():
    asked = command(host="-oProxyCommand=x", username="-v")
    assert asked[-3:] == ["--", "-oProxyCommand=x", "sftp"]
    assert asked[asked.index("-v") - 1] == "-l"


def test_no_kind_of_host_key_is_asked_for_that_ssh_does_not_know():
    assert "HostKeyAlgorithms=ssh-ed25519,rsa-sha2-512" in command()


def test_the_given_secrets_are_those_that_are_tried():
    assert "PreferredAuthentications=publickey" in command("/x/id")
    assert "PreferredAuthentications=keyboard-interactive,password" in command(password=True)
    assert "PreferredAuthentications=publickey,keyboard-interactive,password" in command("/x/id", password=True)
    assert "IdentitiesOnly=yes" in command("/x/id")
    assert "BatchMode=yes" not in command("/x/id")


@pytest.mark.parametrize("secret", [{"private_key": "/x/id"}, {"password": True}], ids=["key", "password"])
def test_neither_a_token_nor_an_agent_is_asked_beside_a_secret(secret):
    assert {"PKCS11Provider=none", "IdentityAgent=none"} <= set(command(**secret))
    assert not {"PKCS11Provider=none", "IdentityAgent=none"} & set(command())


def test_a_certificate_beside_the_key_is_named_where_there_is_one():
    """ssh looks for it by itself only where ssh_config names none."""
    assert not any(word.startswith("CertificateFile") for word in command("/x/my id"))
    assert 'CertificateFile="/x/my id-cert.pub"' in command("/x/my id", certificate="/x/my id-cert.pub")


def test_a_link_that_fell_silent_is_noticed_as_soon_as_with_the_other_transport():
    assert {"ServerAliveInterval=10", f"ServerAliveCountMax={KEEPALIVES_LOST}"} <= set(command())


def test_ssh_without_a_secret_uses_what_the_user_has_and_asks_nobody():
    asked = command()
    assert "BatchMode=yes" in asked
    assert not any(word.startswith(("Preferred", "Identit")) for word in asked)


def test_the_users_configuration_comes_before_our_defaults(tmp_path):
    """ssh keeps the first word it reads."""
    config = tmp_path / "a config"
    config.write_text("Ciphers aes256-ctr\n")
    config.chmod(0o600)
    text = ssh_command.configuration([config, tmp_path / "missing"])
    assert text.splitlines()[0] == f'Include "{config}"'
    assert "missing" not in text
    ssh = shutil.which("ssh")
    if ssh is None:
        pytest.skip(f"needs ssh, which is not installed: {HINT}")
    whole = tmp_path / "whole"
    whole.write_text(text)
    found = subprocess.run([ssh, "-F", whole, "-G", "plant"], capture_output=True, text=True, timeout=60, check=True)
    assert "ciphers aes256-ctr" in found.stdout.splitlines()
    assert "ipqos none none" in found.stdout.splitlines()


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_configuration_that_others_may_write_is_not_read(tmp_path, mode):
    config = tmp_path / "config"
    config.touch()
    config.chmod(mode)
    with pytest.raises(SshProgramUnusable, match=str(config)):
        ssh_command.configuration([config])


def test_the_environment_is_the_users_without_what_could_be_a_secret():
    inherited = {"HOME": "/x", "LC_ALL": "de_DE", "IRIS_SERVER": "a", "PLANT": PASSWORD, "SSH_ASKPASS": "/else"}
    assert ssh_command.environment(inherited, Secret(password=PASSWORD), "/proc/1/fd/3") == {
        "HOME": "/x",
        "LC_ALL": "C",
        "SSH_ASKPASS": "/proc/1/fd/3",
        "SSH_ASKPASS_REQUIRE": "force",
    }
    assert ssh_command.environment({}, Secret(), None)["SSH_ASKPASS_REQUIRE"] == "never"
