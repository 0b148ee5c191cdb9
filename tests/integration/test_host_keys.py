"""An unknown server, with a real OpenSSH: refused, accepted once, or trusted with a warning, as was chosen."""

import contextlib
import logging

import asyncssh
import pytest

from iris_communication.errors import HostKeyRejected
from iris_communication.outbox.orders import ResumeServer
from iris_communication.sftp_processor import SftpProcessor
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from tests.integration.uploading import IN_A_HURRY, contents_of, destination_of, submit_all, wait_for, wait_until
from tests.servers.openssh import OpenSshServer


@pytest.fixture
def openssh(tmp_path, need_program, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # whose known_hosts does not exist
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint="make system-packages")) as server:
        yield server


@pytest.fixture
def accepted(tmp_path):
    """Beside what the uploader owes: a service may have no home to write to."""
    return tmp_path / "outbox" / "known_hosts"


@contextlib.contextmanager
def running(outbox):
    uploader = SftpUploaderThread(outbox, settings=IN_A_HURRY)
    uploader.start()
    try:
        yield uploader
    finally:
        uploader.close(1.0)


@pytest.fixture
def uploader(tmp_path):
    with running(tmp_path / "outbox") as opened:
        yield opened


def unpinned(server, folder, policy):
    info = {key: value for key, value in server.info(folder).items() if key != "host_key"}
    return info | {"host_key_policy": policy}


def change_host_key(server):
    key = asyncssh.generate_private_key("ssh-ed25519")
    (server.folder / "host_key").write_bytes(key.export_private_key())
    server.restart()
    return key.get_fingerprint()


def test_accept_new_delivers_to_an_unknown_server_and_refuses_it_with_another_key(
    openssh, uploader, accepted, sources, tmp_path
):
    info = unpinned(openssh, tmp_path / "received", "accept-new")
    wait_for(submit_all(uploader, info, {"a.csv": b"1"}, sources).values())
    first = asyncssh.import_public_key(openssh.host_key).get_fingerprint()
    assert accepted.read_text().startswith(f"[127.0.0.1]:{openssh.port} ssh-ed25519 ")
    second = change_host_key(openssh)
    receipts = submit_all(uploader, info, {"b.csv": b"2"}, sources)
    wait_until(lambda: "is not trusted" in (destination_of(uploader)["reason"] or ""))
    reason = destination_of(uploader)["reason"]
    assert first in reason
    assert second in reason
    assert f"ssh-keygen -R '[127.0.0.1]:{openssh.port}' -f {accepted}" in reason
    assert contents_of(tmp_path / "received" / "line-1" / "model") == {"a.csv": b"1"}
    accepted.unlink()  # as the hint advises: the old key is removed
    uploader.execute(ResumeServer(f"{openssh.username}@{openssh.host}:{openssh.port}"))
    wait_for(receipts.values())
    assert contents_of(tmp_path / "received" / "line-1" / "model") == {"a.csv": b"1", "b.csv": b"2"}


def test_the_policy_survives_a_restart_of_the_uploader(openssh, sources, tmp_path):
    info = unpinned(openssh, tmp_path / "received", "accept-new")
    openssh.stop()
    with running(tmp_path / "outbox") as uploader:
        submit_all(uploader, info, {"a.csv": b"1"}, sources)
    openssh.start()
    with running(tmp_path / "outbox") as uploader:
        wait_until(lambda: uploader.get_stats()["queue_size"] == 0)
    assert contents_of(tmp_path / "received" / "line-1" / "model") == {"a.csv": b"1"}


def test_strict_refuses_an_unknown_server_and_off_accepts_any_with_a_warning(openssh, sources, tmp_path, caplog):
    (sources / "a.csv").write_bytes(b"1")
    processor = SftpProcessor(IN_A_HURRY, AsyncsshTransport(tmp_path / "none"))
    with pytest.raises(HostKeyRejected, match="no host_key is pinned"):
        processor.transferData(unpinned(openssh, tmp_path / "in", "strict"), sources / "a.csv", "line-1", "model")
    with caplog.at_level(logging.WARNING):
        processor.transferData(unpinned(openssh, tmp_path / "in", "off"), sources / "a.csv", "line-1", "model")
    assert "is not checked" in caplog.text
    assert contents_of(tmp_path / "in" / "line-1" / "model") == {"a.csv": b"1"}
    assert not (tmp_path / "none").exists()
