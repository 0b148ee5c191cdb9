"""A whole application in this process, in some condition, and how page, API and log report it."""

import asyncio
import http.client
import json
import threading
import time

import asyncssh

from iris_camera.application import Application
from iris_camera.config import CameraSettings, Config, ServerSettings, WebSettings
from iris_camera.config.sections import OutboxSettings
from iris_camera.controllers.observers import NOBODY
from iris_camera.health.conditions import CONDITIONS
from iris_camera.health.facts import USUAL
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import SftpUploaderThread

LONG_S = 60.0
LOOK_S = 0.05
BEING_OPENED = "line is being opened"
# One task each; a reading is watched by iris-watch-NAME and made again with its source.
SHORT_LIVED = ("iris-capture-", "iris-lookup", "iris-recover-", "iris-stopping")
FAST = DeliverySettings(retry_base_s=0.2, retry_cap_s=0.5, breaker_base_s=0.05, breaker_cap_s=0.2)


class RefusesEveryWrite(asyncssh.SFTPServer):
    """Shows its folders, and refuses every write."""

    def open(self, path, pflags, attrs):
        raise asyncssh.SFTPPermissionDenied("Permission denied")


def refuses_one():
    """A server that takes every file but the first that it was offered, however often that is offered again."""
    refused = []

    class RefusesOne(asyncssh.SFTPServer):
        def rename(self, oldpath, newpath):
            return self.posix_rename(oldpath, newpath)

        def posix_rename(self, oldpath, newpath):
            refused.append(newpath)
            if newpath == refused[0]:
                raise asyncssh.SFTPPermissionDenied("not this one")
            return super().posix_rename(oldpath, newpath)

    return RefusesOne


class NeverOpens(asyncssh.SFTPServer):
    """Never answers the opening of a file."""

    async def open(self, path, pflags, attrs):
        await asyncio.Event().wait()


SLOW_LINE = CameraSettings(frame_rate=5.0, width=320, height=180)
OFF = CameraSettings(enabled=False)


class Site:
    """`line` is a slow made-up line; records are finished each second, so that files come all the time."""

    def __init__(
        self,
        folder,
        *,
        server=None,
        camera=SLOW_LINE,
        cameras=None,
        delivery=FAST,
        queue_size=1000,
        outbox_reserve_bytes=0,
        reserve_bytes=0,
        evidence=False,
        inspection=None,
        uploader=None,
        observers=NOBODY,
        limits=USUAL,
        keep_bytes_max=0,
        **server_facts,
    ):
        servers = {}
        if server is not None:
            info = {**server.info("/", "password"), **server_facts}
            servers = {"plant": ServerSettings(**info)}
            self.key = f"{info['username']}@{info['host']}:{info['port']}"
        config = Config(
            cameras={"line": camera} if cameras is None else cameras,
            inspection=inspection or InspectionSettings(),
            records=RecordSettings(
                folder=folder / "records",
                age_s_max=1.0,
                heartbeat_s=0.1,
                disk_reserve_bytes=reserve_bytes,
                keep_bytes_max=keep_bytes_max,
            ),
            evidence=EvidenceSettings(enabled=evidence),
            servers=servers,
            outbox=OutboxSettings(
                folder=folder / "outbox", max_queue_size=queue_size, disk_reserve_bytes=outbox_reserve_bytes
            ),
            delivery=delivery,
            web=WebSettings(port=0),
        )
        self.records = folder / "records" / "line"
        self._others = set(threading.enumerate())  # of tests before, in this process
        self.uploader = (uploader or SftpUploaderThread)(
            config.outbox_dir, None, queue_size, settings=delivery, limits=config.outbox.limits
        )
        self.app = Application(config, uploader=self.uploader, observers=observers, limits=limits)

    def __enter__(self):
        self.app.start()
        return self

    def __exit__(self, *_):
        self.app.cleanup_threads()

    def asked(self, *, look=True):
        """Status and answer of /api/health, after a check."""
        if look:
            self.app.health.check()
        connection = http.client.HTTPConnection("127.0.0.1", self.app.web.port, timeout=LONG_S)
        try:
            connection.request("GET", "/api/health")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def until_writing(self):
        deadline_s = time.monotonic() + LONG_S
        while not list((self.records / "open").glob("*")):
            assert time.monotonic() < deadline_s
            threading.Event().wait(LOOK_S)

    def until_said(self, *text, look=True):
        """`look`: the test makes the check, not health's own thread."""
        deadline_s = time.monotonic() + LONG_S
        while True:
            status, answer = self.asked(look=look)
            is_opened = BEING_OPENED in text or BEING_OPENED not in answer["sentence"]
            if is_opened and all(each in answer["sentence"] for each in text):
                return status, answer
            assert time.monotonic() < deadline_s, answer
            threading.Event().wait(LOOK_S)

    def threads(self):
        """The threads that are reported to health."""
        app = self.app
        return [*self.uploader.get_details()["threads"], *app.health_threads()]

    def long_lived(self):
        """Names of this site's threads that are alive, but for those that end after their one task."""
        return {
            thread.name
            for thread in threading.enumerate()
            if thread not in self._others
            and thread.name.startswith("iris-")
            and not thread.name.startswith(SHORT_LIVED)
        }

    def is_in(self, kind, *text, look=True):
        """The condition comes, and severity, readiness and HTTP status are those of the table."""
        status, answer = self.until_said(*text, look=look)
        condition = CONDITIONS[kind]
        assert answer["severity"] == condition.severity, answer
        assert answer["ready"] is condition.ready, answer
        assert status == (200 if condition.ready else 503)
        assert self.app.snapshot()["health"]["severity"] == condition.severity, "the page shows the same"
        return answer
