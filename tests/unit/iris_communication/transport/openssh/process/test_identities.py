"""What proves who we are: our key and no other."""

import asyncio
from pathlib import Path

import asyncssh
import pytest

from iris_communication.errors import (
    AuthenticationFailed,
    CredentialsUnusable,
)
from iris_communication.settings import Secret
from iris_communication.transport.openssh import command as ssh_command
from iris_communication.transport.openssh.process import SshProgramTransport
from tests.servers.openssh import OpenSshServer
from tests.unit.iris_communication.transport.openssh.process.ssh_program import (
    CLIENT_KEY,
    HINT,
    PASSPHRASE,
    PASSWORD,
    SETTINGS,
    OneUser,
    Receiver,
    address_of,
    listening,
    public,
    server_at,
)


def test_a_key_file_that_others_may_read_is_told_in_the_words_of_ssh(ssh, tmp_path):
    path = tmp_path / "id"
    path.write_bytes(CLIENT_KEY.export_private_key())
    path.chmod(0o644)

    async def test():
        async with listening() as port:
            transport = SshProgramTransport(program=ssh, configs=[])
            with pytest.raises(CredentialsUnusable, match=r"0644 for .* are too open"):
                await transport.connect(server_at(port), Secret(private_key=str(path)), SETTINGS, Receiver())

    asyncio.run(test())


class TwoKeys:
    """A real sshd, the path of a key of ours, and an ssh_config that names another key, which that sshd knows."""

    def __init__(self, server, folder, ssh):
        self.server, self.ours, self.config = server, folder / "ours ü\\", folder / "config"
        self.ours.touch(mode=0o600)
        self.ours.write_bytes(CLIENT_KEY.export_private_key())
        self.config.touch(mode=0o600)
        self.config.write_text(f"IdentityFile {server.private_key}\nPKCS11Provider {folder}/missing.so\n")
        self.transport = SshProgramTransport(program=ssh, configs=[self.config])

    def known(self, *keys):
        (self.server.folder / "authorized_keys").write_text("".join(f"{public(key)}\n" for key in keys))

    def names(self, line):
        self.config.write_text(self.config.read_text() + line + "\n")

    def connect(self, **secret):
        async def test():
            receiver = Receiver()
            secret_ = Secret(**{"private_key": str(self.ours)} | secret)
            channel = await self.transport.connect(address_of(self.server), secret_, SETTINGS, receiver)
            channel.close()
            await receiver.end

        asyncio.run(test())


@pytest.fixture
def authority(tmp_path):
    """Whose certificates the server takes."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_public_key(tmp_path / "authority.pub")
    return key


@pytest.fixture
def two_keys(ssh, tmp_path, need_program, authority):
    settings = [f"TrustedUserCAKeys {tmp_path / 'authority.pub'}"]
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT), settings=settings) as server:
        yield TwoKeys(server, tmp_path, ssh)


def certificate(authority, key, server, path):
    authority.generate_user_certificate(key, "plant", principals=[server.username]).write_certificate(path)


@pytest.mark.parametrize("form", ["path", "text"])
def test_another_key_that_ssh_config_names_does_not_count_though_the_server_takes_it(two_keys, form):
    """ssh offers it after ours, and cannot be told not to."""
    private_key = str(two_keys.ours) if form == "path" else CLIENT_KEY.export_private_key().decode()
    with pytest.raises(AuthenticationFailed, match="another private key") as caught:
        two_keys.connect(private_key=private_key)
    assert str(two_keys.server.private_key) in str(caught.value)
    two_keys.known(asyncssh.read_private_key(two_keys.server.private_key), CLIENT_KEY)
    two_keys.connect(private_key=private_key)


def test_a_key_of_the_old_form_that_ssh_config_names_does_not_count_either(two_keys):
    """ssh does not know its public half beforehand: it is not offered, but signed with at once."""
    old = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    path = two_keys.server.private_key
    path.write_bytes(old.export_private_key("pkcs8-pem", passphrase=PASSPHRASE))
    two_keys.known(old)
    with pytest.raises(AuthenticationFailed, match="another private key"):
        two_keys.connect(passphrase=PASSPHRASE)


def test_a_certificate_beside_our_key_counts_although_ssh_config_names_another(two_keys, authority, tmp_path):
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    certificate(authority, stranger, two_keys.server, tmp_path / "stranger-cert.pub")
    certificate(authority, CLIENT_KEY, two_keys.server, f"{two_keys.ours}-cert.pub")
    two_keys.names(f"CertificateFile {tmp_path / 'stranger-cert.pub'}")
    two_keys.connect()


def test_a_certificate_for_our_key_that_ssh_config_names_counts(two_keys, authority, tmp_path):
    certificate(authority, CLIENT_KEY, two_keys.server, tmp_path / "elsewhere-cert.pub")
    two_keys.names(f"CertificateFile {tmp_path / 'elsewhere-cert.pub'}")
    two_keys.connect()


def test_no_configuration_of_the_users_is_read_without_a_home(ssh, monkeypatch):
    monkeypatch.setattr(ssh_command, "USER_CONFIG", Path("~nobody-of-that-name/.ssh/config"))

    async def test():
        async with listening() as port:
            receiver = Receiver()
            transport = SshProgramTransport(program=ssh)
            (await transport.connect(server_at(port), Secret(password=PASSWORD), SETTINGS, receiver)).close()

    asyncio.run(test())


def test_a_prompt_that_was_not_answered_is_told(ssh):
    class AsksForAToken(OneUser):
        def kbdint_auth_supported(self):
            return True

        def get_kbdint_challenge(self, username, lang, submethods):
            return "", "", "", [("One-time token: ", False)]

        def validate_kbdint_response(self, username, responses):
            return False

        def validate_password(self, username, password):
            return False

    async def test():
        async with listening(AsksForAToken) as port:
            transport = SshProgramTransport(program=ssh, configs=[])
            with pytest.raises(AuthenticationFailed, match="it asked 'One-time token:'"):
                await transport.connect(server_at(port), Secret(password=PASSWORD), SETTINGS, Receiver())

    asyncio.run(test())
