"""A peer: paramiko's SFTP client as most programs use it, one connection, one put after the other.

Takes the options that benchmarks/peers.py lists.
"""

import argparse
import base64
from pathlib import Path

import paramiko


def carry(paths: list[Path], options: argparse.Namespace) -> None:
    kind, key = options.host_key.split()[:2]
    client = paramiko.SSHClient()
    client.get_host_keys().add(
        f"[{options.host}]:{options.port}", kind, paramiko.Ed25519Key(data=base64.b64decode(key))
    )
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(
        options.host,
        options.port,
        options.username,
        key_filename=options.private_key,
        allow_agent=False,
        look_for_keys=False,
    )
    with client, client.open_sftp() as sftp:
        for path in paths:
            sftp.put(str(path), f"{options.remote_directory}/{path.name}", confirm=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paramiko_client")
    for name in ("source", "host", "username", "private-key", "host-key", "remote-directory", "scratch"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    carry(sorted(Path(options.source).iterdir()), options)


if __name__ == "__main__":
    main()
