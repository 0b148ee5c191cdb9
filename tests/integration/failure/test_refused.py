"""A server that refuses us, or one file: no file is lost, no login is repeated, and the reason is reported.

Refused permission is shown with a real server that is read-only (OpenSSH's `-R`), because file modes do not
restrict root, who may run these tests.
"""

import socket
import time

import asyncssh
import pytest

from iris_communication.errors import RemoteRefused
from tests.integration.failure.seen import held, is_down, received_in
from tests.integration.uploading import (
    LONG_S,
    balanced,
    contents_of,
    destination_of,
    running,
    small_files,
    submit,
    submit_all,
    wait_for,
    wait_until,
)
from tests.servers.asyncssh_server import AsyncSshServer
from tests.servers.openssh import SFTP_SERVERS, OpenSshServer


@pytest.fixture
def locked_out(server, uploader, sources):
    """Twenty files for a server that refuses our password: that is reported, and no login is tried again."""
    info = server.info("/in", by="password") | {"password": "wrong"}
    receipts = submit_all(uploader, info, small_files(20), sources)
    wait_until(lambda: held(uploader))
    return receipts.values()


def test_a_wrong_password_is_reported_and_the_server_is_not_asked_again_and_again(uploader, locked_out, server):
    destination = destination_of(uploader)
    assert f"{server.username}@{server.host}:{server.port} refused the credentials" in destination["reason"]
    assert "pass the server again" in destination["hint"]
    time.sleep(1.0)  # several times as long as the longest pause between attempts
    assert server.connections_made == 1
    assert uploader.get_stats()["queue_size"] == 20


def test_a_wrong_password_is_corrected_by_configuring_the_server(uploader, locked_out, server):
    uploader.configure_server("plant", server.info("/in", by="password"))
    wait_for(locked_out)
    assert len(received_in(server)) == 20


def test_a_wrong_password_is_corrected_by_the_next_file_with_the_right_one(uploader, locked_out, server, sources):
    receipt = submit(uploader, server.info("/in", by="password"), sources / "0000.csv", folder_type="other")
    wait_for([*locked_out, receipt])
    assert len(received_in(server)) == 20


def test_a_wrong_password_in_a_full_outbox_is_corrected_by_a_file_that_is_refused(tmp_path, server, sources):
    """Or nothing would ever make room."""
    with running(tmp_path / "outbox", max_queue_size=5) as uploader:
        wrong = server.info("/in", by="password") | {"password": "wrong"}
        receipts = submit_all(uploader, wrong, small_files(5), sources)
        wait_until(lambda: held(uploader))
        right = server.info("/in", by="password")
        assert not uploader.queue_upload(right, sources / "0000.csv", "line-1", "model")
        wait_for(receipts.values())


def test_a_wrong_password_survives_a_restart_and_is_not_in_the_log(tmp_path, server, sources, caplog):
    wrong = server.info("/in", by="password") | {"password": "a wrong and secret one"}
    with running(tmp_path / "outbox") as uploader:
        (receipt,) = submit_all(uploader, wrong, {"a.csv": b"1"}, sources).values()
        wait_until(lambda: held(uploader))
    with running(tmp_path / "outbox") as uploader:
        wait_until(lambda: held(uploader))
        assert receipt.outcome is None
        assert uploader.get_stats()["queue_size"] == 1
    assert "a wrong and secret one" not in caplog.text


def test_a_changed_host_key_holds_the_server_until_a_person_accepts_it(uploader, server, sources):
    wait_for(submit_all(uploader, server.info("/in"), {"a.csv": b"1"}, sources).values())
    pinned = server.info("/in")
    server.change_host_key()
    receipts = submit_all(uploader, pinned, {"b.csv": b"2", "c.csv": b"3"}, sources)
    wait_until(lambda: held(uploader))
    destination = destination_of(uploader)
    assert "is not trusted" in destination["reason"]
    assert "is pinned" in destination["reason"]
    assert "find out why the server shows another key" in destination["hint"]
    tried = server.connections_made
    time.sleep(0.5)
    assert server.connections_made == tried
    assert received_in(server) == {"a.csv": b"1"}
    uploader.configure_server("plant", server.info("/in"))
    wait_for(receipts.values())
    assert received_in(server) == {"a.csv": b"1", "b.csv": b"2", "c.csv": b"3"}


def test_a_server_that_may_not_be_written_to_refuses_by_name_and_the_file_is_listed_as_dead(
    tmp_path, need_program, uploader, sources
):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-R"]) as readonly:
        (receipt,) = submit_all(uploader, readonly.info(tmp_path / "in"), {"a.csv": b"1"}, sources).values()
        with pytest.raises(RemoteRefused, match=r"in/line-1/model/a\.csv.*PERMISSION_DENIED") as raised:
            receipt.wait_delivered(LONG_S)
    assert "permissions on the remote folder" in raised.value.hint
    (dead,) = uploader.get_details()["dead"]
    assert (dead["id"], dead["remote_path"]) == (receipt.id, f"{tmp_path}/in/line-1/model/a.csv")
    assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 1, "queue_size": 0}


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_a_login_script_that_prints_is_quoted_and_costs_no_file_an_attempt(
    tmp_path, need_program, uploader, sources, transport
):
    sshd = need_program("sshd", hint="make system-packages")
    program = str(need_program(*SFTP_SERVERS, hint="make system-packages"))
    script = tmp_path / "login"
    script.write_text(f"#!/bin/sh\ntest -e {tmp_path}/quiet || echo Welcome to the plant!\nexec {program}\n")
    script.chmod(0o755)
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, settings=[f"ForceCommand {script}"]) as greeting:
        info = {**greeting.info(tmp_path / "in"), "transport": transport}
        receipts = submit_all(uploader, info, {"a.csv": b"1", "b.csv": b"2"}, sources)
        wait_until(lambda: is_down(uploader))
        assert "Welcome to the plant!" in destination_of(uploader)["reason"]
        (tmp_path / "quiet").touch()
        wait_for(receipts.values())
    assert contents_of(tmp_path / "in" / "line-1" / "model") == {"a.csv": b"1", "b.csv": b"2"}
    assert uploader.get_stats()["total_failed"] == 0


class OneFolderIsClosed(asyncssh.SFTPServer):
    """Refuses every write below a folder named closed."""

    closed = True

    def open(self, path, pflags, attrs):
        if self.closed and b"/closed/" in path:
            raise asyncssh.SFTPPermissionDenied("not here")
        return super().open(path, pflags, attrs)


def test_a_folder_without_permission_harms_no_other_and_can_be_tried_again(tmp_path, uploader, sources, monkeypatch):
    (sources / "a.csv").write_bytes(b"1")
    with AsyncSshServer(tmp_path / "server", sftp_server=OneFolderIsClosed) as server:
        dead = [submit(uploader, server.info("/in"), sources / "a.csv", project="closed") for _ in range(5)]
        fine = [submit(uploader, server.info("/in"), sources / "a.csv", project=f"line-{n}") for n in range(20)]
        wait_for(fine)
        for receipt in dead:
            with pytest.raises(RemoteRefused):
                receipt.wait_delivered(LONG_S)
        assert balanced(uploader)
        monkeypatch.setattr(OneFolderIsClosed, "closed", False)
        assert uploader.retry_dead() == 5
        wait_for(dead)
    assert uploader.get_stats() == {"total_queued": 25, "total_uploaded": 25, "total_failed": 0, "queue_size": 0}


def test_a_port_that_is_no_ssh_server_is_reported_and_costs_the_file_nothing(uploader, server, sources):
    with socket.create_server(("127.0.0.1", 0)) as web:
        submit_all(uploader, server.info("/in") | {"port": web.getsockname()[1]}, {"a.csv": b"1"}, sources)
        peer, _ = web.accept()
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.close()
        wait_until(lambda: is_down(uploader))
        assert uploader.get_stats() == {"total_queued": 1, "total_uploaded": 0, "total_failed": 0, "queue_size": 1}


def test_a_server_without_a_pinned_key_that_known_hosts_does_not_know_is_refused(
    uploader, server, sources, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    info = {key: value for key, value in server.info("/in").items() if key != "host_key"}
    submit_all(uploader, info, {"a.csv": b"1"}, sources)
    wait_until(lambda: is_down(uploader))
    assert "no host_key is pinned" in destination_of(uploader)["reason"]
    assert not list(server.folder.rglob("a.csv"))
