"""A real RTSP server for a test: GStreamer's, in a process of its own, on a free loopback port.

It is Debian's GStreamer, which only Debian's Python sees: so this file is both. Imported by a test it is the class
`RtspServer`; run by /usr/bin/python3 it is the server. Its streams:

    /film   a film of real H.264 as it stands in the file, from its beginning for each client, at its own rate, once
    /line   a test picture as JPEG, 25 a second, without end
    /slow   the same, one picture every 5 seconds

A server that stalls, or that never answers, is this one stopped (SIGSTOP): the kernel keeps its connections and takes
new ones, and no process sends. One that is cut is this one killed.
"""

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
SYSTEM_PYTHON = Path("/usr/bin/python3")
START_TIMEOUT_S = 60.0
_PARTS = ("rtph264pay", "rtpjpegpay", "jpegenc", "h264parse", "qtdemux", "videotestsrc")
_LIVE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate={rate} "
    "! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
)
_FILM = "( filesrc location={film} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"


def need_rtsp_server(need_program: Callable[..., Path]) -> None:
    """Ends the test, as the fixture `need_program` does, on a machine without GStreamer's server."""
    python = need_program(str(SYSTEM_PYTHON), hint="make system-packages")
    command = [str(python), __file__, "--check"]
    if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0:
        need_program("GStreamer's RTSP server", hint="make system-packages")  # no program has that name


class RtspServer:
    """One server process. With `username` and `password` it refuses all others, by `authentication` (basic | digest).

    The port is held from beginning to end, so that it can be stopped and started again on it.
    """

    def __init__(self, film: Path, *, username: str = "", password: str = "", authentication: str = "digest") -> None:
        self._film = film
        self._credentials = [username, password, authentication] if username else []
        self._process: subprocess.Popen[bytes] | None = None
        self._port_holder = socket.socket()
        self._port_holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port_holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._port_holder.bind((HOST, 0))
        self.port: int = self._port_holder.getsockname()[1]

    def url(self, path: str) -> str:
        return f"rtsp://{HOST}:{self.port}{path}"

    def start(self) -> None:
        """Start it, and return when it listens."""
        command = [str(SYSTEM_PYTHON), __file__, "--port", str(self.port), "--film", str(self._film)]
        if self._credentials:
            command += ["--credentials", *self._credentials]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._process = process
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        if not ready or process.stdout.readline().strip() != b"listening":
            self.kill()
            raise RuntimeError(f"the RTSP server did not start within {START_TIMEOUT_S:g} s")

    def stall(self) -> None:
        """Stop sending, and answering, and keep every connection."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Cut every connection; the port refuses from then on."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()

    def close(self) -> None:
        self.kill()
        self._port_holder.close()

    def __enter__(self) -> "RtspServer":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


def main(arguments: argparse.Namespace) -> int:
    """The server itself, run by the system's Python; ends with its parent."""
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    if arguments.check:
        return 0 if all(Gst.ElementFactory.find(part) for part in _PARTS) else 1

    server = GstRtspServer.RTSPServer()
    server.set_address(HOST)
    server.set_service(str(arguments.port))
    if arguments.credentials:
        username, password, authentication = arguments.credentials
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        if authentication == "basic":
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(username, password), token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(username, password, token)
        server.set_auth(auth)
    streams = {
        "/film": _FILM.format(film=arguments.film),
        "/line": _LIVE.format(rate="25/1"),
        "/slow": _LIVE.format(rate="1/5"),
    }
    for path, launch in streams.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        permissions = GstRtspServer.RTSPPermissions()
        for role in ("viewer", "anonymous"):
            permissions.add_permission_for_role(role, "media.factory.access", True)
            permissions.add_permission_for_role(role, "media.factory.construct", True)
        factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    if server.attach(None) == 0:
        return 1
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    parent = os.getppid()
    loop = GLib.MainLoop()
    GLib.timeout_add(500, lambda: os.getppid() == parent or loop.quit())  # no orphan outlives its test
    loop.run()
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--port", type=int)
    parser.add_argument("--film")
    parser.add_argument("--credentials", nargs=3)
    sys.exit(main(parser.parse_args()))
