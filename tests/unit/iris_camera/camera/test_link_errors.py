import errno
import os
import socket
import ssl

import pytest

from iris_camera.camera.address import parse_address
from iris_camera.camera.authorization import Login, basic_word
from iris_camera.camera.link_errors import link_error, status_error
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.sources import make_source

CAMERA = parse_address("rtsp://camera.plant/stream")


def failed(number):
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (failed(errno.ECONNREFUSED), "camera.plant:554 refuses the connection"),
        (failed(errno.EHOSTUNREACH), "no route to the host camera.plant:554"),
        (failed(errno.ENETUNREACH), "no route to the network of camera.plant:554"),
        (failed(errno.ECONNRESET), "camera.plant:554 broke the connection off"),
        (failed(errno.ENOBUFS), "camera.plant:554 cannot be reached: No buffer space available"),
        (OSError("odd"), "camera.plant:554 cannot be reached: no reason"),
        (TimeoutError(), "no answer from camera.plant:554 for 5 s"),
        (socket.gaierror(-2, "Name or service not known"), "the host name camera.plant is not known"),
        (ssl.SSLError(1, "wrong version number"), "camera.plant:554 offers no TLS version that works here"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_of_the_network_is_a_sentence(error, reason):
    assert link_error(error, CAMERA, 5.0).reason.startswith(reason)


@pytest.mark.parametrize(
    ("status", "with_credentials", "reason"),
    [
        (401, True, "the camera refuses the username or the password"),
        (401, False, "the camera wants a username and a password"),
        (403, True, "the camera denies this user this stream"),
        (404, True, "the camera does not know this path"),
        (453, True, "the camera is busy (453)"),
        (503, True, "the camera is busy (503)"),
        (302, True, "the camera redirects to another address (302)"),
        (500, True, "the camera answers 500 Out of \x1b[31mhamsters".replace("\x1b", "")),
    ],
)
def test_a_refusal_is_a_sentence(status, with_credentials, reason):
    answered = status_error(status, "Out of \x1b[31mhamsters", with_credentials=with_credentials)
    assert answered.reason == reason


def test_the_text_of_a_camera_is_cut_to_a_readable_length():
    assert len(status_error(500, "x" * 100_000, with_credentials=False).reason) < 100


@pytest.mark.parametrize("before", [0, 45, 52, 58])
def test_the_login_that_a_camera_repeats_is_not_shown_nor_half_of_it(before):
    make_source("line-1", SourceSettings(source="http://camera.plant/x", username="iris", password="swordfish-22"))
    for ours in ("swordfish-22", basic_word(Login("iris", "swordfish-22"))):
        assert ours[:4] not in status_error(500, "x" * before + ours, with_credentials=True).reason
