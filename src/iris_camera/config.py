"""What an application is made of, as one frozen value; from the environment where nothing else is said.

IRIS_SERVER   a JSON file with the server's sftp_server_info (host, username, password or private_key, host_key,
              remote_directory); without it records wait in their folder
IRIS_PROJECT  the project's name in remote paths (line-1)
IRIS_RECORDS  the folder of the record files
IRIS_OUTBOX   the outbox's folder
IRIS_PORT     the page's port (5000)
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iris_communication.settings import DeliverySettings, parse_server
from iris_communication.sftp_uploader_thread import default_outbox_dir

DEFAULT_PORT = 5000
MAX_QUEUE_SIZE = 100_000


class ConfigError(ValueError):
    """A setting that cannot be used: names it, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A record file is finished at the first of these."""

    rows_max: int = 10_000
    size_bytes_max: int = 1_000_000
    age_s_max: float = 60.0


@dataclass(frozen=True, slots=True)
class Config:
    records_dir: Path
    outbox_dir: Path
    project: str = "line-1"
    server_info: Mapping[str, Any] | None = field(default=None, repr=False)  # None: not known yet, records wait
    port: int = DEFAULT_PORT
    port_falls_back: bool = False  # take a free port when the wanted one is in use
    page_required: bool = False  # True: without its port nothing starts; False: the line runs without the page
    rotation: Rotation = field(default_factory=Rotation)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    max_queue_size: int = MAX_QUEUE_SIZE


def from_environment(environment: Mapping[str, str] = os.environ) -> Config:
    """Raises ConfigError."""
    outbox_dir = default_outbox_dir(environment)
    server_file = environment.get("IRIS_SERVER")
    return Config(
        records_dir=Path(environment.get("IRIS_RECORDS") or outbox_dir.parent / "records"),
        outbox_dir=outbox_dir,
        project=environment.get("IRIS_PROJECT", "line-1"),
        server_info=read_server_info(Path(server_file)) if server_file else None,
        port=_port(environment.get("IRIS_PORT", str(DEFAULT_PORT))),
    )


def read_server_info(path: Path) -> dict[str, Any]:
    """The sftp_server_info in a JSON file. Raises ConfigError, never showing a value of it."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the server file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"the server file {path} is no JSON: {error}") from None
    if not isinstance(info, dict):
        raise ConfigError(f"the server file {path} holds a {type(info).__name__}: expected an object with host ...")
    try:
        parse_server(info)
    except ValueError as error:
        raise ConfigError(f"the server file {path}: {error}") from None
    return info


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise ConfigError(f"IRIS_PORT is {text!r}: expected a number from 0 (any free one) to 65535")
    return int(text)
