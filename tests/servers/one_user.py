"""asyncssh's server with one user, and the keys and passwords it accepts."""

import asyncssh

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
ECDSA_HOST_KEY = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
RSA_HOST_KEY = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")
PASSWORD = "hünter2 with spaces, $HOME and \"quotes'"


def public(key):
    return key.export_public_key().decode()


def encrypted(key, passphrase):
    """As a file or a setting holds it, without the rounds that make guessing (and each test) slow."""
    return key.export_private_key(passphrase=passphrase, rounds=1, ignore_few_rounds=True).decode()


class OneUser(asyncssh.SSHServer):
    """Accepts one user, by password or key. With a `session`, that is what SFTP leads to."""

    password, key = PASSWORD, CLIENT_KEY

    def __init__(self, session=None):
        self.session = session

    def session_requested(self):
        return self.session() if self.session else super().session_requested()

    def connection_made(self, conn):
        self.conn = conn

    def begin_auth(self, username):
        self.conn.set_authorized_keys(asyncssh.import_authorized_keys(public(self.key)))
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("iris", self.password)
