"""The calls of OpenCV, and how a reason is found. A real RTSP server is used in tests/integration."""

import socket
import threading
import traceback
from contextlib import suppress

import cv2
import pytest

from iris_camera.camera.authorization import Login
from iris_camera.camera.rtsp import open_rtsp, why_not
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError

SECRET = "s3cr3t Horse/@"
SHOWN = ("s3cr3t", "Horse")
TIMEOUT_S = 0.5
UNAUTHORIZED = b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="x"\r\n'


class Peer:
    """A peer that answers each request with the next of its answers, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return
        with connection, suppress(ConnectionError):  # a client may close the connection early
            for answer in self.answers:
                self.asked.append(connection.recv(65_536).decode())
                for piece in answer if isinstance(answer, list) else [answer]:
                    connection.sendall(piece)
            connection.recv(1)

    def settings(self, **more):
        return SourceSettings(
            f"rtsp://127.0.0.1:{self.port}/x", open_timeout_s=TIMEOUT_S, read_timeout_s=TIMEOUT_S, **more
        )

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)


@pytest.fixture
def peer():
    peers = []

    def start(*answers):
        peers.append(Peer(*answers))
        return peers[-1]

    yield start
    for started in peers:
        started.close()


class Closed:
    """What OpenCV gives when it could not open a stream."""

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return False


class Opened:
    """What OpenCV gives when it could."""

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return True


def why(peer, **settings):
    asked = peer.settings(**settings)
    return why_not(asked.address, Login(asked.username, asked.password), TIMEOUT_S).reason


def test_opencv_gets_the_credentials_in_the_address_and_both_time_outs():
    calls = []
    settings = SourceSettings("rtsp://camera/x", username="admin", password="p@ss", open_timeout_s=3, read_timeout_s=2)
    capture = open_rtsp(settings, lambda *arguments: calls.append(arguments) or Opened())
    assert capture.isOpened()
    (address, backend, limits), *others = calls
    assert (address, backend, others) == ("rtsp://admin:p%40ss@camera/x", cv2.CAP_FFMPEG, [])
    assert limits == [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 3000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 2000]


def test_a_camera_that_opens_is_not_asked_anything_else(peer):
    camera = peer()
    open_rtsp(camera.settings(), lambda *arguments: Opened())
    assert camera.asked == []


def test_an_exception_of_opencv_that_holds_the_address_is_neither_shown_nor_chained(peer):
    def explode(address, backend, limits):
        raise cv2.error(f"cannot open {address}")

    camera = peer(b"RTSP/1.0 404 Not Found\r\n\r\n")
    with pytest.raises(SourceError, match="does not know this path") as caught:
        open_rtsp(camera.settings(username="admin", password=SECRET), explode)
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert not any(part in shown for part in SHOWN)


def test_a_camera_that_wants_credentials_gets_them_on_the_same_connection(peer):
    camera = peer(UNAUTHORIZED + b"\r\n", UNAUTHORIZED + b"\r\n")
    assert why(camera, username="admin", password="wrong") == "the camera refuses the username or the password"
    assert "Authorization" not in camera.asked[0]
    assert "Authorization: Basic YWRtaW46d3Jvbmc=" in camera.asked[1]


def test_the_body_of_a_refusal_is_not_taken_for_the_next_answer(peer):
    refusal = UNAUTHORIZED + b"Content-Length: 20000\r\n\r\n"
    camera = peer([refusal, b"<html>refused</html>" * 1000], b"RTSP/1.0 503 Service Unavailable\r\n\r\n")
    assert why(camera, username="admin", password="right") == "the camera is busy (503)"


def test_the_camera_is_not_asked_twice_without_credentials_of_ours(peer):
    camera = peer(UNAUTHORIZED + b"\r\n")
    assert why(camera) == "the camera wants a username and a password"


def test_an_answer_in_pieces_is_an_answer(peer):
    camera = peer([b"RTSP/1.0 4", b"04 Not Fo", b"und\r\nCSeq: 1\r", b"\n\r\n"])
    assert why(camera) == "the camera does not know this path"


def test_a_stream_that_is_described_and_does_not_come(peer):
    camera = peer(b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert why(camera) == "the camera describes its stream but sends no picture within 0.5 s"


def test_a_web_server_does_not_speak_rtsp(peer):
    camera = peer(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert why(camera) == f"127.0.0.1:{camera.port} answers, but does not speak RTSP"


def test_a_camera_that_sends_no_answer(peer):
    camera = peer(b"")
    assert why(camera) == f"no answer from 127.0.0.1:{camera.port} for 0.5 s"


def test_a_peer_that_never_stops_sending_is_not_read_for_ever(peer):
    camera = peer(b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 40_000)
    assert why(camera).startswith("the camera describes its stream")


def test_a_port_nobody_listens_on():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        settings = SourceSettings(f"rtsp://127.0.0.1:{port}/x")
        assert why_not(settings.address, Login("", ""), 1.0).reason == f"127.0.0.1:{port} refuses the connection"
