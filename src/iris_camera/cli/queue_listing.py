"""`iris queue list` and `iris queue show`: they only read, and an uploader may run meanwhile."""

import shutil
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from iris_camera.cli.outbox import EXIT_WRONG, AsJson, OutboxFolder, json_text, opened_audit
from iris_camera.cli.queue_table import halted, printable, story, table
from iris_camera.cli.settings_flags import ConfigFile
from iris_camera.cli.terminal import complain, say
from iris_camera.config import ConfigError
from iris_camera.config.outbox_folder import records_folder
from iris_camera.records.waiting import waiting_in
from iris_communication.admin.audit import Audit
from iris_communication.admin.outbox_control import NoSuchItem
from iris_communication.runtime.amounts import files

SHOWN = 100  # lines of a table, unless another limit is given

ServerWord = Annotated[
    str | None, typer.Option("--server", metavar="SERVER", help="Only this server: its name, or user@host:port.")
]


def list_(
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    state: Annotated[
        str | None,
        typer.Option(
            help="waiting, in_flight, dead, dropped, expired, cancelled, delivered or all.",
            show_default="what is owed or dead",
        ),
    ] = None,
    server: ServerWord = None,
    folder_type: Annotated[str | None, typer.Option("--folder-type", help="Only this folder type.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most N.", show_default=f"{SHOWN}; with --json all of them")
    ] = None,
    json: AsJson = False,
) -> None:
    """What is owed or dead, in order of acceptance, with the last error of each.

    With --json one object a line. Exit status 0, or 2 if it cannot look.
    """
    with opened_audit("queue list", outbox, config) as audit:
        key = audit.server_key(server) if server else None
        most = None if json and limit is None else limit or SHOWN
        items = audit.items(state, key, folder_type, None if most is None else most + 1)
        if json:
            for item in islice(items, most):
                say(json_text(item))
            return
        found = list(items)
        width = shutil.get_terminal_size((0, 0)).columns or None
        for line in table(found[:most], datetime.now(UTC), width):
            say(line)
        if most is not None and len(found) > most:
            say(f"and more: --limit shows more than {most}")
        elif not found:
            say(f"nothing{_beside(audit.folder, config)}")
        for server_state in audit.halted():
            say(halted(server_state))


def _beside(outbox: Path, config: Path | None) -> str:
    """A text on the finished files that the outbox has not accepted yet; empty: there are none."""
    try:
        folder = records_folder(outbox, config)
    except ConfigError:
        return ""  # the verbs that use the settings report their mistakes
    waiting = waiting_in(folder)
    return f"; {files(waiting)} not accepted yet in {folder}: `iris run` hands over what lies there" if waiting else ""


def show(
    item: Annotated[str, typer.Argument(metavar="ID", help="An id, or the beginning of one.")],
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    json: AsJson = False,
) -> None:
    """One file's whole story: accepted, each attempt with its error and a hint, and how it ended.

    Exit status 0, 1 if there is no such item or there are several, 2 if it cannot look.
    """
    with opened_audit("queue show", outbox, config) as audit:
        try:
            facts = audit.story(the_one(audit, item))
        except NoSuchItem as error:
            complain(f"iris queue show: {printable(str(error))}: {error.hint}")
            raise typer.Exit(EXIT_WRONG) from None
        for line in [json_text(facts)] if json else story(facts):
            say(line)


def the_one(audit: Audit, beginning: str) -> str:
    """The id that begins so. Raises NoSuchItem, also where several do."""
    found = audit.matching(beginning)
    if len(found) > 1:
        raise NoSuchItem(f"{len(found)} ids or more begin with {beginning!r}", hint=f"which of {', '.join(found)}?")
    return found[0]
