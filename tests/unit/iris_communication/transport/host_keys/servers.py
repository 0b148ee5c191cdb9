"""A server as settings have it, and a key as a line of known_hosts."""

import asyncssh

from iris_communication.settings import Server

ED25519 = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()


OTHER_ED25519 = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()


ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp256").convert_to_public()


def line(key):
    return key.export_public_key().decode().strip()


def server(host="sftp.example", port=22, host_key="", policy="strict"):
    return Server(host=host, username="iris", port=port, host_key=host_key, host_key_policy=policy)
