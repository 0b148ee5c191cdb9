"""What each kind of network camera does: cut, stalled, slow, silent, and with a password."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.sources import make_source
from tests.integration.live_sources.cameras import (
    NAME,
    PASSWORD,
    PROMPT_S,
    SOON_S,
    capturing,
    newest,
    open_and_read,
    reason_of,
)
from tests.unit.iris_camera.camera.watching import wait_until


def test_a_camera_is_online_and_gives_its_pictures_at_its_own_rate(camera):
    with capturing(camera.url(camera.path)) as (capture, changes):
        changes.wait_for("online")
        assert newest(capture).image.shape == (*camera.size, 3)
        wait_until(lambda: 15 < capture.status().frames_per_s < 35)
        assert capture.status().frame_age_s < PROMPT_S


def test_a_reader_that_is_slow_gets_fresh_pictures_and_the_others_are_counted(camera):
    with capturing(camera.url(camera.path)) as (capture, changes):
        changes.wait_for("online")
        wait_until(lambda: capture.status().skipped > 40)
        frame = capture.handover.get(SOON_S)
        assert frame.number > 40


def test_a_camera_that_is_cut_is_offline_and_back_when_it_is_restarted(camera):
    with capturing(camera.url(camera.path)) as (capture, changes):
        changes.wait_for("online")
        camera.cut()
        assert changes.wait_for("offline").reason.endswith("refuses the connection")
        camera.start()
        changes.wait_for("online", 2)
        before = capture.status()
        assert before.reconnects == 1
        assert newest(capture).number > 0


def test_a_camera_that_stops_sending_is_stalled_then_offline_and_back_when_it_sends_again(camera):
    with capturing(camera.url(camera.path)) as (capture, changes):
        changes.wait_for("online")
        camera.stall()
        assert changes.wait_for("stalled").reason == "no picture for more than 0.5 s"
        assert changes.wait_for("offline").reason.startswith(("no picture for", "no answer from"))
        camera.go_on()
        changes.wait_for("online", 2)
        assert capture.status().hung == 0


def test_a_camera_that_sends_a_picture_every_few_seconds_is_online_all_the_time(camera):
    with capturing(camera.url("/slow"), read_timeout_s=12.0, stalled_after_s=12.0) as (capture, changes):
        changes.wait_for("online")
        wait_until(lambda: capture.status().frames >= 2)
        assert changes.states == ["online"]
        assert capture.status().reconnects == 0


def test_a_camera_that_never_answers_the_opening_is_reported(camera):
    camera.mute()
    reason = reason_of(camera.url(camera.path), open_timeout_s=0.7)
    assert reason.startswith("no answer from 127.0.0.1:")
    assert reason.endswith("for 0.7 s")


def test_a_wrong_path_is_reported(camera):
    assert reason_of(camera.url("/nowhere")) == "the camera does not know this path"


@pytest.mark.parametrize("authentication", ["basic", "digest"])
def test_the_password_opens_the_camera_and_is_shown_nowhere(new_camera, authentication, caplog, capfd):
    camera = new_camera(username=NAME, password=PASSWORD, authentication=authentication)
    with capturing(camera.url(camera.path), username=NAME, password=PASSWORD) as (capture, changes):
        changes.wait_for("online")
        assert newest(capture).image.shape == (*camera.size, 3)
        camera.cut()
        changes.wait_for("offline")
        shown = f"{capture.status()} {changes.events} {caplog.text} {capfd.readouterr()}"
    assert not any(part in shown for part in ("p@ss", "p%40ss", "ass:w"))


@pytest.mark.parametrize("authentication", ["basic", "digest"])
def test_a_wrong_password_is_reported_and_is_shown_nowhere(new_camera, authentication, caplog, capfd):
    camera = new_camera(username=NAME, password="right", authentication=authentication)
    url = camera.url(camera.path)
    reason = reason_of(url, username=NAME, password=PASSWORD)
    assert reason == "the camera refuses the username or the password"
    assert reason_of(url) == "the camera wants a username and a password"
    shown = f"{caplog.text} {capfd.readouterr()}"
    assert not any(part in shown for part in ("p@ss", "p%40ss", "ass:w"))


def test_a_port_without_a_listener_is_reported():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{held.getsockname()[1]}"
        for scheme in ("rtsp", "http"):
            assert reason_of(f"{scheme}://{place}/x") == f"{place} refuses the connection"


def test_an_unknown_host_name_is_reported():
    for scheme in ("rtsp", "http"):
        for host in ("camera.invalid", "a..b", ".invalid", "b" * 70 + ".invalid"):
            assert reason_of(f"{scheme}://{host}/x") == f"the host name {host} is not known"


def test_opening_again_and_again_leaves_no_file_and_no_thread_behind(camera):
    def held():
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    sources = [
        make_source("line-1", SourceSettings(camera.url(path), open_timeout_s=3.0))
        for path in ("/nowhere", camera.path)
    ]
    for source in sources:  # what is loaded once stays
        _open_and_close(source)
    before = held()
    for _ in range(20):
        _open_and_close(sources[0])
    for _ in range(3):
        _open_and_close(sources[1])
    wait_until(lambda: held() <= before)


def _open_and_close(source):
    with suppress(SourceError):
        assert open_and_read(source) is not None
    source.close()
