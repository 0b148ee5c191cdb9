"""The source of a camera that is switched off in the settings: it is shown, and never opened."""

from iris_camera.camera.frame import Frame
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.source import SourceError


class SwitchedOff:
    """A `Source` without pictures."""

    def __init__(self, name: str, settings: SourceSettings) -> None:
        self.name = name
        self.live = settings.live
        self.frame_rate = settings.frame_rate

    def open(self) -> None:
        raise SourceError("it is switched off in the settings", final=True)

    def read(self) -> Frame | None:
        return None

    def close(self) -> None:
        """There is nothing to close."""
