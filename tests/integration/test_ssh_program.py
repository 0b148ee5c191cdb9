"""The whole uploader over the `ssh` program, chosen by a server's settings, against a real OpenSSH server."""

import os

import pytest

from tests.integration.uploading import (
    contents_of,
    destination_of,
    running,
    small_files,
    submit_all,
    wait_for,
    wait_until,
)
from tests.servers.openssh import OpenSshServer


@pytest.fixture
def server(tmp_path, need_program):
    need_program("ssh", hint="make system-packages")
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "own-sshd", sshd=sshd) as started:
        yield started


@pytest.fixture
def info(server, tmp_path):
    return server.info(tmp_path / "received") | {"transport": "ssh"}


@pytest.fixture
def received(tmp_path):
    return tmp_path / "received" / "line-1" / "model"


def test_small_and_large_files_arrive_whole(uploader, info, received, sources):
    files = small_files(200) | {"large.bin": os.urandom(5_000_000), "empty.csv": b""}
    wait_for(submit_all(uploader, info, files, sources).values())
    assert contents_of(received) == files


def test_a_cut_and_a_server_that_comes_back_lose_nothing(uploader, server, info, received, sources):
    files = small_files(300)
    receipts = submit_all(uploader, info, files, sources)
    wait_until(lambda: uploader.get_stats()["total_uploaded"] > 20)
    server.stop()
    wait_until(lambda: destination_of(uploader)["link"] == "down" or uploader.get_stats()["queue_size"] == 0)
    server.start()
    wait_for(receipts.values())
    assert contents_of(received) == files


def test_the_host_key_stands_in_the_ledgers_proof_as_over_the_other_transport(tmp_path, info, sources):
    with running(tmp_path / "outbox") as uploader:
        over_ssh = submit_all(uploader, info, {"a.csv": b"1"}, sources)["a.csv"].wait_delivered(20.0)
        other = submit_all(uploader, info | {"transport": "asyncssh"}, {"b.csv": b"2"}, sources)["b.csv"]
        assert over_ssh.host_key == other.wait_delivered(20.0).host_key


def test_no_ssh_process_outlives_the_uploader(tmp_path, server, info, sources):
    with running(tmp_path / "outbox") as uploader:
        wait_for(submit_all(uploader, info, small_files(3), sources).values())
        assert server.session_pids()
    wait_until(lambda: not server.session_pids())
