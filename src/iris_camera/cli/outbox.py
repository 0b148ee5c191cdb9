"""`iris outbox`, and what all verbs that inspect an outbox share."""

import contextlib
import json as json_format
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from iris_camera.cli.settings_flags import ConfigFile, mistakes_end
from iris_camera.cli.terminal import complain, say
from iris_camera.config.outbox_folder import outbox_folder
from iris_communication.admin.audit import Audit
from iris_communication.admin.repair import Repair, empty_quarantine, quarantined
from iris_communication.errors import IrisError
from iris_communication.runtime.amounts import counted, size

EXIT_WRONG = 1
EXIT_CANNOT_LOOK = 2

OutboxFolder = Annotated[
    Path | None,
    typer.Option(
        "--outbox",
        metavar="FOLDER",
        help="The outbox's folder [$IRIS_OUTBOX, else that of the settings file, else the user's own].",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

application = typer.Typer(help="Check and maintain an outbox.", no_args_is_help=True)


@application.callback()
def outbox() -> None:
    """Check and maintain an outbox."""


@application.command()
def check(
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    hashes: Annotated[
        bool, typer.Option("--hashes", help="Read every undelivered file, and compare its SHA-256.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="First repair what can be repaired; no uploader may be running on it.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Whether everything that is owed lies there with its bytes, and nothing else does. Without --repair it reads only,
    beside an uploader that runs as well.

    A line for each problem, with what to do. With --repair first a line for each thing that was done; nothing is thrown
    away: what cannot stay goes into the outbox's folder `quarantine`. Exit status 0 if there is no problem (any more),
    1 if there is, 2 if it cannot look.
    """
    problems = 0
    with opened_audit("outbox check", outbox, config) as audit:
        if repair:
            _repair(audit.folder, hashes=hashes, json=json)
        inspection = audit.inspection(hashes=hashes)
        for problems, problem in enumerate(inspection.problems(), 1):  # noqa: B007 - how many is printed at the end
            say(json_text(problem._asdict()) if json else f"{problem.what}: {problem.hint}")
        looked_at = inspection.looked_at
        if json:
            say(json_text({"problems": problems, "hashes": hashes, **looked_at}))
        else:
            say(_summary(looked_at, problems, hashes=hashes))
    raise typer.Exit(EXIT_WRONG if problems else 0)


@application.command()
def quarantine(
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    empty: Annotated[bool, typer.Option("--empty", help="Delete everything that is listed, for good.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    json: AsJson = False,
) -> None:
    """What the uploader and --repair have put aside because nobody could be sure of it: files without a record, damaged
    databases. Nothing in there is sent, and nobody but you empties it."""
    with opened_audit("outbox quarantine", outbox, config) as audit:
        kept = quarantined(audit.folder)
        for file in kept:
            at = datetime.fromtimestamp(file.changed_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
            say(json_text(file._asdict()) if json else f"{at}  {file.size_bytes:>12}  {file.name}")
        if not json:
            say(f"{len(kept)} in quarantine, {size(sum(file.size_bytes for file in kept))}")
        if empty and kept and (yes or typer.confirm("Remove all of it for good?", abort=True)):
            empty_quarantine(audit.folder, [file.name for file in kept])
            if not json:
                say("the quarantine is empty")


def _repair(folder: Path, *, hashes: bool, json: bool) -> None:
    repaired = left = 0
    for done in Repair(folder).actions(hashes=hashes):
        repaired, left = repaired + done.repaired, left + (not done.repaired)
        say(json_text(done._asdict()) if json else f"{'repaired' if done.repaired else 'left alone'}: {done.what}")
    if json:
        say(json_text({"repaired": repaired, "left_alone": left}))
    else:
        say(
            f"repaired {repaired}" + (f", left alone {left}" if left else "")
            if repaired or left
            else "nothing to repair"
        )


def _summary(looked_at: dict[str, int], problems: int, *, hashes: bool) -> str:
    found = counted(problems, "problem") if problems else "no problem"
    depth = "every byte read" if hashes else "sizes compared; --hashes reads every byte"
    text = f"{found}: owed {looked_at['items']}, of them in the database {looked_at['stored']}; in the spool "
    text += f"{looked_at['files']} ({depth}); in the ledger {looked_at['lines']}"
    if looked_at["unsettled"]:
        text += (
            f"; younger than a minute and not judged, as they may be on their way in or out: {looked_at['unsettled']}"
        )
    return text


@contextlib.contextmanager
def opened_audit(verb: str, folder: Path | None, config: Path | None = None) -> Iterator[Audit]:
    """The outbox that --outbox and --config name; if it cannot be read, the command ends with one line."""
    with mistakes_end(verb):
        found = outbox_folder(folder, config)
    try:
        yield Audit(found)
    except IrisError as error:
        complain(f"iris {verb}: {error}: {error.hint}")
        raise typer.Exit(EXIT_CANNOT_LOOK) from None


def json_text(value: Any) -> str:
    return json_format.dumps(value)
