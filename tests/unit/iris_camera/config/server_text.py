"""A server of the settings file without a mistake or caution, or with other keys than that."""

import asyncssh

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


def server(**facts):
    keys = {"host": "sftp.example", "username": "iris", "host_key": HOST_KEY, "password": "hunter22"} | facts
    return "[servers.plant]\n" + "".join(f'{key} = "{value}"\n' for key, value in keys.items() if value is not None)
