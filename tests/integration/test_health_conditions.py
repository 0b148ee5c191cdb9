"""Conditions made for real, and how each is reported: sentence, severity, readiness and HTTP status."""

import logging
import shutil
import socket
from dataclasses import replace

import pytest

from iris_camera.config import CameraSettings
from iris_camera.health.facts import HealthLimits
from iris_communication.outbox.orders import PauseServer, ResumeServer
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.footage import footage
from tests.integration.health_site import FAST, RefusesEveryWrite, Site
from tests.servers.asyncssh_server import AsyncSshServer


@pytest.fixture
def server(tmp_path):
    with AsyncSshServer(tmp_path / "server") as opened:
        yield opened


def made(server, tmp_path, **facts):
    return Site(tmp_path, server=server, host_key=server.host_key, **facts)


def health_lines(caplog):
    return [(each.levelname, each.getMessage()) for each in caplog.records if each.getMessage().startswith("health:")]


def test_a_line_that_works_starts_and_ends_without_a_warning(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with made(server, tmp_path) as site:
        site.is_in("all is well", "Iris works: ")
        site.until_said("every finished file is delivered", "being written")
    assert site.app.health.snapshot()["severity"] == "working"
    assert {level for level, _ in health_lines(caplog)} == {"INFO"}, health_lines(caplog)
    assert "every accepted file is delivered" in caplog.text


def test_a_film_that_ends_is_no_warning_and_everything_of_it_is_delivered(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    film = CameraSettings(source=f"file:{footage('carphone_pristine.mp4')}", pace="fast", frame_rate=100.0)
    with made(server, tmp_path, camera=film) as site:
        site.is_in("sources ended", "every file is delivered; the source came to its end.")
    assert {level for level, _ in health_lines(caplog)} == {"INFO"}, health_lines(caplog)


def test_a_server_that_refuses_to_be_written_to_needs_somebody_within_seconds(tmp_path):
    with AsyncSshServer(tmp_path / "server", sftp_server=RefusesEveryWrite) as server, made(server, tmp_path) as site:
        answer = site.is_in(
            "server refuses everything", "needs you", f"{site.key} refuses everything", "Permission denied"
        )
    assert "then waits as dead for `iris queue retry --all`" in answer["sentence"]


def test_a_refused_login_needs_somebody_and_the_command_is_reported(server, tmp_path):
    with made(server, tmp_path, password="not-this-one") as site:
        site.is_in("server needs a person", "needs you", "not tried again", f"`iris queue resume {site.key}` goes on")


def test_a_changed_host_key_needs_somebody_and_the_command_is_reported(server, tmp_path):
    before = server.host_key
    server.change_host_key()
    with Site(tmp_path, server=server, host_key=before) as site:
        site.is_in("server needs a person", "needs you", f"`iris queue resume {site.key}` goes on")


def last_line(caplog):
    return next(each.getMessage() for each in reversed(caplog.records) if each.getMessage().startswith("stopped in"))


def wrong_password(server):
    return {"password": "not-this-one", "host_key": server.host_key}


def changed_host_key(server):
    before = server.host_key
    server.change_host_key()
    return {"host_key": before}


@pytest.mark.parametrize(
    ("facts", "why"), [(wrong_password, "refuse"), (changed_host_key, "host key")], ids=["login", "host key"]
)
def test_the_last_line_of_a_run_says_why_files_wait_for_a_person_and_what_to_do(server, tmp_path, caplog, facts, why):
    caplog.set_level(logging.INFO)
    with Site(tmp_path, server=server, **facts(server)) as site:
        site.until_said("needs you", "not tried again")
    said = last_line(caplog)
    assert f"for the next start; {site.key} is not tried again until an operator acts (" in said
    assert why in said
    assert f"`iris queue resume {site.key}` goes on" in said


def test_the_last_line_of_a_run_says_that_the_link_is_down_or_the_server_paused(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with made(server, tmp_path) as site:
        site.uploader.execute(PauseServer("plant"))
        site.until_said(f"{site.key} is paused, ")
    assert f"{site.key} is paused; `iris queue resume {site.key}` goes on" in last_line(caplog)
    caplog.clear()
    with made(server, tmp_path) as site:
        site.uploader.execute(ResumeServer("plant"))
        server.stop()
        site.until_said("has been down for", "waiting until it is back")
    assert f"the link to {site.key} has been down for" in last_line(caplog)


def test_the_last_line_of_a_run_says_that_no_server_is_configured_or_another_process_has_the_outbox(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with Site(tmp_path) as site:
        site.until_said("no server is configured; ")
    assert "; no server is configured; give one in [servers.NAME]" in last_line(caplog)
    other = SftpUploaderThread(tmp_path / "outbox")
    other.open()
    try:
        with Site(tmp_path) as site:
            site.until_said("in use by another uploader")
    finally:
        other.close()
    assert "in use by another uploader" in last_line(caplog)
    assert "give this one another folder" in last_line(caplog)


def test_a_link_that_is_down_leaves_iris_ready(server, tmp_path):
    with made(server, tmp_path) as site:
        server.stop()
        site.is_in("link down", f"the link to {site.key} has been down", "waiting until it is back")


def test_a_paused_server_is_reported_with_the_command(server, tmp_path):
    with made(server, tmp_path) as site:
        site.uploader.execute(PauseServer("plant"))
        site.is_in("server paused", f"{site.key} is paused", f"`iris queue resume {site.key}` goes on")


def test_dead_files_need_somebody_and_the_rest_goes_on(tmp_path):
    once = replace(FAST, attempts_max=1)
    opened = AsyncSshServer(tmp_path / "server", sftp_server=RefusesEveryWrite)
    with opened as server, made(server, tmp_path, delivery=once) as site:
        site.is_in("dead files", "needs you", "could not be delivered", "`iris queue list` says why")


def test_an_outbox_that_another_owner_holds_needs_somebody_and_what_waits_is_counted(server, tmp_path):
    other = SftpUploaderThread(tmp_path / "outbox")
    other.open()
    try:
        with made(server, tmp_path) as site:
            site.is_in("outbox in use", "needs you", "in use by another uploader", f"wait in {tmp_path / 'records'}")
    finally:
        other.close()


def test_an_outbox_that_is_full_is_reported_with_what_waits_beside_it(server, tmp_path):
    with made(server, tmp_path, queue_size=1) as site:
        site.uploader.execute(PauseServer("plant"))
        _, answer = site.until_said("the outbox accepts no file", f"in {tmp_path / 'records'}")
    assert answer["severity"] == "degraded"


def test_files_without_a_server_are_counted_and_none_is_called_delivered(tmp_path):
    with Site(tmp_path) as site:
        answer = site.is_in("no server", "no server is configured", f"wait in {tmp_path / 'records'}")
    assert "delivered" not in answer["sentence"]


def test_rows_that_cannot_be_written_fail_and_their_loss_is_not_forgotten(server, tmp_path):
    with made(server, tmp_path) as site:
        site.until_writing()
        shutil.rmtree(site.records / "open")
        (site.records / "open").write_text("a file where a folder has to be")
        site.is_in("rows lost now", "camera line loses what it sees", "rows so far", "move it away")
        (site.records / "open").unlink()
        answer = site.is_in("rows lost", "camera line has lost", "since the start")
    assert "every" not in answer["sentence"]


def test_files_that_cannot_be_finished_are_reported_and_no_row_is_lost(server, tmp_path):
    with made(server, tmp_path) as site:
        site.until_writing()
        shutil.rmtree(site.records / "ready", ignore_errors=True)
        (site.records / "ready").write_text("a file where a folder has to be")
        _, answer = site.until_said("camera line cannot move")
    assert answer["severity"] == "degraded"


def test_a_camera_that_is_not_there_fails_once_it_had_its_time(server, tmp_path):
    with socket.socket() as deaf:  # bound, not listening
        deaf.bind(("127.0.0.1", 0))
        camera = CameraSettings(source=f"http://127.0.0.1:{deaf.getsockname()[1]}/", open_timeout_s=0.5)
        with made(server, tmp_path, camera=camera) as site:
            site.is_in("camera offline", "camera line")


def test_a_folder_without_pictures_is_reported(server, tmp_path):
    (tmp_path / "pictures").mkdir()
    folder = CameraSettings(source=f"dir:{tmp_path / 'pictures'}")
    with made(server, tmp_path, camera=folder, limits=HealthLimits(starting_s=0.5)) as site:
        site.is_in("folder without picture", "camera line has given no picture yet.")  # opened: no reason follows


def test_cameras_that_are_switched_off_are_reported(server, tmp_path):
    with made(server, tmp_path, camera=CameraSettings(enabled=False)) as site:
        site.is_in("cameras disabled", "camera line is disabled", "nothing is inspected")


def test_a_line_that_iris_itself_ended_has_come_to_its_end_and_is_no_warning(server, tmp_path):
    with made(server, tmp_path) as site:
        site.until_said("Iris works")
        assert site.app.lineup.quiesce(10.0)
        site.is_in("sources ended", "every file is delivered; the source came to its end.")


def test_ending_is_reported_and_is_no_failure(server, tmp_path):
    with made(server, tmp_path) as site:
        site.until_said("Iris works")
    site.app.health.check()
    answer = site.app.health.snapshot()
    assert (answer["severity"], answer["ready"]) == ("working", False)
    assert answer["sentence"].startswith("Iris is stopping: ")


def test_every_thread_that_lives_long_is_listed(server, tmp_path):
    with made(server, tmp_path) as site:
        site.until_writing()
        listed = {state["name"] for state in site.threads()}
        assert site.long_lived() <= listed
        assert {"iris-writer", "iris-uploader", "iris-control", "iris-health", "iris-kept", "iris-web"} <= listed
        assert {"iris-watch-line", "iris-inspect-line", "iris-deliver-line"} <= listed
