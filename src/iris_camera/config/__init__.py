"""The settings: `Config` is their value, `read` makes one of file, environment and flags."""

from iris_camera.config.over_the_file import Flags
from iris_camera.config.problem import ConfigError, Problem
from iris_camera.config.reading import find_file, read
from iris_camera.config.sections import CameraSettings, Config, LogSettings, OutboxSettings
from iris_camera.config.servers import ServerSettings
from iris_camera.web.settings import WebSettings

__all__ = [
    "CameraSettings",
    "Config",
    "ConfigError",
    "Flags",
    "LogSettings",
    "OutboxSettings",
    "Problem",
    "ServerSettings",
    "WebSettings",
    "find_file",
    "read",
]
