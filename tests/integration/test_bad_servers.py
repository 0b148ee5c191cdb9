"""Servers that refuse, fall silent, are full or are somebody else: each gives an error that names it and says what to
do, costs no file an attempt where the file is not to blame, and loses nothing."""

import asyncio
import socket
import time

import asyncssh
import pytest

from iris_communication.errors import RemoteRefused
from tests.integration.conftest import until
from tests.servers.asyncssh_server import AsyncSshServer


class FullDisk(asyncssh.SFTPServer):
    """Has no room for a single byte until `room` is set."""

    room = False

    def write(self, file_obj, offset, data):
        if not FullDisk.room:
            raise asyncssh.SFTPFailure("No space left on device")
        return super().write(file_obj, offset, data)


class NoPermission(asyncssh.SFTPServer):
    """Lets nobody write into its folders."""

    def open(self, path, pflags, attrs):
        raise asyncssh.SFTPPermissionDenied("Permission denied")


class SilentAfterOpen(asyncssh.SFTPServer):
    """Opens files and then never answers a WRITE, until `speaking` is set."""

    speaking = False

    async def write(self, file_obj, offset, data):
        while not SilentAfterOpen.speaking:  # noqa: ASYNC110 - set from the test's thread
            await asyncio.sleep(0.01)
        return super().write(file_obj, offset, data)


@pytest.fixture
def server(tmp_path):
    with AsyncSshServer(tmp_path / "received") as running:
        yield running


def test_a_port_that_refuses_is_named_and_the_file_goes_when_it_listens(server, sender_to):
    server.outage()
    sender = sender_to(server.info("/"))
    receipt = sender.submit()
    link = sender.until_down()
    assert f"127.0.0.1:{server.port} refuses connections" in link["reason"]
    assert "check host and port" in link["hint"]
    server.recover()
    receipt.wait_delivered(20.0)
    assert sender.link["link"] == "up"
    assert sender.stats["total_failed"] == 0


def test_a_host_that_cannot_be_resolved_is_named(server, sender_to):
    sender = sender_to(server.info("/") | {"host": "no-such-host.invalid"})
    sender.submit()
    assert "no-such-host.invalid" in sender.until_down()["reason"]
    assert sender.stats["queue_size"] == 1


def test_a_port_that_accepts_and_says_nothing_is_given_up_in_time(sender_to, server):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sender = sender_to(server.info("/") | {"port": mute.getsockname()[1]})
        sender.submit()
        link = sender.until_down()
        assert "did not finish connecting within 3 s" in link["reason"]
        began_s = time.monotonic()
        sender.uploader.stop(30.0)
        assert time.monotonic() - began_s < 5.0
        assert sender.stats["queue_size"] == 1


def test_a_port_that_is_no_ssh_server_is_told(sender_to, server):
    with socket.create_server(("127.0.0.1", 0)) as web:
        sender = sender_to(server.info("/") | {"port": web.getsockname()[1]})
        sender.submit()
        peer, _ = web.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.close()
        assert sender.until_down()["reason"]
        assert sender.stats == {"total_queued": 1, "total_uploaded": 0, "total_failed": 0, "queue_size": 1}


def test_a_server_that_falls_silent_in_the_middle_is_given_up_and_the_file_sent_again(tmp_path, sender_to):
    SilentAfterOpen.speaking = False
    with AsyncSshServer(tmp_path / "received", sftp_server=SilentAfterOpen) as silent:
        sender = sender_to(silent.info("/"))
        receipt = sender.submit()
        assert "has not answered for 3 s" in sender.until_down()["reason"]
        SilentAfterOpen.speaking = True
        receipt.wait_delivered(20.0)
        assert sender.stats["total_failed"] == 0


def test_a_wrong_password_is_tried_once_and_mended_by_the_right_one(server, sender_to):
    sender = sender_to(server.info("/", by="password"))
    receipt = sender.submit(password="wrong-word")
    link = sender.until_down()
    assert "refused our credentials" in link["reason"]
    assert "correct the user name, password or key" in link["hint"]
    assert link["retry_in_s"] is None, "it is not tried again by itself"
    assert "wrong-word" not in str(sender.uploader.get_details())
    assert receipt.outcome is None

    sender.submit("b.csv")  # with the right password: the latest word wins
    receipt.wait_delivered(20.0)
    assert sender.until_drained()["total_uploaded"] == 2


def test_a_changed_host_key_is_refused_said_plainly_and_sent_nothing(server, sender_to):
    sender = sender_to(server.info("/"))
    sender.submit("a.csv").wait_delivered(20.0)
    server.change_host_key()
    sender.submit("b.csv")
    link = sender.until_down()
    assert "host key" in link["reason"]
    assert "is pinned" in link["reason"]
    assert "find out why" in link["hint"]
    assert not list(server.folder.rglob("b.csv"))

    sender.uploader.configure_server("line", server.info("/"))
    assert sender.until_drained()["total_uploaded"] == 2


def test_without_a_pinned_key_an_unknown_server_is_refused(server, sender_to, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    info = server.info("/")
    del info["host_key"]
    sender = sender_to(info)
    sender.submit()
    assert "no host_key is pinned" in sender.until_down()["reason"]
    assert sender.stats["queue_size"] == 1


def test_a_folder_without_permission_costs_the_file_its_attempts_and_no_other_server_notices(
    tmp_path, sender_to, server
):
    with AsyncSshServer(tmp_path / "closed", sftp_server=NoPermission) as closed:
        sender = sender_to(closed.info("/"))
        receipt = sender.submit("a.csv")
        with pytest.raises(RemoteRefused, match="PERMISSION_DENIED") as raised:
            receipt.wait_delivered(20.0)
        assert "/p/model/a.csv" in str(raised.value)
        assert "permissions" in raised.value.hint
        sender.submit("b.csv", **server.info("/")).wait_delivered(20.0)
        assert sender.until_drained() == {"total_queued": 2, "total_uploaded": 1, "total_failed": 1, "queue_size": 0}


def test_a_full_disk_on_the_server_costs_no_file_an_attempt_and_delivery_goes_on_when_there_is_room(
    tmp_path, sender_to
):
    FullDisk.room = False
    with AsyncSshServer(tmp_path / "received", sftp_server=FullDisk) as full:
        sender = sender_to(full.info("/"))
        receipts = [sender.submit(f"{number}.csv") for number in range(5)]
        link = sender.until_down()
        assert "No space left on device" in link["reason"]
        assert "free space" in link["hint"]
        until(lambda: sender.link["link"] == "down" and sender.stats["queue_size"] == 5)
        assert not [path for path in full.folder.rglob("*.csv") if not path.name.startswith(".")]
        FullDisk.room = True
        for receipt in receipts:
            receipt.wait_delivered(20.0)
        assert sender.stats["total_failed"] == 0
