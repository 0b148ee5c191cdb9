"""The cameras of this process: starts, replaces and ends each of them while the others run on.

A camera whose setup changes is ended and made anew; the others are not touched. The mapping of cameras is replaced as a
whole, so that its readers (the page, the health service) need no lock.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from iris_camera.controllers.camera_controller import Camera, CameraSetup
from iris_camera.inspection.model_error import ModelError
from iris_camera.web.picture import PictureSource

log = logging.getLogger(__name__)


class Exchanged(NamedTuple):
    """The result of a change, by the cameras' names."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    restarted: tuple[str, ...]
    refused: dict[str, str]  # why the old camera was left running


class Lineup:
    """`make` builds a camera of a setup and may raise ModelError."""

    def __init__(self, make: Callable[[CameraSetup], Camera]) -> None:
        self._make = make
        self._cameras: Mapping[str, Camera] = {}
        self._changing = threading.Lock()
        self._ending = False

    @property
    def cameras(self) -> tuple[Camera, ...]:
        return tuple(self._cameras.values())

    def pictures(self) -> dict[str, PictureSource]:
        return {camera.name: camera.picture for camera in self.cameras}

    @property
    def ended(self) -> bool:
        """True when every camera that is switched on has come to the end of its source."""
        running = [camera for camera in self.cameras if camera.setup.enabled]
        return bool(running) and all(camera.ended for camera in running)

    def prepare(self, setups: Iterable[CameraSetup]) -> None:
        """Make the first cameras without starting them. Raises ModelError."""
        self._cameras = {setup.name: self._make(setup) for setup in setups}

    def start(self) -> None:
        for camera in self.cameras:
            camera.start()

    def exchange(self, setups: Iterable[CameraSetup], timeout_s: float = 5.0) -> Exchanged:
        """Run the cameras of `setups` and no others; those whose setup is unchanged run on undisturbed.

        A camera whose new setup cannot be made (its model does not load) goes on with its old one.
        """
        with self._changing:
            if self._ending:
                return Exchanged((), (), (), {})
            wanted = {setup.name: setup for setup in setups}
            before = self._cameras
            fresh, refused = self._made(
                setup for name, setup in wanted.items() if name not in before or before[name].setup != setup
            )
            leaving = [camera for name, camera in before.items() if name in fresh or name not in wanted]
            self._end(leaving, timeout_s)
            kept = {name: camera for name, camera in before.items() if camera not in leaving}
            merged = kept | fresh
            self._cameras = {name: merged[name] for name in wanted if name in merged}
            for camera in fresh.values():
                camera.start()
            return Exchanged(
                added=tuple(name for name in fresh if name not in before),
                removed=tuple(name for name in before if name not in wanted),
                restarted=tuple(name for name in fresh if name in before),
                refused=refused,
            )

    def quiesce(self, timeout_s: float) -> bool:
        """End capturing, and wait until everything that was captured is recorded and queued; whether it is."""
        with self._changing:
            self._ending = True
            return self._quiesce(self.cameras, timeout_s)

    def stop(self, timeout_s: float) -> bool:
        """Join the cameras' threads; whether all have ended."""
        deadline_s = time.monotonic() + timeout_s
        ended = [camera.stop(max(0.0, deadline_s - time.monotonic())) for camera in self.cameras]
        return all(ended)

    def _made(self, setups: Iterable[CameraSetup]) -> tuple[dict[str, Camera], dict[str, str]]:
        made, refused = {}, {}
        for setup in setups:
            try:
                made[setup.name] = self._make(setup)
            except ModelError as error:
                refused[setup.name] = str(error)
        return made, refused

    def _end(self, leaving: list[Camera], timeout_s: float) -> None:
        quiet = self._quiesce(leaving, timeout_s)
        ended = [camera.stop(timeout_s) for camera in leaving]
        if not (quiet and all(ended)):
            log.warning("not all threads of %s ended within %.0f s", _listed(leaving), timeout_s)

    def _quiesce(self, cameras: Iterable[Camera], timeout_s: float) -> bool:
        """All at once: close every source, then wait for each camera, within one timeout."""
        cameras = list(cameras)
        deadline_s = time.monotonic() + timeout_s
        for camera in cameras:
            camera.close()
        quiet = [camera.quiesce(max(0.0, deadline_s - time.monotonic())) for camera in cameras]
        return all(quiet)


def _listed(cameras: Iterable[Camera]) -> str:
    return ", ".join(camera.name for camera in cameras) or "none"
