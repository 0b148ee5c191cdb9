"""`iris send`"""

import json as json_format
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

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
    settings_and_servers,
)
from iris_camera.cli.files_to_send import FileToSend, NotToSend, files_to_send
from iris_camera.cli.handing_in import open_intake
from iris_camera.cli.sending import Sending
from iris_camera.cli.sending_display import SendingDisplay
from iris_camera.cli.settings_flags import EXIT_USAGE, ConfigFile, Outbox
from iris_camera.cli.stopping import Stopping
from iris_camera.cli.terminal import complain, say
from iris_camera.signals import listening_to_signals
from iris_communication.errors import IrisError
from iris_communication.runtime.amounts import counted, size

EXIT_NOT_ALL = 1
LOOK_S = 0.05
FULL_S = 0.5  # until a full outbox is asked again
PATIENCE_S = 1.0  # with a server that waits for a person: its refusal may be older than this command
END_S = 1.0  # for uploads under way when the rest is left queued


class Waiting(NamedTuple):
    """`wait` False: the command ends once everything is queued; else after `timeout_s` seconds at the latest."""

    wait: bool
    timeout_s: float | None


def send(  # noqa: PLR0913  # a flag each
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The files or folders to send.")],
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
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Send all files below a folder.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until everything is delivered, or only queue it.")] = True,
    timeout_s: Annotated[
        float | None, typer.Option("--timeout-s", min=0.0, help="Wait at most so many seconds; the rest stays queued.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per file, for programs.")] = False,
) -> None:
    """Queue files durably and deliver them. What is queued survives Ctrl+C, a crash and a power cut.

    Where another process has the outbox, it is handed the files and delivers them. Exit status 0 if everything is
    delivered (with --no-wait: queued), 1 if not, 2 if nothing could be begun.
    """
    account = Account(host, port, username or own_name(), private_key, host_key, remote_directory)
    settings, servers = settings_and_servers("send", config, outbox, server, account)
    handling = Handling(project, folder_type, priority, ttl_s, after, move_to)
    try:
        found = files_to_send(files, recursive=recursive)
    except NotToSend as error:
        for reason in error.reasons:
            complain(f"iris send: {reason}")
        complain("iris send: nothing was queued")
        raise typer.Exit(EXIT_USAGE) from None
    logs.start_logging("ERROR" if wait else "WARNING")
    try:
        intake = open_intake(settings, deliver=wait, take_over=wait)
    except IrisError as error:
        complain(f"iris send: {error}: {error.hint}")
        raise typer.Exit(EXIT_USAGE) from None
    sending = Sending(found, ChosenServers(servers, handling), intake)
    stopping = Stopping()
    with listening_to_signals(stopping.ask), SendingDisplay(sending, sys.stderr, quiet=json) as display:
        _carry_out(sending, display, stopping, Waiting(wait, timeout_s))
        intake.close(END_S)
        for sent in sending.follow():
            display.ended(sent)
    logs.stop_logging()
    _report(sending, settings.outbox_dir, as_json=json)
    raise typer.Exit(_exit_status(sending, wait=wait))


def _carry_out(sending: Sending, display: SendingDisplay, stopping: Stopping, waiting: Waiting) -> None:
    began_s = time.monotonic()
    hand_in_at_s, moved_s = began_s, began_s
    while not stopping.is_set() and not sending.is_over:
        if sending.not_handed_in and time.monotonic() >= hand_in_at_s:
            for sent in sending.hand_in():
                display.ended(sent)
            hand_in_at_s = time.monotonic() + (FULL_S if sending.full else 0.0)
        if not waiting.wait and (sending.full or not sending.not_handed_in):
            return
        for sent in sending.follow():
            display.ended(sent)
        links = sending.held_up_by()
        display.update(links)
        now_s = time.monotonic()
        if not sending.waits_for_a_person(links):
            moved_s = now_s
        if now_s - moved_s >= PATIENCE_S or (waiting.timeout_s is not None and now_s - began_s >= waiting.timeout_s):
            return
        if not sending.not_handed_in or sending.full:
            stopping.wait(LOOK_S)


def _exit_status(sending: Sending, *, wait: bool) -> int:
    failed = any(not sent.is_delivered for sent in sending.done)
    left = sending.not_handed_in or (wait and sending.owed)
    return EXIT_NOT_ALL if failed or left else 0


def _report(sending: Sending, outbox: Path, *, as_json: bool) -> None:
    if as_json:
        for sent in (*sending.done, *sending.owed):
            for record in sent.records():
                say(json_format.dumps(record))
        for file in sending.not_handed_in:
            why = str(sending.full) if sending.full else "the command was stopped"
            say(json_format.dumps({"file": str(file.path), "id": None, "state": "refused", "message": why}))
        return
    for line in _summary(sending, outbox):
        say(line)


def _summary(sending: Sending, outbox: Path) -> list[str]:
    delivered = [sent.file for sent in sending.done if sent.is_delivered]
    refused = [sent.refused for sent in sending.done if sent.refused is not None]
    failed = len(sending.done) - len(delivered) - len(refused)
    lines = []
    if delivered:
        lines.append(f"{_files(delivered)} delivered")
    if refused:
        others = len({str(error) for error in refused}) - 1
        more = f" (and {counted(others, 'other reason')}: see above)" if others else ""
        lines.append(f"{counted(len(refused), 'file')} refused: {refused[0]}{more}. {refused[0].hint}".rstrip(" ."))
    if failed:
        lines.append(f"{counted(failed, 'file')} not: see above; `iris queue list` has what is kept of it")
    if owed := [sent.file for sent in sending.owed]:
        where = f"safely queued in {outbox}"
        lines.append(
            f"{_files(owed)} {where}: the process that runs on that outbox (iris run, send or watch) delivers it"
        )
    if sending.not_handed_in:
        why = f": {sending.full}" if sending.full else ""
        lines.append(f"{_files(sending.not_handed_in)} not queued{why}; send again")
    return lines


def _files(files: Sequence[FileToSend]) -> str:
    return f"{counted(len(files), 'file')} ({size(sum(file.size_bytes for file in files))})"
