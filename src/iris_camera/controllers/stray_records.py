"""Hands over the records in the folders of cameras that do not run (any more), as records of those cameras."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from iris_camera.controllers.handing_over import HandingOver
from iris_camera.records.leftovers import cameras_with_leftovers

log = logging.getLogger(__name__)

STRAY_END_S = 2.0


class StrayRecords:
    """`make` builds what hands over the folder of the camera of that name. `of` is by camera, and replaced, never
    changed: other threads read it."""

    def __init__(self, make: Callable[[str], HandingOver]) -> None:
        self._make = make
        self.of: Mapping[str, HandingOver] = {}
        self._unlisted: str | None = None  # why the folder with the leftovers of earlier runs could not be listed

    def start(self, records_dir: Path, running: Mapping[str, str]) -> None:
        """`running` is the run of each camera that runs, by its name."""
        try:
            found = cameras_with_leftovers(records_dir, *running.values())
        except OSError as error:
            text = f"what earlier runs left in {records_dir} cannot be listed"
            self._unlisted = f"{text}: {error}; fix that, then restart Iris"
            log.error("%s", self._unlisted)
            return
        for name in found:
            if name not in running:
                stray = self._make(name)
                stray.start()
                self.of = {**self.of, name: stray}

    def end(self, cameras: set[str]) -> None:
        """End those of cameras that are to run: a folder has one `HandingOver` at a time."""
        ending = [stray for name, stray in self.of.items() if name in cameras]
        self.of = {name: stray for name, stray in self.of.items() if name not in cameras}
        for stray in ending:
            stray.close()
        for stray in ending:
            stray.join(STRAY_END_S)

    def close(self) -> None:
        for stray in self.of.values():
            stray.close()

    @property
    def waiting(self) -> int:
        return sum(stray.counts().waiting for stray in self.of.values())

    @property
    def removed(self) -> int:
        return sum(stray.removed for stray in self.of.values())

    @property
    def left_behind(self) -> list[str | None]:
        return [self._unlisted, *(stray.left_behind for stray in self.of.values())]

    def threads(self) -> list[dict[str, Any]]:
        return [state for stray in self.of.values() for state in stray.threads()]
