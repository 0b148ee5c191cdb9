"""The application: the one place that picks the parts, and the order they start and end in.

Start: logging, uploader, cameras, health, page. The uploader comes first, so that what a crash left half accepted is
settled before anybody looks for left-over records. An outbox that cannot be opened does not stop the cameras: their
records wait in `ready/`, and opening it is tried again.

End: first quiesce (recorders close, name and queue what is open), then the uploader drains while the page still
answers, then camera threads, page and sockets, health, logging.
"""

import atexit
import contextlib
import dataclasses
import importlib.metadata
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import cv2

from iris_camera import logs
from iris_camera.camera.frame import Frame
from iris_camera.camera.source import Source
from iris_camera.camera.synthetic import SyntheticLine
from iris_camera.config import Config, ConfigError, from_environment
from iris_camera.controllers import camera_controller
from iris_camera.controllers.camera_controller import Camera, RecordSettings
from iris_camera.controllers.record_delivery import Destination
from iris_camera.health import HealthService
from iris_camera.inspection.classifier import OnnxClassifier
from iris_camera.inspection.inspector import Inspected, Inspector
from iris_camera.inspection.onnx import ModelError, OnnxDetector
from iris_camera.records.csv_file import FinishedCsv
from iris_camera.records.csv_name import new_run
from iris_camera.records.rotation import RotationLimits
from iris_camera.web.live import SocketManager
from iris_camera.web.server import CannotServe, WebServer, bind, create_app
from iris_camera.web.state import whole_snapshot
from iris_communication.errors import IrisError
from iris_communication.sftp_uploader_thread import SftpUploaderThread, get_sftp_uploader

log = logging.getLogger(__name__)

UPLOADER_STOP_S = 15.0
EXIT_STOP_S = 5.0
QUIESCE_S = 2.0
UPLOADER_RETRY_S = 10.0
SERVER_NAME = "default"
EXIT_USAGE = 2


class Application:
    """Made of a config and a source; nothing is opened before `start()`."""

    def __init__(
        self,
        config: Config,
        source: Source,
        *,
        uploader: SftpUploaderThread | None = None,
        on_inspected: Callable[[Frame, Inspected], None] = lambda frame, inspected: None,
        on_finished: Callable[[FinishedCsv], None] = lambda finished: None,
    ) -> None:
        self._config = config
        cv2.setNumThreads(1)  # two cores for everything: OpenCV's own threads would take them from each other
        self.run = new_run()
        self.uploader = uploader or get_sftp_uploader(
            outbox_dir=config.outbox_dir, max_queue_size=config.max_queue_size, settings=config.delivery
        )
        for key in ("password", "passphrase", "private_key"):
            if config.server_info and config.server_info.get(key):
                logs.hide(str(config.server_info[key]))
        self.camera = Camera(
            source,
            Inspector(OnnxDetector(), OnnxClassifier()),
            self.uploader,
            Destination(config.server_info or SERVER_NAME, {"project": config.project}),
            RecordSettings(config.records_dir, self.run, RotationLimits(**dataclasses.asdict(config.rotation))),
            on_inspected=on_inspected,
            on_finished=on_finished,
        )
        self.health = HealthService(cameras=[self.camera], uploader=self.uploader, outbox_dir=config.outbox_dir)
        self.snapshot = whole_snapshot(
            cameras=[self.camera],
            uploader=self.uploader,
            health=self.health.snapshot,
            version=importlib.metadata.version("iris-camera"),
        )
        self.sockets = SocketManager(self.snapshot)
        self.web: WebServer | None = None
        self._ending = threading.Lock()
        self._ended = False
        self._stop = threading.Event()

    def start(self) -> None:
        """Raises CannotServe when the page's port cannot be had and the config requires it; nothing is started then."""
        self.web = self._web_server()
        self._start_uploader()
        self.camera.start()
        self.health.start()
        if self.web is not None:
            self.web.start()
            log.info("the page is at %s", self.web.address)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleep until `request_stop`, at most `timeout_s`; whether it was called. An uploader that could not start
        is tried again meanwhile."""
        left_s = timeout_s
        while left_s is None or left_s > 0:
            slice_s = UPLOADER_RETRY_S if left_s is None else min(UPLOADER_RETRY_S, left_s)
            if self._stop.wait(slice_s):
                return True
            if self.uploader.get_details()["state"] == "new":
                self._start_uploader()
            left_s = None if left_s is None else left_s - slice_s
        return self._stop.is_set()

    def _web_server(self) -> WebServer | None:
        """Holding its port already, so that a port that is taken is known before anything else starts."""
        try:
            bound = bind(port=self._config.port, fall_back=self._config.port_falls_back)
        except CannotServe as error:
            if self._config.page_required:
                raise
            log.error("%s; cameras and uploader go on without the page", error)
            return None
        page = create_app(
            snapshot=self.snapshot,
            health=self.health.snapshot,
            pictures={self.camera.name: self.camera.picture},
            live=self.sockets,
            routers=[camera_controller.routes(self.uploader)],
        )
        return WebServer(page, bound=bound)

    @property
    def web_address(self) -> str:
        """Where the page is; empty before `start()`."""
        return self.web.address if self.web is not None else ""

    def request_stop(self) -> None:
        self._stop.set()

    def cleanup_threads(self) -> None:
        """The orderly end, every step bounded in time; harmless when it was done before."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
            if not self.camera.quiesce(QUIESCE_S):
                log.warning("the records could not be closed within %.0f s; the next start queues them", QUIESCE_S)
            self.uploader.stop(timeout=UPLOADER_STOP_S)
            self.camera.stop()
            self.sockets.stop()
            if self.web is not None:
                self.web.stop()
            self.health.stop()
            self.uploader.close()
            logs.stop_logging()

    def cleanup_on_exit(self) -> None:
        """The end in a hurry, at interpreter exit: what is under way for five seconds at most, no new connection."""
        if not self._ended:
            self._ended = True
            self.camera.quiesce(1.0)
            self.uploader.stop(timeout=EXIT_STOP_S, connect=False)
            self.uploader.close()

    def _start_uploader(self) -> None:
        try:
            self.uploader.start()
            if self._config.server_info is not None:
                self.uploader.configure_server(SERVER_NAME, self._config.server_info)
        except IrisError as error:
            log.error("the uploader did not start: %s. %s. Records wait in their folder", error, error.hint)


_current: Application | None = None


def start(application: Application) -> Application:
    """Start it as the process's application, the one `cleanup_threads` and `cleanup_on_exit` end."""
    global _current  # noqa: PLW0603  # the two clean-up functions are module-level by their users' wish
    _current = application
    atexit.register(application.cleanup_on_exit)
    application.start()
    return application


def cleanup_threads() -> None:
    """End the process's application in order: records, uploader (15 s), camera, page and sockets, health, logging."""
    if _current is not None:
        _current.cleanup_threads()


def cleanup_on_exit() -> None:
    """End the process's application in a hurry; does nothing after `cleanup_threads`."""
    if _current is not None:
        _current.cleanup_on_exit()


@contextlib.contextmanager
def stopped_by_signals(request_stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl+C or SIGTERM asks to stop; a second Ctrl+C leaves at once."""
    asked = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if asked.is_set() and number == signal.SIGINT:
            os._exit(128 + number)
        asked.set()
        request_stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(config: Config | None = None) -> int:
    """Run until Ctrl+C or SIGTERM; the exit status. Without a config the environment gives one (see config)."""
    logs.start_logging()
    try:
        config = config or from_environment()
        application = Application(config, SyntheticLine(seed=1, name=config.project))
        with stopped_by_signals(application.request_stop):
            start(application)
            if config.server_info is None:
                log.warning("no server is configured (IRIS_SERVER): records wait in %s", config.records_dir)
            application.wait()
            log.info("stopping; Ctrl+C again leaves at once")
            cleanup_threads()
    except (ConfigError, CannotServe, ModelError, IrisError) as error:
        log.error("%s", error)
        logs.stop_logging()
        return EXIT_USAGE
    return 0
