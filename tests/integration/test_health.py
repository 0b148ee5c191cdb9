"""Health checks by a running uploader, on a real OpenSSH server that goes away and comes back; and delivery windows."""

import time

import pytest

from tests.integration.uploading import (
    IN_A_HURRY,
    contents_of,
    destination_of,
    running,
    small_files,
    submit_all,
    wait_for,
    wait_until,
)
from tests.servers.openssh import OpenSshServer

OFTEN_S = 0.2


@pytest.fixture
def server(tmp_path, need_program):
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint="make system-packages")) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "received"
    made.mkdir()
    return made


def logins(server):
    return server.log().count("Accepted publickey")


def health(uploader):
    return destination_of(uploader)["health"] or {"ok": False, "words": "", "done": [], "age_s": 0.0}


def configure(uploader, server, folder, **facts):
    uploader.configure_server("plant", {**server.info(folder), "health_interval_s": OFTEN_S, **facts})


def test_a_configured_server_is_checked_with_a_round_trip_that_leaves_nothing(uploader, server, folder):
    configure(uploader, server, folder, health_round_trip=True)
    wait_until(lambda: health(uploader)["ok"])
    found = health(uploader)
    assert found["done"] == ["answers", "free space", "round trip"]
    assert found["free_bytes"] > 0
    assert found["latency_s"] > 0
    assert destination_of(uploader)["link"] == "idle"
    wait_until(lambda: logins(server) >= 3)
    uploader.stop(5.0)
    assert list(folder.iterdir()) == []


def test_checks_connect_only_where_no_traffic_does(uploader, server, folder, sources):
    configure(uploader, server, folder)
    wait_until(lambda: health(uploader)["ok"])
    wait_for(submit_all(uploader, "plant", small_files(5), sources).values())
    connected = logins(server)
    looked_at = health(uploader)["at_s"]
    wait_until(lambda: health(uploader)["at_s"] > looked_at)
    assert logins(server) == connected


def test_an_outage_and_its_end_are_found_out_while_nothing_waits(uploader, server, folder, sources):
    configure(uploader, server, folder)
    wait_until(lambda: health(uploader)["ok"])
    server.stop()
    wait_until(lambda: destination_of(uploader)["link"] == "down")
    assert "nothing listens" in destination_of(uploader)["hint"]
    assert not health(uploader)["ok"]
    server.start()
    wait_until(lambda: destination_of(uploader)["link"] != "down")
    wait_until(lambda: health(uploader)["ok"])
    assert destination_of(uploader)["reason"] is None
    wait_for(submit_all(uploader, "plant", small_files(3), sources).values())
    assert destination_of(uploader)["link"] == "up"


def test_a_silent_server_is_found_out_while_nothing_waits(uploader, server, folder):
    configure(uploader, server, folder)
    wait_until(lambda: health(uploader)["ok"])
    server.freeze()
    try:
        wait_until(lambda: destination_of(uploader)["link"] == "down")
    finally:
        server.thaw()
    wait_until(lambda: health(uploader)["ok"])


def test_a_read_only_server_is_reported_before_a_file_comes(uploader, tmp_path, folder, need_program):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "read-only", sshd=sshd, subsystem_arguments=["-R"]) as server:
        configure(uploader, server, folder, health_round_trip=True)
        wait_until(lambda: "cannot create a file" in health(uploader)["words"])
        assert destination_of(uploader)["link"] == "idle"
        assert "permissions" in health(uploader)["hint"]


def test_checks_beside_a_stream_of_files_disturb_none_of_them(uploader, server, folder, sources):
    configure(uploader, server, folder, health_interval_s=0.02, health_round_trip=True)
    files = small_files(150)
    wait_for(submit_all(uploader, "plant", files, sources).values())
    assert health(uploader)["ok"]
    uploader.stop(5.0)
    assert contents_of(folder / "line-1" / "model") == files
    assert [path.name for path in folder.iterdir()] == ["line-1"]
    assert uploader.get_stats()["total_failed"] == 0


def test_a_server_outside_its_window_is_sent_nothing_over_a_restart_too(tmp_path, server, folder, sources):
    tomorrow = time.strftime("%a", time.localtime(time.time() + 2 * 86_400))
    for _ in range(2):
        with running(tmp_path / "outbox", settings=IN_A_HURRY) as uploader:
            configure(uploader, server, folder, windows=[tomorrow])
            submit_all(uploader, "plant", small_files(3), sources)
            assert f"until {tomorrow} 00:00" in destination_of(uploader)["held_back"]
    assert logins(server) == 0
    with running(tmp_path / "outbox", settings=IN_A_HURRY) as uploader:
        configure(uploader, server, folder)
        wait_until(lambda: uploader.get_stats()["queue_size"] == 0)
        assert destination_of(uploader)["held_back"] is None
    assert set(small_files(3)) <= set(contents_of(folder / "line-1" / "model"))
