"""Network cameras, end to end: a real RTSP server (GStreamer's) and a real HTTP server that sends Motion
JPEG, each read by a capture; cut, stalled, restarted, slow, silent, and with a password."""

import io
import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from iris_camera.camera.capture import Capture
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.sources import make_source
from tests.footage import footage
from tests.own_process import in_a_process_of_its_own
from tests.servers.mjpeg_server import MjpegServer
from tests.servers.rtsp_server import RtspServer, need_rtsp_server
from tests.unit.iris_camera.camera.watching import StateChanges, wait_until

SOON_S = 60.0
PROMPT_S = 8.0  # for events that the test does not wait for
QUICK = {"open_timeout_s": 3.0, "read_timeout_s": 0.8, "stalled_after_s": 0.5, "offline_after_s": 0.3}
NAME, PASSWORD = "us er", "p@ss:w%rd/ü?#"


@contextmanager
def capturing(url, **settings):
    """A capture of the camera at an address, and its changes of state."""
    asked, changes = SourceSettings(url, **{**QUICK, **settings}), StateChanges()
    capture = Capture(
        "line-1", lambda: make_source("line-1", asked), asked, on_change=changes, pause_s=lambda failures: 0.05
    )
    capture.start()
    try:
        yield capture, changes
    finally:
        capture.close()
        assert capture.join(SOON_S)


def reason_of(url, **settings):
    """Why the camera at an address is offline."""
    with capturing(url, **settings) as (_, changes):
        return changes.wait_for("offline").reason


def newest(capture):
    """A frame that came after now."""
    capture.handover.get(0.0)
    frame = capture.handover.get(SOON_S)
    assert frame is not None
    return frame


# One server for both kinds


class RtspCamera:
    """GStreamer's server, as a camera that can be disturbed."""

    path, size = "/line", (240, 320)

    def __init__(self, **options):
        self.server = RtspServer(footage("bikes.mp4"), **options)
        self.start, self.url = self.server.start, self.server.url
        self.stall, self.go_on, self.cut, self.close = (
            self.server.stall,
            self.server.go_on,
            self.server.kill,
            self.server.close,
        )

    def mute(self):
        self.server.stall()


class MjpegCamera:
    """The HTTP server, as a camera that can be disturbed."""

    path, size = "/line", (120, 160)

    def __init__(self, **options):
        self.server = MjpegServer(slow_s=2.0, **options)
        self.start, self.url, self.stall, self.cut = (
            self.server.start,
            self.server.url,
            self.server.stall,
            self.server.cut,
        )
        self.mute, self.close, self.go_on = self.server.mute, self.server.close, self.server.sending.set


@pytest.fixture(params=[RtspCamera, MjpegCamera], ids=["rtsp", "http"])
def new_camera(request, need_program):
    """Starts a camera of each kind, and ends it after the test."""
    if request.param is RtspCamera:
        need_rtsp_server(need_program)
    cameras = []

    def start(**options):
        cameras.append(request.param(**options))
        cameras[-1].start()
        return cameras[-1]

    yield start
    for camera in cameras:
        camera.close()


@pytest.fixture
def camera(new_camera):
    return new_camera()


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


def _open_and_read(source):
    source.open()
    return source.read()


def _open_and_close(source):
    with suppress(SourceError):
        assert _open_and_read(source) is not None
    source.close()


# RTSP


@pytest.fixture
def rtsp(need_program):
    need_rtsp_server(need_program)
    with RtspServer(footage("carphone_pristine.mp4")) as server:
        yield server


def test_a_film_of_real_h264_comes_over_rtsp_and_at_its_end_the_camera_is_opened_again(rtsp):
    with capturing(rtsp.url("/film"), offline_after_s=30.0) as (capture, changes):
        changes.wait_for("online")
        assert newest(capture).image.shape == (144, 176, 3)
        deadline_s = time.monotonic() + 20
        while capture.status().reconnects == 0:
            assert time.monotonic() < deadline_s
            frame = capture.handover.get(1.0)
        assert changes.states == ["online"]
        assert capture.status().frames > 100
        assert newest(capture).opening >= 1
        assert frame is None or frame.number < newest(capture).number


def test_two_cameras_are_read_side_by_side_and_one_that_is_stalled_does_not_hold_the_other(rtsp):
    with (
        MjpegServer() as other,
        capturing(rtsp.url("/line"), read_timeout_s=3.0) as (stalled, changes),
        capturing(other.url("/line")) as (steady, changes_of_other),
    ):
        changes.wait_for("online")
        changes_of_other.wait_for("online")
        rtsp.stall()
        changes.wait_for("stalled")
        ages = [time.monotonic() - steady.handover.get(SOON_S).monotonic_s for _ in range(50)]
        assert max(ages) < 2.0
        assert changes_of_other.states == ["online"]
        rtsp.go_on()
    assert stalled.status().state == "disabled"


def test_no_password_stands_in_what_opencv_writes_to_standard_error(rtsp):
    """In a process of its own, whose standard error is all there is; with each way an opening can fail."""
    rtsp.close()
    with RtspServer(footage("bikes.mp4"), username="admin", password="right") as locked:
        script = f"""
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError
from iris_camera.camera.sources import make_source
for url in {[locked.url("/line"), locked.url("/nowhere"), "rtsp://127.0.0.1:1/x", "rtsp://camera.invalid/x"]!r}:
    source = make_source("a", SourceSettings(url, username="admin", password="s3cr3t", open_timeout_s=2.0))
    try:
        source.open()
    except Exception as error:
        print(type(error).__name__, error)
"""
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=170, check=True)
    assert ran.stdout.count("SourceError") == 4
    assert "s3cr3t" not in ran.stdout + ran.stderr


# Motion JPEG


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
        _open_and_read(source)
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
        assert _open_and_read(source) is not None
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
