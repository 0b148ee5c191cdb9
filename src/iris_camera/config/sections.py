"""The whole configuration, as one frozen value made of the rooms' own.

Every section has a default, so `Config()` is a line that runs: the made-up camera, records that wait in their folder
because no server is known. It is as pleasant to make in code as in a file:

    Config(
        cameras={"line-1": CameraSettings(source="file:belt.mp4")},
        servers={"plant": ServerSettings("sftp.example.org", "iris", private_key="/etc/iris/key")},
    )
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from iris_camera.camera.settings import SourceSettings
from iris_camera.config.problem import did_you_mean, listed
from iris_camera.config.servers import ServerSettings
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.csv_name import check_camera
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_camera.web.settings import WebSettings
from iris_communication.settings import DeliverySettings
from iris_communication.sftp_uploader_thread import default_outbox_dir

DEFAULT_CAMERA = "line-1"
DEFAULT_SERVER = "default"  # the name of the one that IRIS_SERVER or --server gives


@dataclass(frozen=True, slots=True)
class CameraSettings(SourceSettings):
    """One camera: where its pictures come from, who looks at them, where its records go."""

    enabled: bool = field(default=True, metadata={"doc": "false: it is left alone, and shown as disabled"})
    project: str = field(
        default="",
        metadata={"doc": "the project in remote paths, one path component; the camera's name if it is not given"},
    )
    server: str = field(
        default="",
        metadata={
            "doc": 'a name of [servers.*]; if it is not given, the one called "default", or the only one',
            "example": "plant",
        },
    )
    inspection: InspectionSettings | None = field(
        default=None, metadata={"doc": "takes the place of the whole of [inspection] for this camera"}
    )

    def __post_init__(self) -> None:
        SourceSettings.__post_init__(self)  # by its name: a dataclass with slots is not the class super() looks for
        if "/" in self.project or "\0" in self.project or self.project in {".", ".."}:
            raise ValueError(f'project is "{self.project}": expected one path component, without "/" and not ".."')


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Where files wait until they are delivered."""

    folder: Path | None = field(
        default=None,
        metadata={
            "doc": "on a disk that survives a power cut; ~/.local/state/iris/outbox if it is not given",
            "example": "/var/lib/iris/outbox",
        },
    )
    max_queue_size: int = field(
        default=100_000, metadata={"doc": "files that may wait; beyond it records stay in their own folder"}
    )

    def __post_init__(self) -> None:
        if self.max_queue_size < 1:
            raise ValueError(f"max_queue_size is {self.max_queue_size}: expected at least 1")


Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What goes to standard error."""

    level: Level = field(default="INFO", metadata={"doc": "what is less important is left out"})

    @property
    def number(self) -> int:
        return logging.getLevelNamesMapping()[self.level]


@dataclass(frozen=True, slots=True)
class Config:
    """Raises ValueError for a camera or server name that cannot be used, in `cameras` as in their `server`."""

    cameras: Mapping[str, CameraSettings] = field(
        default_factory=lambda: {DEFAULT_CAMERA: CameraSettings()},
        metadata={"doc": "one table a camera; its name is in file names: letters, digits, - and _"},
    )
    inspection: InspectionSettings = field(default_factory=InspectionSettings)
    records: RecordSettings = field(default_factory=RecordSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    servers: Mapping[str, ServerSettings] = field(
        default_factory=dict, metadata={"doc": "one table an SFTP server; cameras name it"}
    )
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    web: WebSettings = field(default_factory=WebSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def __post_init__(self) -> None:
        for name, camera in self.cameras.items():
            check_camera(name)
            if words := wrong_server(camera.server, list(self.servers)):
                raise ValueError(f"cameras.{name}.server {words}")

    @property
    def outbox_dir(self) -> Path:
        return self.outbox.folder or default_outbox_dir()

    @property
    def records_dir(self) -> Path:
        """Beside the outbox if nothing else is said: on the same disk a record is handed over without being copied."""
        return self.records.folder or self.outbox_dir.parent / "records"

    def project_of(self, camera: str) -> str:
        """Of a camera that is not configured (any more) too: what it left is still to be delivered."""
        return self.cameras[camera].project or camera if camera in self.cameras else camera

    def inspection_of(self, camera: str) -> InspectionSettings:
        return self.cameras[camera].inspection or self.inspection

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that may never be written anywhere."""
        of_servers = [secret for server in self.servers.values() for secret in server.secrets]
        return (*of_servers, *(camera.password for camera in self.cameras.values() if camera.password))

    def server_of(self, camera: str) -> str | None:
        """The name of the camera's server; None: no server is known, its records wait. As `project_of`."""
        named = self.cameras[camera].server if camera in self.cameras else ""
        return named or chosen_server(list(self.servers))


def chosen_server(servers: list[str]) -> str | None:
    """Of a camera that names none."""
    if DEFAULT_SERVER in servers or not servers:
        return DEFAULT_SERVER if servers else None
    return servers[0] if len(servers) == 1 else None


def wrong_server(named: str, servers: list[str]) -> str | None:
    """What is wrong with a camera's `server`, as the rest of a sentence; None: nothing."""
    if named and named not in servers:
        expected = f"expected {listed(servers)}{did_you_mean(named, servers)}" if servers else "there is no [servers.*]"
        return f'is "{named}": {expected}'
    if not named and servers and chosen_server(servers) is None:
        return f"is not given, and there are several: expected {listed(servers)}"
    return None
