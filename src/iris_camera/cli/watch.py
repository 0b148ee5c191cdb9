"""`iris watch`"""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from iris_camera import logs
from iris_camera.cli.destination import (
    DEFAULT_FOLDER_TYPE,
    Account,
    After,
    ChosenServers,
    FolderType,
    Handling,
    Host,
    HostKey,
    MoveTo,
    Port,
    Priority,
    PrivateKey,
    Project,
    RemoteDirectory,
    Servers,
    TtlS,
    Username,
    own_name,
    refuse,
    settings_and_servers,
)
from iris_camera.cli.handing_in import Intake, open_intake
from iris_camera.cli.settings_flags import EXIT_USAGE, ConfigFile, Outbox
from iris_camera.cli.stopping import Stopping
from iris_camera.config import Config
from iris_camera.signals import listening_to_signals
from iris_camera.watch.memory import CannotRemember, Memory
from iris_camera.watch.names import Names
from iris_camera.watch.watcher import Watcher, WatchSettings
from iris_communication.errors import IrisError
from iris_communication.runtime.amounts import files

log = logging.getLogger(__name__)

END_S = 10.0  # for uploads under way at the end


class RequestTaker:
    """Hands the watcher's files to an intake: paths become requests."""

    def __init__(self, intake: Intake, destination: ChosenServers, project: str) -> None:
        self._intake = intake
        self._destination = destination
        self._project = project

    def hand_in(self, folder: Path, paths: Mapping[str, tuple[int, int]]) -> Sequence[str | IrisError]:
        requests = [
            self._destination.request(
                folder / path, project=self._project, folder=path.rpartition("/")[0], identity=identity
            )
            for path, identity in paths.items()
        ]
        answers = self._intake.hand_in(requests)
        return [answer if isinstance(answer, IrisError) else answer[0] for answer in answers]


def watch(  # noqa: PLR0913  # a flag each
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to watch.")],
    *,
    server: Servers = None,
    host: Host = None,
    port: Port = 22,
    username: Username = "",
    private_key: PrivateKey = None,
    host_key: HostKey = "",
    remote_directory: RemoteDirectory = None,
    config: ConfigFile = None,
    outbox: Outbox = None,
    project: Project = None,
    folder_type: FolderType = DEFAULT_FOLDER_TYPE,
    priority: Priority = None,
    ttl_s: TtlS = None,
    after: After = None,
    move_to: MoveTo = None,
    pattern: Annotated[
        list[str] | None, typer.Option(help='Only names that match, such as "*.csv"; repeat it for several.')
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Also watch the folders below it.")] = False,
    existing: Annotated[
        bool, typer.Option("--existing", help="Also deliver files that are there at the first start.")
    ] = False,
    quiet_s: Annotated[
        float,
        typer.Option(
            "--quiet-s",
            min=0.1,
            help="Seconds without a change after which a file counts as complete, if "
            "nobody closed it or renamed it into the folder.",
        ),
    ] = 5.0,
) -> None:
    """Deliver every file that is completed in a folder, until Ctrl+C: for programs in any language.

    Complete is what was renamed into the folder, or closed after writing, or has not changed for a while. Names such as
    .x, x.tmp, x.part and x~ are left out. What came while nobody watched is delivered at the next start.
    """
    if not os.path.isdir(directory):  # noqa: PTH112  # raises nothing, whatever the name
        refuse("watch", f"{directory} is no folder")
    folder = directory.resolve()
    account = Account(host, port, username or own_name(), private_key, host_key, remote_directory)
    settings, servers = settings_and_servers("watch", config, outbox, server, account)
    handling = Handling(project, folder_type, priority, ttl_s, after, move_to)
    _refuse_circles(settings, folder, move_to, recursive=recursive)
    logs.start_logging(settings.log.number)
    intake, memory = _opened(settings, folder)
    stopping = Stopping()
    taker = RequestTaker(intake, ChosenServers(servers, handling), folder.name)
    wanted = WatchSettings(folder, Names(tuple(pattern or ())), recursive, existing, quiet_s)
    with listening_to_signals(stopping.ask):
        _watch(Watcher(wanted, taker, memory, stopping, time.monotonic))
        memory.close()
        intake.close(END_S)
    logs.stop_logging()


def _refuse_circles(settings: Config, folder: Path, move_to: Path | None, *, recursive: bool) -> None:
    """End the command if delivery puts files into the watched folder: they would be delivered again and again."""
    moved = [Path(rule.move_to) for rule in settings.delivery.rules.values() if rule.move_to]
    for what, place in (("the outbox", settings.outbox_dir), *(("what is delivered", each) for each in moved)):
        _refuse_circle(what, place, folder, recursive=recursive)
    if move_to is not None:
        _refuse_circle("what is delivered (--move-to)", move_to, folder, recursive=recursive)


def _refuse_circle(what: str, place: Path, folder: Path, *, recursive: bool) -> None:
    inside = place.resolve()
    if not inside.is_relative_to(folder):
        return
    below = inside.relative_to(folder).parts
    if not below or (recursive and not any(part.startswith(".") for part in below)):
        refuse("watch", f"{what} would be put into the watched folder, and delivered again: {place}")


def _opened(settings: Config, folder: Path) -> tuple[Intake, Memory]:
    try:
        intake = open_intake(settings, deliver=True)
    except IrisError as error:
        _cannot(f"{error}: {error.hint}")
    try:
        return intake, Memory(settings.outbox_dir, folder)
    except CannotRemember as error:
        intake.close(0.0)
        _cannot(str(error))


def _cannot(why: str) -> NoReturn:
    log.error("%s", why)
    logs.stop_logging()
    raise typer.Exit(EXIT_USAGE)


def _watch(watcher: Watcher) -> None:
    watcher.run()
    log.info("stopping; queued %s; Ctrl+C again leaves at once", files(watcher.accepted))
