"""A real OpenSSH server for a test: Debian's sshd in the foreground, on a free loopback port, for the user who runs it.

It needs no privilege and no other OpenSSH program: keys are made here, and a sshd that is not root accepts its own
user. A socket that is bound and never listens holds the port from beginning to end, so that the server can be
stopped and started again on the same port, and the port refuses connections in between.

    with OpenSshServer(tmp_path / "sshd") as server:
        uploader.queue_upload(sftp_server_info=server.info(tmp_path / "received"), ...)
"""

import functools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import asyncssh

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
RUN_FOLDER = Path("/run/sshd")
SFTP_SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
)


class OpenSshServer:
    """One sshd with its files in `folder`.

    `sshd` is its absolute path (searched for if not given; FileNotFoundError if there is none). `external` runs the
    program sftp-server for each session in place of sshd's built-in one. `subsystem_arguments` are sftp-server's:
    ("-R",) makes it read-only, ("-P", "posix-rename,rename") refuses these requests. `settings` are further lines of
    sshd_config.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sshd: Path | None = None,
        external: bool = False,
        subsystem_arguments: Sequence[str] = (),
        settings: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.host = HOST
        self.username = pwd.getpwuid(os.geteuid()).pw_name
        self.private_key = folder / "client_key"
        self._sshd = sshd or _find_sshd()
        self._log = folder / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._port_holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._port_holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port_holder.bind((HOST, 0))
        self.port: int = self._port_holder.getsockname()[1]
        self.host_key = _make_key(folder / "host_key")
        (folder / "authorized_keys").write_text(_make_key(self.private_key) + "\n")
        program = find_sftp_server() if external else "internal-sftp"
        self._write_config(" ".join([program, *subsystem_arguments]), settings)

    def start(self) -> None:
        """Start sshd, and return when it listens. Raises RuntimeError with its output if it does not."""
        make_run_folder()
        said_before = len(self.log())
        with self._log.open("ab") as log:
            command = [str(self._sshd), "-D", "-e", "-f", str(self.folder / "sshd_config")]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while "Server listening on" not in self.log()[said_before:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.log()[said_before:]
                self.stop()
                raise RuntimeError(f"{self._sshd} did not start: {said.strip() or 'it said nothing'}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End sshd and its sessions at once. The port stays ours, and refuses connections."""
        process, self._process = self._process, None
        if process is None:
            return
        sessions = descendants(process.pid)
        _signal([process.pid, *sessions], signal.SIGKILL)
        process.wait()
        _wait_until_ended(sessions)

    def restart(self) -> None:
        """Stop, then start on the same port with the same host key."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop, and give the port back."""
        self.stop()
        self._port_holder.close()

    def cut(self) -> None:
        """Kill the sessions, so that live connections drop; new ones are accepted."""
        sessions = self.session_pids()
        _signal(sessions, signal.SIGKILL)
        _wait_until_ended(sessions)

    def freeze(self) -> None:
        """Fall silent: connections stay, the system even accepts new ones, but the server does not answer."""
        process = self._running()
        _signal([process.pid], signal.SIGSTOP)
        stopped: set[int] = set()
        while new := set(descendants(process.pid)) - stopped:
            _signal(new, signal.SIGSTOP)
            stopped |= new

    def thaw(self) -> None:
        """Answer again, beginning with what came in meanwhile."""
        process = self._running()
        _signal([*descendants(process.pid), process.pid], signal.SIGCONT)

    def session_pids(self) -> list[int]:
        """The processes that serve connections."""
        return descendants(self._running().pid)

    def log(self) -> str:
        """The output of sshd since the first start."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def info(self, remote_directory: Path | str) -> dict[str, object]:
        """The same server as the uploader's `sftp_server_info`."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "private_key": str(self.private_key),
            "host_key": self.host_key,
            "remote_directory": str(remote_directory),
        }

    def __enter__(self) -> "OpenSshServer":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the OpenSSH server is not running")
        return self._process

    def _write_config(self, subsystem: str, settings: Sequence[str]) -> None:
        lines = [
            f"ListenAddress {self.host}:{self.port}",
            f"HostKey {self.folder / 'host_key'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            f"Subsystem sftp {subsystem}",
            "AuthenticationMethods publickey",
            "PermitRootLogin prohibit-password",
            "StrictModes no",  # the folders above a test's own may belong to any user
            "PidFile none",
            "UseDNS no",
            "AllowTcpForwarding no",
            "X11Forwarding no",
            "MaxSessions 64",
            "MaxStartups 200",
            *settings,
        ]
        if _version(self._sshd) >= (9, 8):
            lines.append("PerSourcePenalties no")  # tests fail to log in on purpose, all from one address
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")


def make_run_folder() -> None:
    """Where root's sshd confines what serves clients before login; Debian's service makes it at boot. It stays: another
    test's sshd may use it by now."""
    if os.geteuid() == 0:
        RUN_FOLDER.mkdir(mode=0o755, exist_ok=True)


@functools.cache
def why_not(sshd: Path) -> str:
    """Why it cannot run on this machine, "" if it can: half installed, without its user, without its folder."""
    with tempfile.TemporaryDirectory() as folder:
        key, config = Path(folder) / "key", Path(folder) / "config"
        _make_key(key)
        config.write_text(f"HostKey {key}\n")
        try:
            make_run_folder()
            said = subprocess.run(
                [sshd, "-t", "-f", config], capture_output=True, text=True, errors="replace", timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
    return "" if said.returncode == 0 else said.stderr.strip() or f"it ends with {said.returncode}"


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, look_at = [], [pid]
    while look_at:
        below = children.get(look_at.pop(), [])
        found += below
        look_at += below
    return found


def _stat(pid: int) -> list[str]:
    """State, parent and what follows the name in /proc/PID/stat; [] for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_running(pid: int) -> bool:
    """False for a process that is gone, or dead and only not yet collected by its parent."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _wait_until_ended(pids: Iterable[int], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    for pid in pids:
        while is_running(pid):
            if time.monotonic() > deadline:
                raise RuntimeError(f"process {pid} does not end")
            time.sleep(0.005)


def _find_sshd() -> Path:
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    found = shutil.which("sshd", path=places)
    if found is None:
        raise FileNotFoundError("sshd is not installed: make system-packages")
    return Path(found)


def find_sftp_server() -> str:
    for place in SFTP_SERVERS:
        if os.access(place, os.X_OK):
            return place
    raise FileNotFoundError("sftp-server is not installed: make system-packages")


def _version(sshd: Path) -> tuple[int, int]:
    said = subprocess.run([sshd, "-V"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said.stderr + said.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _make_key(path: Path) -> str:
    """Write a new private key, readable by its owner alone; returns the line of its public key."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key())
    return key.export_public_key().decode().strip()
