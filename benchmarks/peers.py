"""Who carries the files: each client as a command line, so that a whole process is measured, from start to exit.

`openssh-sftp`   OpenSSH's own client, a batch file that puts the whole folder
`asyncssh`       asyncssh's own SFTP client, one connection, 64 puts at once (benchmarks/asyncssh_client.py)
`iris-engine`    our engine alone:        python -m benchmarks.ours engine   [the options below]
`iris`           our uploader, as a whole: python -m benchmarks.ours uploader [the options below]

The two of ours, and asyncssh, take the same options, all of them required:

    --source DIR             every file directly in it is to be delivered
    --host H --port N --username U
    --private-key FILE       OpenSSH format, without a passphrase
    --host-key LINE          "ssh-ed25519 AAAA..."; a server with another key must be refused
    --remote-directory DIR   absolute, exists and is empty; files may go into folders below it, under their own name
    --scratch DIR            an empty folder on a disk, for an outbox and the like

They exit with 0 once everything is delivered under its final name and confirmed by the server, and with another
status and a text on standard error if not. What they print is not read.
"""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


class MissingError(Exception):
    """This client is not here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be carried where; `scratch` is the client's own, for one run."""

    source: Path
    host: str
    port: int
    username: str
    private_key: Path
    host_key: str
    remote_directory: Path
    scratch: Path


Command = list[str]


def openssh_sftp(job: Job) -> Command:
    program = shutil.which("sftp")
    if program is None:
        raise MissingError("missing: sftp (make system-packages)")
    known_hosts = job.scratch / "known_hosts"
    known_hosts.write_text(f"[{job.host}]:{job.port} {job.host_key}\n")
    batch = job.scratch / "batch"
    batch.write_text(f"put {job.source}/* {job.remote_directory}/\n")
    options = {
        "IdentityFile": job.private_key,
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
    }
    settings = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    address = f"{job.username}@{job.host}"
    return [program, "-q", "-F", "none", "-b", str(batch), *settings, "-P", str(job.port), address]


def asyncssh_client(job: Job) -> Command:
    if importlib.util.find_spec("asyncssh") is None:
        raise MissingError("missing: asyncssh")
    return [sys.executable, "-m", "benchmarks.asyncssh_client", *options_of(job)]


def ours(part: str) -> Callable[[Job], Command]:
    def command(job: Job) -> Command:
        if importlib.util.find_spec("benchmarks.ours") is None:
            raise MissingError("missing: benchmarks/ours.py")
        return [sys.executable, "-m", "benchmarks.ours", part, *options_of(job)]

    return command


CLIENTS: dict[str, Callable[[Job], Command]] = {
    "openssh-sftp": openssh_sftp,
    "asyncssh": asyncssh_client,
    "iris-engine": ours("engine"),
    "iris": ours("uploader"),
}
REFERENCE = "openssh-sftp"


def options_of(job: Job) -> list[str]:
    options = {
        "--source": job.source,
        "--host": job.host,
        "--port": job.port,
        "--username": job.username,
        "--private-key": job.private_key,
        "--host-key": job.host_key,
        "--remote-directory": job.remote_directory,
        "--scratch": job.scratch,
    }
    return [str(part) for option in options.items() for part in option]
