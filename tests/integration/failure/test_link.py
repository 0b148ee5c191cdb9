"""Links that refuse, fall silent or are cut: no file is lost, none arrives twice, and the reason is reported."""

import socket
import time

import asyncssh
import pytest

from iris_communication.errors import RemoteFailure
from iris_communication.settings import DeliverySettings
from tests.integration.failure.seen import is_down, received_in
from tests.integration.uploading import (
    LONG_S,
    Watch,
    contents_of,
    destination_of,
    running,
    small_files,
    submit_all,
    wait_for,
    wait_until,
)
from tests.servers.asyncssh_server import AsyncSshServer

PROMPT_S = 5.0  # for events that the test does not wait for


def owed(uploader):
    """Backlog, or on its way as the probe."""
    destination = destination_of(uploader)
    return destination["waiting"] + destination["in_flight"]


def test_a_port_that_refuses_is_reported_and_everything_arrives_once_the_server_runs(uploader, server, sources):
    server.outage()
    files = small_files(50)
    receipts = submit_all(uploader, server.info("/in"), files, sources)
    wait_until(lambda: is_down(uploader))
    destination = destination_of(uploader)
    assert f"{server.host}:{server.port} refuses connections" in destination["reason"]
    assert "nothing listens there" in destination["hint"]
    wait_until(lambda: owed(uploader) == 50)  # what was put back counts again once that is committed
    server.recover()
    wait_for(receipts.values())
    assert received_in(server) == files
    assert destination_of(uploader)["link"] == "up"


def test_stop_is_prompt_with_the_port_refusing_and_no_file_is_lost(tmp_path, server, sources):
    server.outage()
    files = small_files(20)
    with running(tmp_path / "outbox") as uploader:
        submit_all(uploader, server.info("/in"), files, sources)
        wait_until(lambda: is_down(uploader))
        began_s = time.monotonic()
        assert uploader.stop(LONG_S)
        assert time.monotonic() - began_s < PROMPT_S
    server.recover()
    with running(tmp_path / "outbox") as uploader:
        assert uploader.get_stats()["queue_size"] == 20
        uploader.stop(LONG_S)
    assert received_in(server) == files


@pytest.mark.parametrize("kind", ["OpenSSH", "asyncssh"])
def test_a_server_that_falls_silent_is_reported_and_everything_arrives_once_when_it_answers_again(
    kind, request, tmp_path, uploader, sources
):
    server = request.getfixturevalue("openssh" if kind == "OpenSSH" else "server")
    base = tmp_path / "in" if kind == "OpenSSH" else "/in"
    folder = (tmp_path if kind == "OpenSSH" else server.folder) / "in" / "line-1" / "model"
    files = small_files(60)
    wait_for(submit_all(uploader, server.info(base), {"first.csv": b"1"}, sources).values())
    server.freeze()
    try:
        with Watch(folder, files | {"first.csv": b"1"}) as watch:
            receipts = submit_all(uploader, server.info(base), files, sources)
            wait_until(lambda: is_down(uploader))
            assert "has not answered for" in destination_of(uploader)["reason"]
            assert uploader.get_stats()["queue_size"] == 60
            server.thaw()
            wait_for(receipts.values())
    finally:
        server.thaw()
    assert contents_of(folder) == files | {"first.csv": b"1"}
    assert watch.partial == []


def test_stop_ends_in_its_time_with_a_silent_server_and_no_file_is_lost(tmp_path, server, sources):
    files = small_files(20)
    with running(tmp_path / "outbox") as uploader:
        wait_for(submit_all(uploader, server.info("/in"), {"first.csv": b"1"}, sources).values())
        server.freeze()
        submit_all(uploader, server.info("/in"), files, sources)
        began_s = time.monotonic()
        assert uploader.stop(0.5)
        assert time.monotonic() - began_s < PROMPT_S
        server.thaw()
        uploader.start()
        uploader.stop(LONG_S)
        assert uploader.get_stats()["total_uploaded"] == 21
    assert received_in(server) == files | {"first.csv": b"1"}


def test_a_server_that_accepts_and_never_greets_is_reported(tmp_path, uploader, sources):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        info = {
            "host": "127.0.0.1",
            "port": mute.getsockname()[1],
            "username": "a",
            "password": "b",
            "host_key": "SHA256:" + "x" * 43,
        }
        with running(tmp_path / "other", DeliverySettings(connect_timeout_s=0.3)) as impatient:
            submit_all(impatient, info, {"a.csv": b"1"}, sources)
            wait_until(lambda: is_down(impatient))
            assert "did not finish connecting within 0.3 s" in destination_of(impatient)["reason"]


@pytest.mark.parametrize("kind", ["OpenSSH", "asyncssh"])
def test_connections_cut_in_the_middle_of_many_uploads_lose_nothing_and_repeat_nothing(
    kind, request, tmp_path, uploader, sources, caplog
):
    server = request.getfixturevalue("openssh" if kind == "OpenSSH" else "server")
    base = tmp_path / "in" if kind == "OpenSSH" else "/in"
    folder = (tmp_path if kind == "OpenSSH" else server.folder) / "in" / "line-1" / "model"
    files = small_files(300, size_bytes=60_000)
    uploader.stop()
    receipts = submit_all(uploader, server.info(base), files, sources)
    with Watch(folder, files) as watch:
        uploader.start()
        for uploaded in (0, 40, 100):
            wait_until(lambda least=uploaded: uploader.get_stats()["total_uploaded"] > least)
            server.cut()
        wait_for(receipts.values())
    assert contents_of(folder) == files
    assert watch.partial == []
    assert uploader.get_stats() == {"total_queued": 300, "total_uploaded": 300, "total_failed": 0, "queue_size": 0}
    assert "is down" in caplog.text, "no cut met an upload"


def test_a_server_that_is_restarted_in_the_middle_gets_everything_once(tmp_path, openssh, sources):
    files = small_files(150, size_bytes=20_000)
    folder = tmp_path / "in" / "line-1" / "model"
    with running(tmp_path / "outbox") as uploader:
        uploader.stop()
        receipts = submit_all(uploader, openssh.info(tmp_path / "in"), files, sources)
        uploader.start()
        with Watch(folder, files) as watch:
            wait_until(lambda: uploader.get_stats()["total_uploaded"] > 0)
            openssh.restart()
            wait_for(receipts.values())
        assert contents_of(folder) == files
        assert watch.partial == []


class CutsShort(asyncssh.SFTPServer):
    """Its disk takes half, and it answers that all is there."""

    def write(self, file_obj, offset, data):
        return super().write(file_obj, offset, data[: len(data) // 2])


def test_a_file_that_a_server_cut_short_never_gets_its_final_name(tmp_path, uploader, sources):
    with AsyncSshServer(tmp_path / "cutting", sftp_server=CutsShort) as cutting:
        receipts = submit_all(uploader, cutting.info("/in"), {"a.csv": b"x" * 1000}, sources)
        with pytest.raises(RemoteFailure, match="kept 500 of 1000 bytes"):
            receipts["a.csv"].wait_delivered(LONG_S)
        found = contents_of(cutting.folder / "in" / "line-1" / "model")
        assert [name for name in found if not name.startswith(".iris-")] == []
