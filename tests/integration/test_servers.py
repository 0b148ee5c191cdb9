"""The servers, and the proxy with a high round-trip time, that other tests and the demo use: they do what they say.

Each is asked by asyncssh's own client, not by the project's.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import asyncssh
import pytest

from benchmarks.delay_proxy import DelayProxy
from iris_camera.demo.sftp_server import DemoServer, DemoServerError
from tests.servers.asyncssh_server import AsyncSshServer
from tests.servers.held_port import held_port
from tests.servers.openssh import SFTP_SERVERS, OpenSshServer, descendants, is_running

HINT = "make system-packages"
DATA = bytes(range(256)) * 400
SILENCE_S = 0.5  # how long the test waits before it calls a server silent
CONNECTION_GONE = (
    ConnectionError,
    asyncssh.ConnectionLost,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
)


@contextlib.asynccontextmanager
async def client(info):
    """An SFTP session of asyncssh's own client, which accepts the server's key and no other."""
    if "password" in info:
        login = {"password": info["password"], "client_keys": None}
    else:
        key = info["private_key"]  # its text, or the path of a file with it
        login = {"client_keys": [asyncssh.import_private_key(key) if key.startswith("-----") else key]}
    trusted = asyncssh.import_public_key(info["host_key"])
    connection = asyncssh.connect(
        info["host"],
        info["port"],
        username=info["username"],
        known_hosts=([trusted], [], []),
        config=None,
        **login,
    )
    async with connection as opened, opened.start_sftp_client() as sftp:
        yield sftp


async def put(info, name, data=DATA):
    async with client(info) as sftp, sftp.open(f"{info['remote_directory']}/{name}", "wb") as file:
        await file.write(data)


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture(scope="module")
def openssh(tmp_path_factory, need_program):
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=need_program("sshd", hint=HINT)) as server:
        yield server


@pytest.fixture
def demo(tmp_path):
    server = DemoServer(tmp_path / "received")
    yield server
    server.stop()


# -- OpenSSH ----------------------------------------------------------------------------------------------------------


def test_a_file_reaches_openssh(openssh, tmp_path):
    asyncio.run(put(openssh.info(tmp_path), "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == DATA


def test_openssh_can_run_the_program_sftp_server(tmp_path, need_program):
    need_program(*SFTP_SERVERS, hint=HINT)
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT), external=True) as server:

        async def programs_of_a_session():
            async with client(server.info(tmp_path)):
                return list(map(command_line, server.session_pids()))

        assert any(b"sftp-server" in program for program in asyncio.run(programs_of_a_session()))


def test_openssh_can_be_made_read_only(tmp_path, need_program):
    sshd = need_program("sshd", hint=HINT)
    with (
        OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-R"]) as server,
        pytest.raises(asyncssh.SFTPPermissionDenied),
    ):
        asyncio.run(put(server.info(tmp_path), "a.csv"))
    assert not (tmp_path / "a.csv").exists()


def test_openssh_can_be_made_to_refuse_a_request(tmp_path, need_program):
    async def rename(info):
        async with client(info) as sftp:
            await sftp.rename(f"{tmp_path}/a.csv", f"{tmp_path}/b.csv")

    sshd = need_program("sshd", hint=HINT)
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-P", "rename"]) as server:
        asyncio.run(put(server.info(tmp_path), "a.csv"))
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            asyncio.run(rename(server.info(tmp_path)))


def test_a_cut_drops_the_live_connections_to_openssh_and_new_ones_are_accepted(openssh, tmp_path):
    async def write_over_a_cut(info):
        async with client(info) as sftp, sftp.open(f"{tmp_path}/a.csv", "wb") as file:
            await file.write(DATA)
            assert openssh.session_pids()
            await asyncio.to_thread(openssh.cut)
            await asyncio.wait_for(file.write(DATA, len(DATA)), 5.0)

    with pytest.raises(CONNECTION_GONE):
        asyncio.run(write_over_a_cut(openssh.info(tmp_path)))
    asyncio.run(put(openssh.info(tmp_path), "b.csv"))
    assert (tmp_path / "b.csv").read_bytes() == DATA


def test_a_frozen_openssh_is_silent_and_goes_on_where_it_was(openssh, tmp_path):
    async def write_over_a_freeze(info):
        async with client(info) as sftp, sftp.open(f"{tmp_path}/a.csv", "wb") as file:
            openssh.freeze()
            writing = asyncio.ensure_future(file.write(DATA))
            done, _ = await asyncio.wait([writing], timeout=SILENCE_S)
            openssh.thaw()
            await asyncio.wait_for(writing, 5.0)
            return len(done)

    try:
        assert asyncio.run(write_over_a_freeze(openssh.info(tmp_path))) == 0
    finally:
        openssh.thaw()
    assert (tmp_path / "a.csv").read_bytes() == DATA


def test_a_frozen_openssh_takes_connections_and_says_nothing(openssh):
    openssh.freeze()
    try:
        with socket.create_connection((openssh.host, openssh.port), SILENCE_S) as sock:
            sock.settimeout(SILENCE_S)
            with pytest.raises(TimeoutError):
                sock.recv(1)
    finally:
        openssh.thaw()


def test_a_stopped_openssh_refuses_and_comes_back_on_its_port_with_its_key(openssh, tmp_path):
    before = (openssh.port, openssh.host_key)
    openssh.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((openssh.host, openssh.port))
    openssh.start()
    assert (openssh.port, openssh.host_key) == before
    asyncio.run(put(openssh.info(tmp_path), "a.csv"))


def test_an_openssh_that_does_not_start_says_why(tmp_path, need_program):
    server = OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT), settings=["NoSuchSetting yes"])
    with pytest.raises(RuntimeError, match="NoSuchSetting"), server:
        pass


def test_openssh_leaves_no_process_behind(tmp_path, need_program):
    server = OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint=HINT))
    with server:
        sock = socket.create_connection((server.host, server.port))
        assert sock.recv(4) == b"SSH-"
        pids = server.session_pids()
        assert pids
    sock.close()
    assert not any(map(is_running, pids))


# -- asyncssh, in this process ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["key", "password"])
def test_a_file_reaches_asyncssh_by_key_and_by_password(tmp_path, by):
    with AsyncSshServer(tmp_path) as server:
        asyncio.run(put(server.info("/", by), "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == DATA


def test_asyncssh_refuses_a_wrong_password_and_a_wrong_key(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        other_key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        wrong_key = {**server.info("/"), "private_key": other_key}
        wrong_password = {**server.info("/", "password"), "password": "guess"}
        for wrong in (wrong_key, wrong_password):
            with pytest.raises(asyncssh.PermissionDenied):
                asyncio.run(put(wrong, "a.csv"))


def test_asyncssh_can_change_its_host_key(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        before = server.info("/")
        server.change_host_key()
        assert server.info("/")["port"] == before["port"]
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            asyncio.run(put(before, "a.csv"))
        asyncio.run(put(server.info("/"), "b.csv"))


class FullDisk(asyncssh.SFTPServer):
    """Takes the file, then finds no room for its bytes."""

    def write(self, file_obj, offset, data):
        raise asyncssh.SFTPFailure("No space left on device")


def test_asyncssh_can_have_an_injected_fault(tmp_path):
    with (
        AsyncSshServer(tmp_path, sftp_server=FullDisk) as server,
        pytest.raises(asyncssh.SFTPFailure, match="No space left"),
    ):
        asyncio.run(put(server.info("/"), "a.csv"))


def test_a_cut_resets_the_live_connections_to_asyncssh_and_new_ones_are_accepted(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        sock = _connected(server)
        server.cut()
        assert _was_reset(sock)
        asyncio.run(put(server.info("/"), "a.csv"))


def test_an_outage_of_asyncssh_refuses_new_connections_until_it_recovers(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        sock = _connected(server)
        assert server.connection_count == 1
        server.outage()
        assert _was_reset(sock)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port))
        server.recover()
        asyncio.run(put(server.info("/"), "a.csv"))


def test_a_frozen_asyncssh_is_silent_until_it_thaws(tmp_path):
    with AsyncSshServer(tmp_path) as server:
        server.freeze()
        sock = socket.create_connection((server.host, server.port), SILENCE_S)
        sock.settimeout(SILENCE_S)
        with sock:
            with pytest.raises(TimeoutError):
                sock.recv(1)
            server.thaw()
            sock.settimeout(5.0)
            assert sock.recv(4) == b"SSH-"


def _connected(server):
    sock = socket.create_connection((server.host, server.port), 5.0)
    assert sock.recv(4) == b"SSH-"
    return sock


def _was_reset(sock):
    with sock:
        try:
            while sock.recv(65536):
                pass
        except ConnectionResetError:
            return True
        return False


# -- the demo's server ------------------------------------------------------------------------------------------------


def test_a_file_reaches_the_demo_server_and_only_into_its_folder(demo, tmp_path):
    access = demo.start()
    asyncio.run(put(access.server_info("/"), "a.csv"))
    asyncio.run(put(access.server_info("/../.."), "b.csv"))
    assert sorted(path.name for path in (tmp_path / "received").iterdir()) == ["a.csv", "b.csv"]


def test_the_demo_server_refuses_every_other_login(demo):
    access = demo.start()
    for wrong in ({"password": "guess"}, {"username": "root"}):
        with pytest.raises(asyncssh.PermissionDenied):
            asyncio.run(put({**access.server_info("/"), **wrong}, "a.csv"))


def test_the_demo_server_has_a_fresh_key_and_password_each_time(tmp_path):
    seen = set()
    for _ in range(2):
        with DemoServer(tmp_path) as server:
            access = server.start()
            seen |= {access.host_key, access.password}
    assert len(seen) == 4


def test_the_password_of_the_demo_server_stands_in_no_command_line_environment_or_text(demo):
    access = demo.start()
    (pid,) = [pid for pid in descendants(os.getpid()) if b"demo.sftp_server" in command_line(pid)]
    visible = command_line(pid) + Path(f"/proc/{pid}/environ").read_bytes()
    assert access.password.encode() not in visible
    assert access.password not in repr(access)


def test_an_outage_of_the_demo_server_resets_refuses_and_recovers_without_noise(demo, tmp_path, capfd):
    access = demo.start()

    async def write_without_end(info):
        async with client(info) as sftp, sftp.open("/a.csv", "wb") as file:
            outage = asyncio.create_task(asyncio.to_thread(demo.outage))
            while not outage.done():
                await asyncio.wait_for(file.write(DATA, 0), 5.0)
            await asyncio.wait_for(file.write(DATA, 0), 5.0)

    with pytest.raises(CONNECTION_GONE):
        asyncio.run(write_without_end(access.server_info("/")))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((access.host, access.port))
    demo.outage()  # twice is once
    demo.recover()
    demo.recover()
    asyncio.run(put(access.server_info("/"), "b.csv"))
    assert (tmp_path / "received" / "b.csv").read_bytes() == DATA
    demo.stop()
    assert capfd.readouterr() == ("", "")


def test_a_connection_that_never_logged_in_is_reset_by_an_outage_too(demo):
    sock = _connected(demo.start())
    demo.outage()
    assert _was_reset(sock)


def test_the_demo_server_ends_with_its_parent_however_that_ends(tmp_path):
    program = (
        "import os, pathlib, signal, sys\n"
        "from iris_camera.demo.sftp_server import DemoServer\n"
        "server = DemoServer(pathlib.Path(sys.argv[1]))\n"
        "print(server.start().port, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        env=environment,
        capture_output=True,
        timeout=170,
        check=False,
    )
    assert parent.returncode == -signal.SIGKILL
    assert _refuses(int(parent.stdout), within_s=5.0)
    assert parent.stderr == b""


def test_ctrl_c_in_the_terminal_does_not_reach_the_demo_server(demo):
    access = demo.start()
    (pid,) = [pid for pid in descendants(os.getpid()) if b"demo.sftp_server" in command_line(pid)]
    assert os.getsid(pid) != os.getsid(0)
    asyncio.run(put(access.server_info("/"), "a.csv"))


def test_a_stopped_demo_server_says_so_when_it_is_asked(demo):
    demo.start()
    demo.stop()
    demo.stop()
    with pytest.raises(DemoServerError, match="not running"):
        demo.outage()


def _refuses(port, within_s):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        time.sleep(0.02)
    return False


# -- the proxy with a high round-trip time ----------------------------------------------------------------------------


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), 5.0)


class Echo:
    """Sends back what it gets, and the end after the end."""

    def __enter__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.accepted: list[socket.socket] = []
        self._resets = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self):
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.accepted.append(sock)
            with contextlib.suppress(OSError):
                while data := sock.recv(1 << 20):
                    sock.sendall(data)
                if self._resets.is_set():
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()
                else:
                    sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Reset the latest connection, by the thread that reads it: another thread would first see an orderly end."""
        self._resets.set()
        self.accepted[-1].shutdown(socket.SHUT_RD)

    def __exit__(self, *_error):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self.accepted:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5.0)
        for sock in self.accepted:
            sock.close()


def test_every_byte_is_delayed_in_both_directions():
    trips_s = [1.0]
    with Echo() as echo, DelayProxy(echo.port, one_way_ms=30) as proxy, connect(proxy) as sock:
        while min(trips_s) >= 0.075:  # a busy machine may hold up some of them, not all
            assert len(trips_s) < 100
            started_s = time.monotonic()
            sock.sendall(b"there and back")
            assert sock.recv(100) == b"there and back"
            trips_s.append(time.monotonic() - started_s)
    assert min(trips_s) >= 0.060


def test_a_high_round_trip_time_does_not_limit_the_bandwidth():
    sent, received = os.urandom(8_000_000), bytearray()

    def receive(sock):
        while data := sock.recv(1 << 20):
            received.extend(data)

    with Echo() as echo, DelayProxy(echo.port, one_way_ms=20) as proxy, connect(proxy) as sock:
        receiving = threading.Thread(target=receive, args=[sock])
        receiving.start()
        started_s = time.monotonic()
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        receiving.join(10.0)
        seconds = time.monotonic() - started_s
    assert received == sent  # in order, to the end, which travelled too
    assert len(sent) / seconds > 4e6, "64 KB a round trip would be 1.6 MB/s"


def test_a_reset_travels_through_the_proxy():
    with Echo() as echo, DelayProxy(echo.port, one_way_ms=5) as proxy:
        sock = connect(proxy)
        sock.sendall(b"hello")
        assert sock.recv(5) == b"hello"
        echo.reset()
        assert _was_reset(sock)


def test_a_server_that_refuses_is_a_reset_behind_the_proxy():
    with (
        held_port() as port,
        DelayProxy(port, one_way_ms=1) as proxy,
        pytest.raises(ConnectionResetError),  # perhaps before connect() has returned
        connect(proxy) as sock,
    ):
        sock.recv(1)


def test_a_file_reaches_openssh_over_a_high_round_trip_time(openssh, tmp_path):
    with DelayProxy(openssh.port, one_way_ms=5) as proxy:
        asyncio.run(put({**openssh.info(tmp_path), "port": proxy.port}, "a.csv"))
    assert (tmp_path / "a.csv").read_bytes() == DATA
