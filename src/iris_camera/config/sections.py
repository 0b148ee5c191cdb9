"""The whole configuration, as one frozen value made of the packages' own settings.

Every section has a default, so `Config()` can run: the synthetic line, whose records wait in their folder because no
server is known. In code it is made like this:

    Config(
        cameras={"line-1": CameraSettings(source="file:belt.mp4")},
        servers={"plant": ServerSettings("sftp.example.org", "iris", private_key="/etc/iris/key")},
    )
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from iris_camera.camera.settings import SourceSettings
from iris_camera.config.problem import did_you_mean, listed
from iris_camera.config.servers import ServerSettings
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.csv_name import check_camera
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_camera.web.settings import WebSettings
from iris_communication.settings import DeliverySettings, Limits, Rule, WhenFull
from iris_communication.sftp_uploader_thread import default_outbox_dir

DEFAULT_CAMERA = "line-1"
DEFAULT_SERVER = "default"  # the name of the one that IRIS_SERVER or --server gives

# Comes after all rules of the settings: pictures of defects go before record files, unless a rule of the settings says
# otherwise. A rule of this name takes the place of this one.
EVIDENCE_FIRST = "evidence-first"
BUILT_IN_RULES = {EVIDENCE_FIRST: Rule(folder_type="evidence", priority=5)}

# Below the reserve of [records], so that evidence and kept files give way before records are kept from the outbox.
OUTBOX_RESERVE_BYTES = 50_000_000

_LIMITS = {found.name: found for found in fields(Limits)}


@dataclass(frozen=True, slots=True)
class CameraSettings(SourceSettings):
    """One camera: where its pictures come from, what inspects them, where its records go."""

    enabled: bool = field(default=True, metadata={"doc": "false: it is left alone, and shown as disabled"})
    project: str = field(
        default="",
        metadata={"doc": "the project in remote paths, one path component; the camera's name if it is not given"},
    )
    server: str | tuple[str, ...] = field(
        default="",
        metadata={
            "doc": "a name of [servers.*], or a list of names: each file then goes to each of them; if it is not "
            'given, the one called "default", or the only one',
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

    @property
    def servers(self) -> tuple[str, ...]:
        """The names in `server`."""
        return names_given(self.server)


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
    bytes_max: int | None = field(default=None, metadata=_LIMITS["bytes_max"].metadata)
    disk_reserve_bytes: int = field(
        default=OUTBOX_RESERVE_BYTES,
        metadata={"doc": "bytes left free on its disk: below, records stay in their own folder and are offered again"},
    )
    when_full: WhenFull = field(default=_LIMITS["when_full"].default, metadata=_LIMITS["when_full"].metadata)

    def __post_init__(self) -> None:
        if self.max_queue_size < 1:
            raise ValueError(f"max_queue_size is {self.max_queue_size}: expected at least 1")
        Limits(self.bytes_max, self.disk_reserve_bytes, self.when_full)  # raises for one that is out of range

    @property
    def limits(self) -> Limits:
        """The limits besides the number of files."""
        return Limits(self.bytes_max, self.disk_reserve_bytes, self.when_full)


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
    """Raises ValueError for a camera or server name that cannot be used, in `cameras` as in their `server`. The rules
    of `delivery` are those that were given, and after them the built-in ones."""

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
            if text := wrong_server(camera.servers, list(self.servers)):
                raise ValueError(f"cameras.{name}.server {text}")
        rules = {**self.delivery.rules, **{k: v for k, v in BUILT_IN_RULES.items() if k not in self.delivery.rules}}
        object.__setattr__(self, "delivery", replace(self.delivery, rules=rules))

    @property
    def outbox_dir(self) -> Path:
        return self.outbox.folder or default_outbox_dir()

    @property
    def records_dir(self) -> Path:
        """Beside the outbox by default: on the same disk a record is handed over without being copied."""
        return self.records.folder or records_beside(self.outbox_dir)

    def project_of(self, camera: str) -> str:
        """Also of a camera that is not configured (any more): its leftovers are still to be delivered."""
        return self.cameras[camera].project or camera if camera in self.cameras else camera

    def inspection_of(self, camera: str) -> InspectionSettings:
        return self.cameras[camera].inspection or self.inspection

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that may never be written anywhere."""
        of_servers = [secret for server in self.servers.values() for secret in server.secrets]
        return (*of_servers, *(camera.password for camera in self.cameras.values() if camera.password))

    def servers_of(self, camera: str) -> tuple[str, ...]:
        """The names of the camera's servers; none: its records wait. Also of a camera that is not configured."""
        named = self.cameras[camera].servers if camera in self.cameras else ()
        chosen = chosen_server(list(self.servers))
        return named or ((chosen,) if chosen else ())


def records_beside(outbox: Path) -> Path:
    return outbox.parent / "records"


def names_given(server: Any) -> tuple[str, ...]:
    """The names in a camera's `server`."""
    if isinstance(server, str):
        return (server,) if server else ()
    return tuple(server)


def chosen_server(servers: list[str]) -> str | None:
    """The server of a camera that names none."""
    if DEFAULT_SERVER in servers or not servers:
        return DEFAULT_SERVER if servers else None
    return servers[0] if len(servers) == 1 else None


def wrong_server(named: tuple[str, ...], servers: list[str]) -> str | None:
    """What is wrong with the names in a camera's `server`, as the rest of a sentence; None: nothing."""
    for name in named:
        if name not in servers:
            expected = (
                f"expected {listed(servers)}{did_you_mean(name, servers)}" if servers else "there is no [servers.*]"
            )
            return f'{"is" if len(named) == 1 else "holds"} "{name}": {expected}'
        if named.count(name) > 1:
            return f'names "{name}" twice: a file goes to each server once'
    if not named and servers and chosen_server(servers) is None:
        return f"is not given, and there are several: expected {listed(servers)}"
    return None
