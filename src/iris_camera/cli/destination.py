"""Where the files of `iris send` and `iris watch` go, and the flags that say so."""

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NoReturn

import typer

from iris_camera.cli.settings_flags import EXIT_USAGE, read_settings
from iris_camera.cli.terminal import complain
from iris_camera.config import Config, Flags, ServerSettings
from iris_camera.config.files import shown
from iris_camera.config.paths import with_home
from iris_camera.config.sections import DEFAULT_SERVER, chosen_server
from iris_communication.server.facts import parse_server
from iris_communication.settings import DEFAULT_REMOTE_PATH
from iris_communication.sftp_uploader_thread import SftpUploadRequest

FILE_NAME = "{file_name}"
DEFAULT_FOLDER_TYPE = "files"


class AfterDelivery(Enum):
    KEEP = "keep"
    DELETE = "delete"
    MOVE = "move"


Servers = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        metavar="NAME",
        help="A server's name in the settings, or a JSON file with one server; repeat it for several.",
        show_default="the one called default, or the only one",
    ),
]
Host = Annotated[str | None, typer.Option(help="The server's host name or address, instead of --server.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="With --host.")]
Username = Annotated[str, typer.Option(help="With --host.", show_default="your own")]
PrivateKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --host; put a password in the settings or a JSON file.")
]
HostKey = Annotated[
    str,
    typer.Option(
        help="With --host: the host key that the server must show.", show_default="what ~/.ssh/known_hosts says"
    ),
]
RemoteDirectory = Annotated[
    str | None, typer.Option(metavar="FOLDER", help="The folder on the server; overrides the server's settings.")
]
Project = Annotated[
    str | None, typer.Option(help="The project in the remote path.", show_default="the name of the files' folder")
]
FolderType = Annotated[str, typer.Option(help="The folder type, for the remote path and the delivery rules.")]
Priority = Annotated[int | None, typer.Option(min=-9, max=9, help="Higher priorities are sent first.")]
TtlS = Annotated[
    float | None,
    typer.Option("--ttl-s", min=0.001, help="Give a file up if it is not delivered after so many seconds."),
]
After = Annotated[AfterDelivery | None, typer.Option(help="What to do with each source file after delivery.")]
MoveTo = Annotated[Path | None, typer.Option(metavar="FOLDER", help="The folder that --after move moves files to.")]


@dataclass(frozen=True, slots=True)
class Handling:
    """How files are treated; None leaves it to the rules of the settings."""

    project: str | None = None
    folder_type: str = DEFAULT_FOLDER_TYPE
    priority: int | None = None
    ttl_s: float | None = None
    after: AfterDelivery | None = None
    move_to: Path | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A server given by flags in place of its name."""

    host: str | None = None
    port: int = 22
    username: str = ""
    private_key: Path | None = None
    host_key: str = ""
    remote_directory: str | None = None


@dataclass(frozen=True, slots=True)
class ChosenServers:
    servers: tuple[Mapping[str, Any], ...]
    handling: Handling

    @property
    def server_keys(self) -> list[str]:
        """In the order of the items that one request becomes."""
        return [parse_server(server)[0].key for server in self.servers]

    def request(
        self, file: Path, *, project: str, folder: str = "", identity: tuple[int, int] | None = None
    ) -> SftpUploadRequest:
        """`folder` is the file's own, relative to the one that is sent or watched: it is made on the server too.
        `identity` is the device and inode of the file that was checked."""
        handling = self.handling
        return SftpUploadRequest(
            sftp_server_info=[_with_folder(server, folder) for server in self.servers],
            file_path=file,
            project_settings={"project": handling.project or project},
            folder_type=handling.folder_type,
            priority=handling.priority,
            ttl_s=handling.ttl_s,
            after_delivery=handling.after.value if handling.after else None,
            move_to=handling.move_to,
            identity=identity,
        )


def settings_and_servers(
    verb: str, config: Path | None, outbox: Path | None, named: Sequence[str] | None, account: Account
) -> tuple[Config, tuple[Mapping[str, Any], ...]]:
    """The settings, and the chosen servers; a mistake ends the command."""
    named = named or ()
    files = [Path(name) for name in named if name.endswith(".json")]
    if len(files) > 1:
        refuse(verb, "one server can come from a JSON file; name the others in the settings ([servers.*])")
    if account.host and named:
        refuse(verb, "--host and --server name a server each: give one of them")
    settings = read_settings(verb, config, Flags(server=files[0] if files else None, outbox=outbox))
    if account.host:
        try:
            return settings, (_of_account(account),)
        except ValueError as error:
            refuse(verb, str(error))
    names = [DEFAULT_SERVER if name.endswith(".json") else name for name in named] or _the_one(verb, settings)
    for name in names:
        if name not in settings.servers:
            refuse(verb, no_such_server(settings, name))
    infos = [settings.servers[name].info() for name in names]
    if account.remote_directory is not None:
        infos = [{**info, "remote_directory": account.remote_directory} for info in infos]
    return settings, tuple(infos)


def own_name() -> str:
    """The user's name; empty if unknown, as in a container whose user has no entry in /etc/passwd."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # which one depends on the version of Python
        return ""


def no_such_server(settings: Config, name: str) -> str:
    return f"there is no server {shown(name)!r} in the settings; there is: {', '.join(settings.servers) or 'none'}"


def refuse(verb: str, why: str) -> NoReturn:
    complain(f"iris {verb}: {why}")
    raise typer.Exit(EXIT_USAGE)


def _the_one(verb: str, settings: Config) -> list[str]:
    name = chosen_server(list(settings.servers))
    if name is None:
        known = ", ".join(settings.servers)
        why = f"which server? --server takes one of {known}" if known else "no server is known: --server, --host"
        refuse(verb, f"{why} (see `iris example` for the settings)")
    return [name]


def _of_account(account: Account) -> Mapping[str, Any]:
    """Raises ValueError."""
    return ServerSettings(
        host=account.host or "",
        username=account.username,
        port=account.port,
        private_key=str(with_home(str(account.private_key))) if account.private_key else "",
        host_key=account.host_key,
        remote_directory=account.remote_directory or ".",
    ).info()


def _with_folder(server: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    if not folder:
        return server
    template = str(server.get("remote_path") or DEFAULT_REMOTE_PATH)
    before, found, after = template.rpartition(FILE_NAME)
    inner = str(PurePosixPath(folder)).replace("{", "{{").replace("}", "}}")
    return {**server, "remote_path": f"{before}{inner}/{found}{after}"} if found else server
