"""From file, environment and flags to one `Config`; a later one overrides an earlier one.

    flags > environment > file > defaults

All mistakes are collected and raised at once. Only the sources of settings are opened: the settings file, a server's
JSON, a secret's file or command.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from iris_camera.config.checking import make, remove_unknown
from iris_camera.config.files import read_toml
from iris_camera.config.given import Given, dotted
from iris_camera.config.over_the_file import CONFIG_VARIABLE, Flags, apply_environment, apply_flags
from iris_camera.config.paths import with_home, with_paths_from
from iris_camera.config.problem import ConfigError, Problem, ValueOrigin
from iris_camera.config.schema import fields_of, named_tables_of, table_of
from iris_camera.config.secret_reference import SecretUnavailable, fetched
from iris_camera.config.sections import DEFAULT_CAMERA, Config, names_given, wrong_server
from iris_camera.config.toml_lines import KeyPath
from iris_camera.records.csv_name import check_camera
from iris_communication.errors import InvalidRequest
from iris_communication.server import private_keys
from iris_communication.sftp_uploader_thread import default_outbox_dir

LOCAL_FILE = Path("iris.toml")
SYSTEM_FILE = Path("/etc/iris/iris.toml")


@dataclass(frozen=True, slots=True)
class SettingsRead:
    """A configuration, and where each of its values was given."""

    config: Config
    file: Path | None
    _given: Given

    def origin(self, *path: str) -> ValueOrigin:
        """The origin of a key, or of the nearest table around it that was given."""
        return self._given.origin(path)

    def is_wrong(self, *path: str) -> bool:
        """Whether a mistake was reported there; then its value is not the intended one, and is not tried out."""
        return self._given.is_wrong(path)

    def has(self, *path: str) -> bool:
        """Whether it was given at all."""
        return self._given.value(path) is not None

    @property
    def plain_secrets(self) -> list[tuple[str, ...]]:
        """The keys whose secret stands in the settings file itself."""
        return sorted(self._given.plain_secrets)


def find_file(named: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The settings file: the one that was named, else $IRIS_CONFIG, else ./iris.toml, else /etc/iris/iris.toml."""
    if named is not None:
        return named
    if variable := environment.get(CONFIG_VARIABLE):
        return with_home(variable)
    return next((path for path in (LOCAL_FILE, SYSTEM_FILE) if _may_be_there(path)), None)


def _may_be_there(path: Path) -> bool:
    """Also True if this user may not look: reading it is then an error, and no other file takes its place."""
    try:
        return path.is_file()
    except OSError:
        return True


def read(path: Path | None, environment: Mapping[str, str] = os.environ, flags: Flags | None = None) -> Config:
    """Raises ConfigError with everything that is wrong. `path` None: only environment and flags."""
    return read_with_origins(path, environment, flags).config


def read_with_origins(
    path: Path | None, environment: Mapping[str, str] = os.environ, flags: Flags | None = None
) -> SettingsRead:
    """The same, with the origin of each value."""
    reading, problems = read_what_can_be(path, environment, flags)
    if reading is None or problems:
        raise ConfigError(problems)
    return reading


def read_what_can_be(
    path: Path | None, environment: Mapping[str, str] = os.environ, flags: Flags | None = None
) -> tuple[SettingsRead | None, list[Problem]]:
    """The settings, and their mistakes. Tables without a mistake are as given; the others are defaults, or missing.
    None if not even that can be made."""
    given = Given()
    folder, unread = Path(), False
    if path is not None:
        read_toml(path, given)
        unread = bool(given.problems)
        folder = path.parent
        remove_unknown(given)
        given.tree = with_paths_from(folder, given.tree, Config)
    if not given.table(("cameras",)):
        given.tree["cameras"] = {DEFAULT_CAMERA: {}}
    apply_environment(given, environment)
    apply_flags(given, flags or Flags())
    remove_unknown(given)  # what a server's JSON file brought
    given.tree = with_paths_from(Path(), given.tree, Config)
    _fetch_secrets(given, folder, environment, Config, ())
    if given.value(("outbox", "folder")) is None:
        try:
            given.put(("outbox", "folder"), str(default_outbox_dir(environment)), ValueOrigin("the default"))
        except InvalidRequest as error:
            given.wrong(("outbox", "folder"), f"outbox.folder: {error}: {error.hint}", ValueOrigin("the default"))
    made = _sections(given)
    if not given.problems:
        return SettingsRead(Config(**made), path, given), []
    return None if unread else _without_mistakes(made, path, given), given.problems


def _without_mistakes(made: dict[str, Any], path: Path | None, given: Given) -> SettingsRead | None:
    sound = {name: section for name, section in made.items() if section is not None}
    some_server = next(iter(sound.get("servers", {})), "")
    sound["cameras"] = {
        name: replace(camera, server=some_server) if given.is_wrong(("cameras", name, "server")) else camera
        for name, camera in sound.get("cameras", {}).items()
    }
    try:
        return SettingsRead(Config(**sound), path, given)
    except ValueError:  # one section contradicts another
        return None


def _sections(given: Given) -> dict[str, Any]:
    _check_names(given)
    made: dict[str, Any] = {}
    for name, key in fields_of(Config).items():
        inner, named = table_of(key.type), named_tables_of(key.type)
        if named is not None:
            each_made = {each: make(given, named, (name, each)) for each in list(given.table((name,)))}
            made[name] = {each: table for each, table in each_made.items() if table is not None}
        elif inner is not None and name in given.tree:
            made[name] = make(given, inner, (name,))
    return made


def _check_names(given: Given) -> None:
    """Of cameras, and of the servers they name; checked in the given tables, so that no other mistake hides one."""
    servers = list(given.table(("servers",)))
    for camera, facts in given.table(("cameras",)).items():
        here: KeyPath = ("cameras", camera)
        try:
            check_camera(camera)
        except ValueError as error:
            given.wrong(here, f"[{dotted(here)}]: {error}")
        named = facts.get("server", "")
        is_list = isinstance(named, list) and all(isinstance(name, str) for name in named)
        if (isinstance(named, str) or is_list) and (text := wrong_server(names_given(named), servers)):
            given.wrong((*here, "server"), f"{dotted((*here, 'server'))} {text}")


def _fetch_secrets(given: Given, folder: Path, environment: Mapping[str, str], table: type, path: KeyPath) -> None:
    """Replace each reference by the secret."""
    for name, key in fields_of(table).items():
        here = (*path, name)
        inner, named = table_of(key.type), named_tables_of(key.type)
        value = given.value(here)
        if value is None:
            continue
        if inner is not None:
            _fetch_secrets(given, folder, environment, inner, here)
        elif named is not None:
            for each in given.table(here):
                _fetch_secrets(given, folder, environment, named, (*here, each))
        elif key.is_secret:
            _fetch_secret(given, folder, environment, here)


def _fetch_secret(given: Given, folder: Path, environment: Mapping[str, str], path: KeyPath) -> None:
    value = given.value(path)
    if isinstance(value, dict):
        try:
            value = fetched(value, folder, environment)
        except SecretUnavailable as error:
            given.wrong(path, f"{dotted(path)} {error}")
            given.drop(path)
            return
        given.replace(path, value)
    elif not isinstance(value, str) or not value or (path[-1] == "private_key" and not private_keys.is_text(value)):
        return
    else:
        given.plain_secrets.add(tuple(map(str, path)))
    given.hide(value)
