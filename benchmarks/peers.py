"""The clients that carry the files, each as a command line, so that a whole process is measured, from start to exit.

`openssh-sftp`     OpenSSH's own client, a batch file that puts the whole folder
`openssh-sftp-aes-gcm`  the same, asked for the cipher that ours prefer
`rclone-4`, `-16`  rclone copy with so many transfers; it neither lists the other side nor sets times, nor hashes
`lftp-4`, `-16`    lftp mirror -R with so many files at once, each over an `ssh` of its own
`paramiko`         paramiko's SFTP client, one put after the other, not checked afterwards
`asyncssh`         asyncssh's own SFTP client, one connection, 64 puts at once
`iris-engine`      our engine alone, over asyncssh's channel
`iris-engine-ssh`  the same over the program ssh
`iris-engine-uvloop`  the first, on uvloop in place of asyncio's own loop
`iris-engine-streams-4`  the first, one file on four connections
`iris`             our uploader as a whole
`bare-pipe`        no client: OpenSSH's sftp-server, fed through a pipe with requests prepared beforehand
`bare-pipe-session`  our protocol session on that pipe, without SSH and without a connection's care

Each gets the options that spare it needless work (a hash of each file, times, a check afterwards), and has its own
defaults in all else, the cipher too: ours prefer AES-GCM, which is quicker on machines with AES in hardware than
OpenSSH's ChaCha20, and only large files show it. None reads its user's settings or known hosts.

The clients in Python take the same options:

    --source DIR             every file directly in it is to be delivered
    --host H --port N --username U
    --private-key FILE       OpenSSH format, without a passphrase
    --host-key LINE          "ssh-ed25519 AAAA..."; a server with another key must be refused
    --remote-directory DIR   absolute, exists and is empty; files may go into folders below it, under their own name
    --scratch DIR            an empty folder on a disk, for an outbox and the like

They exit with 0 once everything is delivered under its final name and confirmed by the server, and with another
status and a text on standard error if not. Ours write what they measured of themselves to `figures.json` in --scratch.
"""

import importlib.util
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
STREAMS = 4
STREAMS_CLIENT = f"iris-engine-streams-{STREAMS}"
UVLOOP_CLIENT = "iris-engine-uvloop"


class MissingError(Exception):
    """This client is not installed; the text says what is missing."""


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
Client = Callable[[Job], Command]


def openssh_sftp(*options: str) -> Client:
    def command(job: Job) -> Command:
        batch = job.scratch / "batch"
        batch.write_text(f"put {job.source}/* {job.remote_directory}/\n")
        address = f"{job.username}@{job.host}"
        program = _program("sftp", "openssh-client")
        return [program, "-q", "-b", str(batch), *_ssh_options(job), *options, "-P", str(job.port), address]

    return command


def rclone(transfers: int) -> Client:
    def command(job: Job) -> Command:
        settings = {
            "host": job.host,
            "port": job.port,
            "user": job.username,
            "key_file": job.private_key,
            "known_hosts_file": _known_hosts(job),
            "disable_hashcheck": "true",  # else it starts a program on the server for each file
            "shell_type": "none",
            "set_modtime": "false",
        }
        remote = ",".join([":sftp", *(f'{name}="{value}"' for name, value in settings.items())])
        return [
            *(_program("rclone", "rclone"), "copy", "--config", "", "--no-check-dest"),
            *("--transfers", str(transfers), "--retries", "1"),
            *(str(job.source), f"{remote}:{job.remote_directory}"),
        ]

    return command


def lftp(parallel: int) -> Client:
    def command(job: Job) -> Command:
        program = _program("lftp", "lftp")
        ssh = shlex.join([_program("ssh", "openssh-client"), "-a", "-x", *_ssh_options(job)])
        commands = [
            f'set sftp:connect-program "{ssh}"',
            "set cmd:fail-exit true",
            "set net:max-retries 1",
            f"mirror --reverse --no-perms --parallel={parallel} {job.source} {job.remote_directory}",
            "bye",
        ]
        # The password is never asked for; without one lftp waits for somebody to type it.
        address = f"sftp://{job.username}:none@{job.host}:{job.port}"
        environment = [_program("env", "coreutils"), f"LFTP_HOME={job.scratch}"]
        return [*environment, program, "--norc", "-e", "; ".join(commands), address]

    return command


def python_client(module: str, library: str) -> Client:
    def command(job: Job) -> Command:
        if importlib.util.find_spec(library) is None:
            raise MissingError(f"missing: {library} (make setup)")
        return [sys.executable, "-m", f"benchmarks.{module}", *options_of(job)]

    return command


def ours(part: str, *, program: bool = False, settings: str = "", uvloop: bool = False) -> Client:
    """`program`: over the program ssh; `settings`: more keys of sftp_server_info, as JSON."""

    def command(job: Job) -> Command:
        if uvloop and importlib.util.find_spec("uvloop") is None:
            raise MissingError("missing: uvloop (a Python package)")
        transport = []
        if program:
            if importlib.util.find_spec("iris_communication.transport.openssh.process") is None:
                raise MissingError("missing: iris_communication.transport.openssh.process")
            _program("ssh", "openssh-client")
            transport = ["--transport", "ssh"]
        more = ["--settings", settings] if settings else []
        loop = ["--uvloop"] if uvloop else []
        return [sys.executable, "-m", "benchmarks.ours", part, *options_of(job), *transport, *more, *loop]

    return command


def bare_pipe(how: str) -> Client:
    def command(job: Job) -> Command:
        return [sys.executable, "-m", "benchmarks.bare_pipe", how, *options_of(job)]

    return command


PEERS: dict[str, Client] = {
    "openssh-sftp": openssh_sftp(),
    "rclone-4": rclone(4),
    "rclone-16": rclone(16),
    "lftp-4": lftp(4),
    "lftp-16": lftp(16),
    "paramiko": python_client("paramiko_client", "paramiko"),
    "asyncssh": python_client("asyncssh_client", "asyncssh"),
}
OURS: dict[str, Client] = {
    "iris-engine": ours("engine"),
    "iris-engine-ssh": ours("engine", program=True),
    "iris": ours("uploader"),
}
AES_CLIENT = "openssh-sftp-aes-gcm"
CLIENTS: dict[str, Client] = {
    **PEERS,
    AES_CLIENT: openssh_sftp("-c", "aes128-gcm@openssh.com"),
    **OURS,
    UVLOOP_CLIENT: ours("engine", uvloop=True),
    STREAMS_CLIENT: ours("engine", settings=f'{{"streams": {STREAMS}}}'),
    "bare-pipe": bare_pipe("prepared"),
    "bare-pipe-session": bare_pipe("session"),
}
QUICK_PEERS = ("openssh-sftp", "asyncssh")
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


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"missing: {name} (Debian's package {package}; make system-packages)")
    return found


def _known_hosts(job: Job) -> Path:
    path = job.scratch / "known_hosts"
    path.write_text(f"[{job.host}]:{job.port} {job.host_key}\n")
    return path


def _ssh_options(job: Job) -> list[str]:
    options = {
        "IdentityFile": job.private_key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": _known_hosts(job),
        "GlobalKnownHostsFile": "none",
        "StrictHostKeyChecking": "yes",
        "LogLevel": "ERROR",
    }
    return ["-F", "none", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
