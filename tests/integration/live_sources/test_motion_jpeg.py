"""Motion JPEG over HTTP: however it is sent, with a password, and from peers that send no picture."""

import io
import logging
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.sources import make_source
from tests.footage import footage
from tests.integration.live_sources.cameras import PROMPT_S, SOON_S, capturing, newest, open_and_read, reason_of
from tests.own_process import in_a_process_of_its_own
from tests.servers.mjpeg_server import MjpegServer
from tests.unit.iris_camera.camera.watching import wait_until


@pytest.fixture
def mjpeg():
    with MjpegServer() as server:
        yield server


@pytest.mark.parametrize(
    "path",
    ["/line", "/bare", "/chunked", "/untyped", "/detections", "/headless", "/unmeasured", "/bare_jpegs"],
)
def test_motion_jpeg_is_understood_however_it_is_sent(mjpeg, path):
    with capturing(mjpeg.url(path)) as (capture, changes):
        changes.wait_for("online")
        wait_until(lambda: capture.status().frames >= 10)
        assert newest(capture).image.shape == (120, 160, 3)


@contextmanager
def ffmpeg_as_camera(ffmpeg, *options):
    """Starts an FFmpeg that sends one viewer a film; returns the address. Its port is held until it listens on it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/stream"
        film = ["-re", "-stream_loop", "-1", "-i", str(footage("carphone_pristine.mp4"))]
        command = [ffmpeg, "-v", "error", *film, *options, "-listen", "1", url]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sending:
            try:
                yield url
            finally:
                sending.kill()


@pytest.mark.parametrize(
    "options", [("-f", "mpjpeg"), ("-f", "mpjpeg", "-boundary_tag", "xyz"), ("-c:v", "mjpeg", "-f", "mjpeg")], ids=str
)
def test_motion_jpeg_that_ffmpeg_sends_is_understood(need_program, options):
    with (
        ffmpeg_as_camera(need_program("ffmpeg", hint="make system-packages"), *options) as url,
        capturing(url, read_timeout_s=3.0, offline_after_s=SOON_S) as (capture, changes),
    ):
        changes.wait_for("online")
        wait_until(lambda: capture.status().frames >= 10)
        assert newest(capture).image.shape == (144, 176, 3)


@pytest.mark.parametrize("authentication", ["both", "stale"])
def test_the_password_never_travels_where_digest_is_offered(authentication):
    with (
        MjpegServer(username="admin", password="s3cr3t", authentication=authentication) as camera,
        capturing(camera.url("/line"), username="admin", password="s3cr3t") as (_, changes),
    ):
        changes.wait_for("online")
    answered = [line for line in camera.asked if "username=" in line]
    assert answered
    assert not any(line.startswith("Basic") for line in camera.asked)


@pytest.mark.parametrize("authentication", ["basic", "digest", "stale"])
@pytest.mark.parametrize("username", ["Łukasz", "Jürgen", "検査"])
def test_a_user_and_an_address_may_be_written_in_any_letters(authentication, username):
    facts = {"username": username, "password": "s3cr3t-ü"}
    with MjpegServer(**facts, authentication=authentication) as camera:
        camera.realm = "camera" if authentication == "stale" else "Halle Süd"
        with capturing(camera.url("/line?hall=Süd検"), **facts) as (_, changes):
            changes.wait_for("online")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/continues", "answers, but not in HTTP"),
        ("/endless_head", "answers, but not in HTTP"),
        ("/dripping_head", "no answer from"),
        ("/endless_trailer", "no picture for"),
    ],
)
def test_a_peer_that_answers_for_ever_and_sends_no_picture_is_given_up_in_time(mjpeg, path, text):
    settings = SourceSettings(mjpeg.url(path), open_timeout_s=0.5, read_timeout_s=0.5)
    source = make_source("line-1", settings)
    began_s, used_s = time.monotonic(), time.thread_time()
    with pytest.raises(SourceError, match=text):
        open_and_read(source)
    assert time.monotonic() - began_s < PROMPT_S
    assert time.thread_time() - used_s < 0.5
    source.close()


def test_an_address_of_a_host_that_drops_packets_costs_its_share_of_the_time_only(mjpeg, monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as swallowing, suppress(OSError):
        full = []
        for _ in range(4):  # its queue is full from the second on: it answers no connection
            full.append(socket.socket())
            full[-1].setblocking(False)
            full[-1].connect_ex(swallowing.getsockname())
        places = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", swallowing.getsockname()),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", mjpeg.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: places)
        source = make_source("line-1", SourceSettings("http://camera.plant/line", open_timeout_s=2.0))
        assert open_and_read(source) is not None
        source.close()
        for waiting in full:
            waiting.close()


def test_a_torn_picture_is_left_out_and_counted(mjpeg, caplog):
    with capturing(mjpeg.url("/torn")) as (capture, changes):
        changes.wait_for("online")
        wait_until(lambda: capture.status().frames >= 5)
        assert capture.status().skipped >= 4
        assert changes.states == ["online"]
    assert "is skipped: torn" in caplog.text


def peak_kib():
    """The most memory that this process had at once."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@in_a_process_of_its_own
def take_pictures_that_announce_a_huge_size(url):
    log = io.StringIO()
    logging.basicConfig(stream=log)
    before_kib = peak_kib()
    with capturing(url) as (capture, changes):
        changes.wait_for("online")
        wait_until(lambda: capture.status().frames >= 5)
        assert changes.states == ["online"]
    assert "is skipped: a picture of 20000 x 20000 pixels: more than 100,000,000" in log.getvalue()
    assert peak_kib() - before_kib < 200_000  # decoded it is 1.2 GB


def test_a_picture_that_announces_a_huge_size_is_left_out_and_takes_no_memory(mjpeg):
    """In a process of its own: in one that had as much before, the peak would not rise."""
    take_pictures_that_announce_a_huge_size(url=mjpeg.url("/bomb"))


def test_a_camera_that_sends_no_pictures_at_all_is_lost_with_a_sentence(mjpeg):
    assert reason_of(mjpeg.url("/rubbish")) == "no picture for 0.8 s"
    assert reason_of(mjpeg.url("/page")).endswith("sends no Motion JPEG: it is text/html")


def test_single_bytes_are_no_picture(mjpeg):
    with capturing(mjpeg.url("/dripping")) as (_, changes):
        changes.wait_for("online")
        changes.wait_for("stalled")


def test_a_picture_that_changes_its_size_in_the_middle_comes_in_its_new_size_and_is_reported(mjpeg, caplog):
    with capturing(mjpeg.url("/growing")) as (capture, changes):
        changes.wait_for("online")
        wait_until(lambda: "changed its picture" in caplog.text)
        assert newest(capture).image.shape == (240, 320, 3)
    assert "from 160x120 to 320x240 pixels" in caplog.text


def test_as_many_frames_a_second_of_a_fast_camera_are_taken_as_are_wanted(mjpeg):
    with capturing(mjpeg.url("/line"), frame_rate=5.0) as (capture, changes):
        changes.wait_for("online")
        wait_until(lambda: capture.status().frames >= 8)
        assert capture.status().frames_per_s < 6


def test_a_read_that_waits_ends_at_once_when_it_is_closed(mjpeg):
    with capturing(mjpeg.url("/slow"), read_timeout_s=12.0, stalled_after_s=12.0) as (capture, changes):
        changes.wait_for("online")
        began_s = time.monotonic()
        capture.close()
        assert capture.join(SOON_S)
        assert time.monotonic() - began_s < 6.0


def test_a_redirection_is_not_followed_with_the_password(mjpeg):
    with MjpegServer() as trap:
        mjpeg.redirect_to = trap.url("/line")
        reason = reason_of(mjpeg.url("/moved"), username="admin", password="s3cr3t")
        assert reason == "the camera redirects to another address (302)"
        assert trap.asked == []


def test_credentials_are_sent_only_to_a_camera_that_asks_for_them(mjpeg):
    with capturing(mjpeg.url("/line"), username="admin", password="s3cr3t") as (_, changes):
        changes.wait_for("online")
    assert mjpeg.asked == ["GET /line HTTP/1.1", ""]


def test_a_camera_that_wants_the_password_in_its_address_gets_it_there_and_it_is_shown_nowhere(mjpeg, caplog):
    url = mjpeg.url("/line?user={username}&pwd={password}")
    with capturing(url, username="admin", password="s3cr3t") as (_, changes):
        changes.wait_for("online")
        mjpeg.cut()
        changes.wait_for("offline")
    assert mjpeg.asked[0] == "GET /line?user=admin&pwd=s3cr3t HTTP/1.1"
    assert "s3cr3t" not in f"{changes.events} {caplog.text}"
