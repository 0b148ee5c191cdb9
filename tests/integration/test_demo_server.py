"""The server of the demo: one user, no secret in sight, outages on request, and an end with its parent."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncssh
import pytest

from iris_camera.demo.sftp_server import DemoServer, DemoServerError
from tests.integration.asyncssh_client import CONNECTION_GONE, DATA, client, put
from tests.integration.sockets import greeted, refuses, was_reset
from tests.servers.openssh import descendants


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture
def demo(tmp_path):
    server = DemoServer(tmp_path / "received")
    yield server
    server.stop()


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
    sock = greeted(demo.start())
    demo.outage()
    assert was_reset(sock)


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
    assert refuses(int(parent.stdout), within_s=5.0)
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
