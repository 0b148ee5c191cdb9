"""Files of every kind, to real servers: each arrives whole, under its name, once."""

import os

import pytest

from iris_communication.item import Delivered
from tests.servers.asyncssh_server import AsyncSshServer
from tests.servers.openssh import OpenSshServer

AWKWARD = [
    "with space.csv",
    "line\nbreak.csv",
    "quotes'\"`$(x).csv",
    "grün-部品-🙂.csv",
    "-rf.csv",
    "x" * 251 + ".csv",
    os.fsdecode(b"no-utf8-\xff\xfe.csv"),
]


@pytest.fixture(params=["openssh", "asyncssh"])
def server(request, tmp_path, need_program):
    """(server, the folder on this machine it receives into, the same folder as the server names it)"""
    received = tmp_path / "received"
    received.mkdir()
    if request.param == "openssh":
        sshd = need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
        with OpenSshServer(tmp_path / "sshd", sshd=sshd) as running:
            yield running, received, received
    else:
        with AsyncSshServer(received) as running:
            yield running, received, "/"


@pytest.fixture
def sender(server, sender_to):
    running, _, remote = server
    return sender_to(running.info(remote))


@pytest.fixture
def arrived(server):
    return lambda name: (server[1] / "p" / "model" / name).read_bytes()


def visible(server):
    return {path.name for path in server[1].rglob("*") if path.is_file()}


def test_hundreds_of_small_files_arrive_with_their_content_and_leave_no_temp_file(server, sender, arrived):
    contents = {f"{number:03d}.csv": os.urandom(1 + number * 40) for number in range(300)}
    for name, content in contents.items():
        sender.submit(name, content)
    assert sender.until_drained()["total_uploaded"] == 300
    assert visible(server) == set(contents)
    assert all(arrived(name) == content for name, content in contents.items())


@pytest.mark.parametrize("size_bytes", [0, 1, 32_768, 32_769, 261_120, 5_000_001])
def test_a_file_of_any_size_arrives_whole(sender, arrived, size_bytes):
    content = os.urandom(size_bytes)
    delivered = sender.submit("a.bin", content).wait_delivered(20.0)
    assert delivered.size_bytes == size_bytes
    assert arrived("a.bin") == content


@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_name_arrives_as_it_is(server, sender, arrived, name):
    sender.submit(name, b"content").wait_delivered(20.0)
    assert arrived(name) == b"content"


def test_missing_folders_on_the_server_are_made(server, sender_to):
    running, received, remote = server
    sender = sender_to(running.info(f"{remote}/a/b/c".replace("//", "/")))
    sender.submit("x.csv", b"content").wait_delivered(20.0)
    assert (received / "a/b/c/p/model/x.csv").read_bytes() == b"content"


def test_a_final_name_that_holds_other_content_is_kept_and_the_file_takes_another_name(server, sender, arrived):
    sender.submit("a.csv", b"first").wait_delivered(20.0)
    delivered = sender.submit("a.csv", b"second").wait_delivered(20.0)
    assert arrived("a.csv") == b"first"
    name = delivered.final_path.rpartition("/")[2]
    assert name.startswith("a.")
    assert name.endswith(".csv")
    assert arrived(name) == b"second"
    assert visible(server) == {"a.csv", name}


def test_a_final_name_that_holds_the_same_bytes_is_the_delivery(server, sender):
    first = sender.submit("a.csv", b"same").wait_delivered(20.0)
    second = sender.submit("a.csv", b"same").wait_delivered(20.0)
    assert second.final_path == first.final_path
    assert visible(server) == {"a.csv"}


def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(server, sender, arrived):
    running = server[0]
    contents = {f"{number:03d}.csv": os.urandom(20_000) for number in range(200)}
    receipts = [sender.submit(name, content) for name, content in contents.items()]
    for receipt in receipts[20::60]:
        receipt._done.wait(20.0)
        running.cut()
    assert sender.until_drained()["total_uploaded"] == 200
    assert all(isinstance(receipt.outcome, Delivered) for receipt in receipts)
    final = {name for name in visible(server) if not name.startswith(".iris-")}
    assert final == set(contents)
    assert all(arrived(name) == content for name, content in contents.items())
