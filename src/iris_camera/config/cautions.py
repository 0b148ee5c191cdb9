"""Cautions about settings that can be used: printed by `iris check` and at each start of `iris run`."""

import ipaddress
import os
import stat
from collections.abc import Iterator

from iris_camera.camera.folder_listing import listing, why_nothing
from iris_camera.config.delivery_cautions import of_delivery
from iris_camera.config.given import dotted
from iris_camera.config.problem import Problem, ValueOrigin
from iris_camera.config.reading import SettingsRead
from iris_camera.config.sections import CameraSettings
from iris_camera.health.conditions import Severity
from iris_camera.health.storage import room_reasons
from iris_camera.inspection.settings import DetectorSettings
from iris_communication.admin.outbox_control import holder_of

OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH


def cautions(reading: SettingsRead) -> list[Problem]:
    """In the order of the file."""
    found = [
        *_of_what_is_missing(reading),
        *_of_the_disks(reading),
        *_of_the_outbox(reading),
        *_of_cameras(reading),
        *_of_servers(reading),
        *of_delivery(reading),
        *_of_plain_secrets(reading),
        *_of_the_page(reading),
    ]
    return sorted(found)


def _of_what_is_missing(reading: SettingsRead) -> Iterator[Problem]:
    config = reading.config
    if reading.file is None and not reading.has("cameras", next(iter(config.cameras)), "source"):
        yield Problem(
            ValueOrigin("no settings file"),
            "there is no iris.toml here and none in /etc/iris, so the made-up line runs; "
            "`iris example > iris.toml` begins a file, `iris run --source file:VIDEO` looks at a film",
        )
    if not config.servers:
        yield Problem(
            _whole(reading),
            f"no server is given ([servers.NAME], --server or IRIS_SERVER), so records wait in {config.records_dir}",
        )
    if not any(camera.enabled for camera in config.cameras.values()):
        yield Problem(reading.origin("cameras"), "no camera is enabled, so nothing is looked at")


def _of_the_disks(reading: SettingsRead) -> Iterator[Problem]:
    """What health will report, except what keeps Iris from running, which is an error."""
    config = reading.config
    for name, folder in (("outbox", config.outbox_dir), ("records", config.records_dir)):
        if os.path.isdir(folder):  # noqa: PTH112  # `Path.is_dir` raises where this user may not look
            for reason in room_reasons(name, folder, config.records.disk_reserve_bytes):
                if reason.severity is not Severity.FAILED:
                    yield Problem(reading.origin(name, "folder"), reason.text)


def _of_the_outbox(reading: SettingsRead) -> Iterator[Problem]:
    """Not a mistake: `iris check` may run beside the process that owns the outbox."""
    folder = reading.config.outbox_dir
    if (holder := holder_of(folder)) is not None:
        yield Problem(
            reading.origin("outbox", "folder"),
            f"the outbox {folder} is in use by {holder}: until that ends, another one that runs delivers nothing",
        )


def _of_cameras(reading: SettingsRead) -> Iterator[Problem]:
    config = reading.config
    for name, camera in config.cameras.items():
        if camera.kind != "synthetic" and _is_the_demos(config.inspection_of(name).detector):
            yield Problem(
                reading.origin("cameras", name, "source"),
                f"cameras.{name} is looked at by the demo's own detector, which knows the parts of the made-up line "
                "only: choose one in [inspection.detector], or with --detector haar, hog or FILE.onnx",
            )
        if camera.kind == "dir" and camera.enabled and (text := _of_a_folder(camera)):
            yield Problem(reading.origin("cameras", name, "source"), f"cameras.{name}: {text}")


def _of_a_folder(camera: CameraSettings) -> str | None:
    try:
        return why_nothing(listing(camera.path, with_subfolders=camera.with_subfolders), camera.path)
    except OSError:  # `trial` reports it as a mistake
        return None


def _is_the_demos(detector: DetectorSettings) -> bool:
    return detector.kind == "onnx" and detector.model is None


def _of_servers(reading: SettingsRead) -> Iterator[Problem]:
    servers = reading.config.servers
    for name, server in servers.items():
        if server.host_key_policy == "off" and not server.host_key:
            yield Problem(
                reading.origin("servers", name, "host_key_policy"),
                f'servers.{name}.host_key_policy is "off": the server\'s key is not checked, so anyone on the network '
                "path can impersonate it and keep the files; give its host_key",
            )
    first: dict[str, str] = {}
    for name, server in servers.items():
        earlier = first.setdefault(server.account, name)
        if differing := server.differing(servers[earlier]):
            yield Problem(
                reading.origin("servers", name),
                f"servers.{name} is the account {server.account} of servers.{earlier} with another "
                f"{', '.join(differing)}; an account has one of each, and what is given last counts for both",
            )


def _of_plain_secrets(reading: SettingsRead) -> Iterator[Problem]:
    if reading.file is None or not reading.file.stat().st_mode & OTHERS_MAY_READ:
        return
    for path in reading.plain_secrets:
        origin = reading.origin(*path)
        if origin.place == str(reading.file):
            yield Problem(
                origin,
                f"{dotted(path)} stands here as it is, and others than the file's owner may read this file: "
                f'chmod 600 {reading.file}, or give {{ file = "..." }}, {{ command = [...] }} or '
                '{ environment = "..." }',
            )


def _of_the_page(reading: SettingsRead) -> Iterator[Problem]:
    host = reading.config.web.host
    if not _is_loopback(host):
        yield Problem(
            reading.origin("web", "host"),
            f'web.host is "{host}": everyone who reaches this machine sees the page, which has no login',
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _whole(reading: SettingsRead) -> ValueOrigin:
    return ValueOrigin(str(reading.file)) if reading.file else ValueOrigin("no settings file")
