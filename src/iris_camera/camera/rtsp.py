"""A camera that speaks RTSP, opened through OpenCV's FFmpeg.

FFmpeg wants username and password inside the address. That address is made for the one call and kept nowhere; neither
FFmpeg's lines on standard error nor any exception of this module hold it. Time-outs are given with the call: without
them FFmpeg waits half a minute. FFmpeg prefers TCP by default, so no option of the whole process has to be set.

FFmpeg does not say why it could not open a stream. Only then does this module send one DESCRIBE of its own, to find the
reason: a working camera never gets one, so no judgement of an answer here can reject a camera that FFmpeg can read.
"""

import re
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2

from iris_camera.camera.address import Address
from iris_camera.camera.authorization import Login, answer
from iris_camera.camera.connecting import connected
from iris_camera.camera.link_errors import link_error, status_error
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError

OpenCapture = Callable[[str, int, Sequence[int]], Any]

LONGEST_ANSWER_BYTES = 65_536
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d{1,9})\s*$")


def open_rtsp(settings: SourceSettings, open_capture: OpenCapture = cv2.VideoCapture) -> Any:
    """The opened capture. Raises SourceError with the reason."""
    address = settings.address
    limits = [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(settings.open_timeout_s * 1000)),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(settings.read_timeout_s * 1000)),
    ]
    try:
        capture = open_capture(address.with_credentials(settings.username, settings.password), cv2.CAP_FFMPEG, limits)
    except cv2.error:  # its text may hold the address
        capture = None
    if capture is None or not capture.isOpened():
        raise why_not(address, Login(settings.username, settings.password), settings.open_timeout_s)
    return capture


def why_not(address: Address, login: Login, timeout_s: float) -> SourceError:
    """Why a stream could not be opened, found out by asking for its description."""
    try:
        status, phrase = _describe(address, login, timeout_s)
    except OSError as error:
        return link_error(error, address, timeout_s)
    if status is None:
        return SourceError(f"{address.place} answers, but does not speak RTSP", "Check the port.")
    if status != 200:
        return status_error(status, phrase, with_credentials=bool(login.username))
    return SourceError(
        f"the camera describes its stream but sends no picture within {timeout_s:g} s",
        "Check that it sends H.264, H.265 or MJPEG, or raise open_timeout_s.",
    )


def _describe(address: Address, login: Login, timeout_s: float) -> tuple[int | None, str]:
    """The status of a DESCRIBE, with the login when the camera asks for it; None when the answer is no RTSP."""
    deadline_s = time.monotonic() + timeout_s
    target = address.filled(login.username, login.password)
    with connected(address, deadline_s) as connection:
        status, phrase, challenges = _ask(connection, target, 1, None, deadline_s)
        if status == 401 and login.username:
            authorization = answer(challenges, login, "DESCRIBE", target, secrets.token_hex(8))
            if authorization is not None:
                status, phrase, _ = _ask(connection, target, 2, authorization, deadline_s)
    return status, phrase


def _ask(
    connection: socket.socket, target: str, number: int, authorization: str | None, deadline_s: float
) -> tuple[int | None, str, list[str]]:
    lines = [f"DESCRIBE {target} RTSP/1.0", f"CSeq: {number}", "Accept: application/sdp", "User-Agent: Iris"]
    if authorization is not None:
        lines.append(f"Authorization: {authorization}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    received = _receive(connection, b"", lambda text: _HEAD_END.search(text) is not None, deadline_s)
    head, body = [*_HEAD_END.split(received, 1), b""][:2]
    length = _CONTENT_LENGTH.search(head)
    if length is not None:  # unread bytes would be taken for the next answer
        _receive(connection, body, lambda text: len(text) >= int(length[1]), deadline_s)
    return _status_of(head.decode("utf-8", "replace"))


def _receive(connection: socket.socket, text: bytes, done: Callable[[bytes], bool], deadline_s: float) -> bytes:
    """`text` and the bytes received until `done`, too long, or the end. Raises TimeoutError at the deadline."""
    while not done(text) and len(text) < LONGEST_ANSWER_BYTES:
        connection.settimeout(max(0.001, deadline_s - time.monotonic()))
        received = connection.recv(4096)
        if not received:
            break
        text += received
    return text


def _status_of(head: str) -> tuple[int | None, str, list[str]]:
    """Status, phrase and challenges of an answer's head."""
    first, *fields = head.splitlines()
    version, _, rest = first.partition(" ")
    code, _, phrase = rest.partition(" ")
    if not version.startswith("RTSP/") or not code.isdigit():
        return None, "", []
    challenges = [line.partition(":")[2].strip() for line in fields if line.lower().startswith("www-authenticate:")]
    return int(code), phrase, challenges
