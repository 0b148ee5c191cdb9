"""Trying out what the settings name, short of running it: do models load, is the footage there, may files be written?

Nothing is created and no network is touched. Each finding has the place its value was given, like any other mistake in
the settings.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iris_camera.camera.source import SourceError
from iris_camera.camera_parts import CameraPartsMissing, check_installed, make_inspector, make_source
from iris_camera.config.problem import Problem
from iris_camera.config.reading import SettingsRead
from iris_camera.config.servers import ServerSettings
from iris_camera.health.conditions import Severity
from iris_camera.health.storage import READ_ONLY, folder_facts, room_reasons
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.private_folder import make_records_folder
from iris_communication.admin.outbox_control import check_folder
from iris_communication.admin.server_trial import unknown_host
from iris_communication.errors import IrisError
from iris_communication.server import private_keys

OTHERS = stat.S_IRWXG | stat.S_IRWXO
MISSING = (FileNotFoundError, NotADirectoryError)
FOOTAGE = {"file", "dir"}


def try_out(reading: SettingsRead) -> list[Problem]:
    """Everything that would not work, in the order of the file; values with a reported mistake are left out."""
    return sorted({*_cameras(reading), *_servers(reading), *_folders(reading)})


def _cameras(reading: SettingsRead) -> Iterator[Problem]:
    in_use = [name for name, camera in reading.config.cameras.items() if camera.enabled]
    try:
        check_installed()
    except CameraPartsMissing as error:
        for name in in_use:
            yield Problem(reading.origin("cameras", name), f"cameras.{name}: {error}")
    else:
        yield from _inspections(reading)
        yield from footage(reading)


def _inspections(reading: SettingsRead) -> Iterator[Problem]:
    """Each different one is made once, for models take a while to load."""
    config = reading.config
    tried: set[InspectionSettings] = set()
    for name, camera in config.cameras.items():
        settings = config.inspection_of(name)
        path = ("cameras", name, "inspection") if camera.inspection else ("inspection",)
        if not camera.enabled or settings in tried or reading.is_wrong(*path):
            continue
        tried.add(settings)
        try:
            make_inspector(settings)
        except ModelError as error:
            yield Problem(reading.origin(*path, *_named_in(str(error), settings)), f"{'.'.join(path)}: {error}")


def _named_in(message: str, settings: InspectionSettings) -> tuple[str, ...]:
    """The key whose value a model's error names; the detector if it names none."""
    keys: list[tuple[tuple[str, ...], Any]] = [
        (("detector", "labels"), settings.detector.labels),
        (("classifier", "labels"), settings.classifier.labels),
        (("detector", "model"), settings.detector.model),
        (("classifier", "model"), settings.classifier.model),
        (("provider",), settings.provider),
        (("detector", "cascade"), settings.detector.cascade),
    ]
    return next((path for path, value in keys if value is not None and str(value) in message), ("detector",))


def footage(reading: SettingsRead) -> Iterator[Problem]:
    """One per camera: films are opened and one picture is read; live cameras are not tried: they may be in use.
    Raises CameraPartsMissing."""
    for name, camera in reading.config.cameras.items():
        if not camera.enabled or camera.kind not in FOOTAGE or reading.is_wrong("cameras", name, "source"):
            continue
        key = ("cameras", name, "source")
        if (wrong := _stat_error(camera.path)) is not None:
            what = "film" if camera.kind == "file" else "folder"
            missing = f"there is no {what} {camera.path}"
            if what == "folder" and "*" in camera.path.name:
                missing += f"; a folder is read whole: dir:{camera.path.parent}"
            why = missing if isinstance(wrong, MISSING) else _cannot_be_looked_at(camera.path, wrong)
            yield Problem(reading.origin(*key), f"{'.'.join(key)}: {why}")
            continue
        if camera.kind == "dir":
            if not camera.path.is_dir() or not os.access(camera.path, os.R_OK | os.X_OK):
                yield Problem(reading.origin(*key), f"{'.'.join(key)}: {camera.path} is no folder that can be read")
            continue
        source = make_source(name, camera)
        try:
            source.open()
            source.read()
        except SourceError as error:
            hint = f"; {error.hint}" if error.hint else ""
            yield Problem(reading.origin(*key), f"{'.'.join(key)}: {error.reason}{hint}")
        finally:
            source.close()


def _stat_error(path: Path) -> OSError | None:
    """Of any kind: `Path.exists` raises some of them, as for a folder above that this user may not enter."""
    try:
        path.stat()
    except OSError as error:
        return error
    return None


def _cannot_be_looked_at(path: Path, error: OSError) -> str:
    return f"{path} cannot be examined: {error.strerror}"


def _servers(reading: SettingsRead) -> Iterator[Problem]:
    for name, server in reading.config.servers.items():
        if reading.is_wrong("servers", name):
            continue
        if _nobody_can_log_in(server):
            yield Problem(
                reading.origin("servers", name),
                f"servers.{name} has neither private_key nor password, and there is no agent (SSH_AUTH_SOCK), so "
                "nobody can log in",
            )
        if server.private_key and (text := _wrong_key(server)):
            yield Problem(reading.origin("servers", name, "private_key"), f"servers.{name}.private_key {text}")
        if text := _unknown_host(server):
            yield Problem(reading.origin("servers", name), f"servers.{name}: {text}")


def _nobody_can_log_in(server: ServerSettings) -> bool:
    """With `ssh`, its own keys and those of ssh_config count too, and only a connection shows whether they work."""
    is_given = server.password or server.private_key
    return not is_given and server.transport == "asyncssh" and not os.environ.get("SSH_AUTH_SOCK")


def _wrong_key(server: ServerSettings) -> str | None:
    path = None if private_keys.is_text(server.private_key) else Path(server.private_key)
    which = f"is {path}, which" if path else "is a text that"
    import asyncssh  # noqa: PLC0415 - takes long, and `iris --help` imports this module

    try:
        key = private_keys.content(server.private_key)
        if (trouble := private_keys.trouble(key)) is not None:
            return f"{which} {trouble}"
        asyncssh.import_private_key(private_keys.in_order(key), server.passphrase or None)
        mode = path.stat().st_mode if path else 0
    except OSError as error:
        return f"{which} cannot be read: {error.strerror}"
    except (ValueError, RuntimeError) as error:
        return f"{which} cannot be used: {error}"
    if mode & OTHERS:
        return f"is {path}, which others than its owner may use (mode {stat.S_IMODE(mode):o}): chmod 600 {path}"
    return None


def _unknown_host(server: ServerSettings) -> str | None:
    """Why Iris would refuse the server's host key at the first connection."""
    if (why := unknown_host(server.info())) is None:
        return None
    return (
        f"{why}, so it would be refused: give its host_key (what "
        f"`ssh-keyscan -p {server.port} {server.host}` prints, if you trust the network in between), or "
        'host_key_policy = "accept-new"'
    )


def _refused_for_who_may_write(folder: Path, *, is_outbox: bool) -> str:
    """Why the start would refuse the folder; empty: it would not."""
    try:
        if is_outbox:
            check_folder(folder)
        else:
            make_records_folder(folder)
    except IrisError as error:
        return f"{error}; {error.hint}"
    return ""


def _folders(reading: SettingsRead) -> Iterator[Problem]:
    config = reading.config
    outbox, records = ("outbox", "folder"), ("records", "folder")
    is_known = not reading.is_wrong(*outbox)
    folders = {outbox: config.outbox_dir} if is_known else {}
    # Records without a folder of their own lie beside the outbox.
    if (is_known or config.records.folder) and not reading.is_wrong(*records):
        folders[records] = config.records_dir
    for key, folder in folders.items():
        there = next((place for place in (folder, *folder.absolute().parents) if not _stat_error(place)), Path("/"))
        if (error := _stat_error(folder)) and not isinstance(error, MISSING):
            yield Problem(reading.origin(*key), f"{'.'.join(key)}: {_cannot_be_looked_at(folder, error)}")
        elif not there.is_dir():
            yield Problem(reading.origin(*key), f"{'.'.join(key)} is {folder}, but {there} is no folder")
        elif folder_facts(there).not_writable == READ_ONLY:
            yield Problem(reading.origin(*key), f"{'.'.join(key)} is {folder}, on a disk that is mounted read-only")
        elif not os.access(there, os.W_OK | os.X_OK):
            what = "may not be written to" if there == folder else f"cannot be made: {there} may not be written to"
            yield Problem(reading.origin(*key), f"{'.'.join(key)} is {folder}, which {what} by this user")
        elif there == folder and there.stat().st_uid != os.geteuid():
            user = there.stat().st_uid
            text = f"{'.'.join(key)} is {folder}, which belongs to user {user}: run as that user, or name another"
            yield Problem(reading.origin(*key), text)
        elif there == folder and (why := _refused_for_who_may_write(folder, is_outbox=key == outbox)):
            yield Problem(reading.origin(*key), f"{'.'.join(key)} is {folder}: {why}")
        else:
            yield from (
                Problem(reading.origin(*key), f"{'.'.join(key)} is {folder}: {reason.text}")
                for reason in room_reasons(key[0], there, config.records.disk_reserve_bytes)
                if reason.severity is Severity.FAILED
            )
