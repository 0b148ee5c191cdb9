"""The application: the one place that picks the parts, and the order in which they start, change and end.

Start: logging, uploader, cameras, health, page. The uploader comes first: its recovery settles what a crash left half
accepted before the cameras look for left-over records. An outbox that cannot be opened does not stop the cameras: their
records wait in `ready/`, and the application tries again to open it.

Change: settings that were read again are compared with those that run. A change that can take effect does, one camera
at a time; any other is logged, and waits for the next start.

End: first quiesce (recorders close, name and queue the open files), then the uploader drains while the page still
answers, then camera threads, page and sockets, health, the outbox, logging. See shutdown.py for the bounds.
"""

import contextlib
import importlib.metadata
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from iris_camera import logs
from iris_camera.config import Config, ConfigError
from iris_camera.config.changes import changes, what_can_run
from iris_camera.controllers import camera_controller
from iris_camera.controllers.camera_controller import Camera, CameraSetup
from iris_camera.controllers.evidence_writer import EvidenceWriter
from iris_camera.controllers.handing_over import DeliveryTarget, HandingOver, Uploader
from iris_camera.controllers.lineup import Exchanged, Lineup
from iris_camera.controllers.observers import NOBODY, Observers
from iris_camera.controllers.stray_records import StrayRecords
from iris_camera.health import HealthService
from iris_camera.health.facts import USUAL, Around, HealthLimits, OutboxTrouble
from iris_camera.health.what_is_left import what_is_left
from iris_camera.records.camera_run import CameraRun
from iris_camera.records.csv_name import new_run
from iris_camera.records.kept_files import KeptFiles
from iris_camera.shutdown import Step, carry_out
from iris_camera.web.live import SocketManager
from iris_camera.web.server import CannotServe, WebServer, bind, create_app
from iris_camera.web.state import whole_snapshot
from iris_communication.errors import IrisError, OutboxInUse
from iris_communication.runtime.amounts import files
from iris_communication.sftp_uploader_thread import SftpUploaderThread, get_sftp_uploader

log = logging.getLogger(__name__)

UPLOADER_STOP_S = 15.0
EXIT_STOP_S = 5.0
UPLOADER_RETRY_S = 10.0
LOOK_S = 0.5  # between two checks whether every source has ended
NO_SERVER = ""  # of a camera whose records wait until a server is configured


class Application:
    """Made of a config; nothing is opened before `start()`. `limits` are the thresholds from which health reports a
    condition. Raises ModelError when a camera's detector or classifier cannot be used."""

    def __init__(
        self,
        config: Config,
        *,
        uploader: SftpUploaderThread | None = None,
        read_again: Callable[[], Config] | None = None,
        observers: Observers = NOBODY,
        notice: Callable[[], str] | None = None,
        limits: HealthLimits = USUAL,
    ) -> None:
        self._config = config
        self._read_again = read_again
        self.uploader = uploader or get_sftp_uploader(
            outbox_dir=config.outbox_dir,
            max_queue_size=config.outbox.max_queue_size,
            settings=config.delivery,
            limits=config.outbox.limits,
        )
        _hide_secrets(config)
        self._observers = observers
        self.lineup = Lineup(self._camera)
        self.lineup.prepare(camera_setups(config))
        self.health = HealthService(
            cameras=lambda: self.lineup.cameras,
            uploader=self.uploader,
            outbox_dir=config.outbox_dir,
            records_dir=config.records_dir,
            around=self._around,
            threads=self.health_threads,
            limits=replace(limits, disk_reserve_bytes=config.records.disk_reserve_bytes),
        )
        self.snapshot = whole_snapshot(
            cameras=lambda: self.lineup.cameras,
            uploader=self.uploader,
            health=self.health.snapshot,
            records=self._records_snapshot,
            version=importlib.metadata.version("iris-edge"),
            notice=notice,
        )
        self.kept = KeptFiles(config.records_dir, config.records.keep_limits, self.uploader.owed_names)
        self.strays = StrayRecords(self._stray)
        self._not_opened: OutboxTrouble | None = None
        self.sockets = SocketManager(self.snapshot)
        self.web: WebServer | None = None
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop_requested = False
        self._uploader_tried_s = time.monotonic()
        self._ending = threading.Lock()
        self._ended = False

    @property
    def web_address(self) -> str:
        """Where the page is; empty before `start()`."""
        return self.web.address if self.web is not None else ""

    def start(self) -> None:
        """Raises CannotServe when the page's port cannot be had and the config requires it; nothing is started then."""
        self.web = self._web_server()
        self._start_uploader()
        self.lineup.start()
        running = {camera.name: camera.run for camera in self.lineup.cameras if camera.setup.enabled}
        self.strays.start(self._config.records_dir, running)
        self.kept.start()
        self.health.start()
        if self.web is not None:
            self.web.start()
            log.info("the page is at %s", self.web.address)

    def request_stop(self) -> None:
        """May be called from a signal handler: nothing here takes a lock that the interrupted code could hold."""
        self._orders.put("stop")

    def request_reload(self) -> None:
        """As `request_stop`; the thread inside `wait` carries it out."""
        self._orders.put("reload")

    def wait(self, timeout_s: float | None = None) -> bool:
        """Sleep until `request_stop`, at most `timeout_s`; whether it was called. Meanwhile carry out `request_reload`,
        and try again to start an uploader that could not start."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._stop_requested:
            left_s = UPLOADER_RETRY_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                break
            with contextlib.suppress(queue.Empty):
                self._obey(self._orders.get(timeout=min(left_s, UPLOADER_RETRY_S)))
            due = time.monotonic() - self._uploader_tried_s >= UPLOADER_RETRY_S
            if due and self.uploader.get_details()["state"] == "new":
                self._start_uploader()
        return self._stop_requested

    def _obey(self, order: str) -> None:
        if order == "stop":
            self._stop_requested = True
        else:
            self._reload()

    def wait_until_done(self) -> bool:
        """Sleep until `request_stop`, or until every source has ended and its records are delivered, or cannot be
        for now. Whether all is well: false when a source ended before its time."""
        logged = False
        while not self.wait(LOOK_S):
            if not self.lineup.ended:
                continue
            if not logged:
                log.info("every source has ended; the remaining records are being delivered")
                logged = True
            if not self._still_delivering():
                return not any(camera.ended_in_trouble for camera in self.lineup.cameras)
        return True

    def apply(self, config: Config) -> None:
        """Have the running parts follow `config`, as far as they can without a restart; log each change."""
        found = changes(self._config, config)
        for change in found.restart:
            log.warning("reload: %s; that takes effect at the next start", change)
        for change in (*found.now, *found.cameras):
            log.info("reload: %s", change)
        if not found:
            log.info("reload: the settings have not changed")
        config = what_can_run(self._config, config)
        _hide_secrets(config)
        logs.start_logging(config.log.number)
        self._config = config
        try:
            self._configure_servers()
        except IrisError as error:
            log.error("reload: the servers are updated once the uploader runs: %s. %s", error, error.hint)
        self.kept.limit(config.records.keep_limits)
        setups = camera_setups(config)
        self.strays.end({setup.name for setup in setups if setup.enabled})
        _log_exchange(self.lineup.exchange(setups))

    def cleanup_threads(self) -> None:
        """The orderly end, bounded as a whole; harmless when it was done before."""
        with self._ending:
            if self._ended:
                return
            self._ended = True
            began_s = time.monotonic()
            carry_out(self._steps())
            log.info("stopped in %.1f s: %s", time.monotonic() - began_s, self._left())
            logs.stop_logging()

    def cleanup_on_exit(self) -> None:
        """The fast end, at interpreter exit: five seconds for uploads under way, no new connection."""
        if not self._ended:
            self._ended = True
            self._quiesce(1.0)
            self.uploader.stop(timeout=EXIT_STOP_S, connect=False)
            self.uploader.close()

    def _steps(self) -> list[Step]:
        return [
            Step("records are closed and queued", 2.0, self._quiesce),
            Step("the uploader finishes what it can", 18.0, self._stop_uploader, self._to_go),
            Step("camera threads end", 2.0, self._stop_cameras),
            Step("page and sockets close", 1.5, self._stop_web),
            Step("the health service ends", 0.5, self.health.stop),
            Step("the outbox is given back", 1.0, self.uploader.close),
        ]

    def _quiesce(self, limit_s: float) -> None:
        self.strays.close()
        if not self.lineup.quiesce(limit_s):
            log.warning("not all records could be queued within %.1f s; the next start queues them", limit_s)

    def _stop_cameras(self, limit_s: float) -> None:
        self.kept.close()
        if not self.lineup.stop(limit_s):
            log.warning("not all camera threads ended within %.1f s", limit_s)

    def _stop_uploader(self, limit_s: float) -> None:
        self.uploader.stop(timeout=min(UPLOADER_STOP_S, limit_s))

    def _stop_web(self, limit_s: float) -> None:
        self.sockets.stop()
        if self.web is not None:
            self.web.stop()

    def _to_go(self) -> str:
        return f"{files(self.uploader.get_stats()['queue_size'])} to go"

    def _left(self) -> str:
        """What is left for the next start, as a sentence."""
        cameras = [camera.snapshot() for camera in self.lineup.cameras]
        return what_is_left(self.uploader.get_details(), self._config.outbox_dir, self._around(), cameras)

    def _still_delivering(self) -> bool:
        if not self._config.servers:
            return False
        details = self.uploader.get_details()
        down = any(server["link"] == "down" or server.get("paused") for server in details["servers"].values())
        waiting = details["stats"]["queue_size"] + self._waiting_records()
        return bool(details["running"] and waiting and not down)

    def _around(self) -> Around:
        return Around(
            servers_known=bool(self._config.servers),
            records_folder=str(self._config.records_dir),
            to_accept=self._waiting_records(),
            removed=self._removed_records(),
            left_behind=self._left_behind(),
            being_written=sum(camera.being_written for camera in self.lineup.cameras),
            not_opened=self._not_opened,
            stopping=self._ended,
        )

    def health_threads(self) -> list[dict[str, Any]]:
        """The states of the application's long-lived threads; the uploader reports its own."""
        parts = [*self.lineup.cameras, self.strays, self.kept, self.health, self.web]
        return [*logs.threads(), *(state for part in parts if part is not None for state in part.threads())]

    def _waiting_records(self) -> int:
        of_cameras = sum(camera.waiting_records for camera in self.lineup.cameras)
        return of_cameras + self.strays.waiting

    def _removed_records(self) -> int:
        of_cameras = sum(camera.removed_records for camera in self.lineup.cameras)
        return of_cameras + self.strays.removed

    def _left_behind(self) -> tuple[str, ...]:
        of_cameras = [camera.left_behind for camera in self.lineup.cameras]
        return tuple(text for text in (*of_cameras, *self.strays.left_behind) if text)

    def _camera(self, setup: CameraSetup) -> Camera:
        return Camera(setup, self._uploader_for(setup.destination), observers=self._observers)

    def _uploader_for(self, destination: DeliveryTarget) -> Uploader:
        return NobodyToAsk() if destination.sftp_server_info == NO_SERVER else self.uploader

    def _stray(self, camera: str) -> HandingOver:
        """What hands over the files of a camera that does not run."""
        config, destination = self._config, _destination(self._config, camera)
        whose = CameraRun(camera, new_run(), config.records_dir / camera)
        evidence = EvidenceWriter(whose, config.evidence, config.records.disk_reserve_bytes)
        return HandingOver(whose, self._uploader_for(destination), destination, config.records, evidence)

    def _records_snapshot(self) -> dict[str, Any]:
        """How many delivered files are kept, and how many were removed."""
        status = self.kept.status()
        last = status.last_removed
        return {**status._asdict(), "last_removed": None if last is None else last._asdict()}

    def _web_server(self) -> WebServer | None:
        """Already bound to its port, so that a port in use shows before anything else starts."""
        web = self._config.web
        try:
            bound = bind(host=web.host, port=web.port, fall_back=web.port_falls_back)
        except CannotServe as error:
            if web.page_required:
                raise
            log.error("%s; cameras and uploader keep running without the page", error)
            return None
        page = create_app(
            snapshot=self.snapshot,
            health=self.health.snapshot,
            pictures=self.lineup.pictures,
            live=self.sockets,
            routers=[camera_controller.routes(self.uploader)],
            own_names=web.own_names,
        )
        return WebServer(page, bound=bound)

    def _start_uploader(self) -> None:
        self._uploader_tried_s = time.monotonic()
        try:
            self.uploader.start()
            self._configure_servers()
            self._not_opened = None
        except IrisError as error:
            trouble = OutboxTrouble(str(error), error.hint, in_use=isinstance(error, OutboxInUse))
            if trouble != self._not_opened:
                log.error("the uploader did not start: %s. %s. Records wait in their folder", error, error.hint)
            self._not_opened = trouble

    def _configure_servers(self) -> None:
        for name, server in self._config.servers.items():
            self.uploader.configure_server(name, server.info())

    def _reload(self) -> None:
        if self._read_again is None:
            log.warning("reload: there is no settings file to read again")
            return
        try:
            config = self._read_again()
        except ConfigError as error:
            for problem in error.problems:
                log.error("reload: %s", problem)
            log.error("reload: the new settings are invalid; everything keeps running with the old ones")
            return
        self.apply(config)


class NobodyToAsk:
    """In place of the uploader while no server is configured (logged at the start): files stay in `ready/`."""

    def queue_upload(self, *_: object, **__: object) -> bool:
        return False

    def queue_uploads(self, requests: Sequence[object]) -> list[bool]:
        return [False] * len(requests)


def camera_setups(config: Config) -> list[CameraSetup]:
    """What each camera of a config is made of."""
    return [
        CameraSetup(
            name=name,
            source=camera,
            inspection=config.inspection_of(name),
            records=config.records,
            evidence=config.evidence,
            destination=_destination(config, name),
            folder=config.records_dir / name,
            enabled=camera.enabled,
        )
        for name, camera in config.cameras.items()
    ]


def _destination(config: Config, camera: str) -> DeliveryTarget:
    servers = config.servers_of(camera)
    info = NO_SERVER if not servers else servers[0] if len(servers) == 1 else servers
    return DeliveryTarget(info, {"project": config.project_of(camera)})


def _hide_secrets(config: Config) -> None:
    for secret in config.secrets:
        logs.hide(secret)


def _log_exchange(exchanged: Exchanged) -> None:
    for names, what in (
        (exchanged.added, "added"),
        (exchanged.removed, "removed"),
        (exchanged.restarted, "restarted with its new settings"),
    ):
        for name in names:
            log.info("reload: camera %s was %s", name, what)
    for name, why in exchanged.refused.items():
        log.error("reload: camera %s keeps its old settings, because the new ones do not work: %s", name, why)
