"""`iris ledger`: the proof of what was delivered."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Annotated, Any

import typer

from iris_camera.cli.outbox import EXIT_CANNOT_LOOK, EXIT_WRONG, AsJson, OutboxFolder, json_text, opened_audit
from iris_camera.cli.settings_flags import ConfigFile
from iris_camera.cli.terminal import say, write
from iris_camera.records.text_cell import text_cell
from iris_communication.admin.audit import COLUMNS, Chain
from iris_communication.admin.remote_check import RemoteCheck, RemoteFinding, RemoteVerdict
from iris_communication.runtime.amounts import counted

application = typer.Typer(help="The record of every delivery.", no_args_is_help=True)


@application.callback()
def ledger() -> None:
    """The record of every delivery."""


@application.command()
def export(
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    as_csv: Annotated[
        bool, typer.Option("--csv/--json", help="CSV with a header line, or one JSON object per line.")
    ] = True,
) -> None:
    """Every delivery, in order: file, server, host key, size, SHA-256, times (UTC).

    Exit status 0, or 2 if it cannot look or a line cannot be read.
    """
    with opened_audit("ledger export", outbox, config) as audit:
        deliveries = audit.ledger()
        first = list(islice(deliveries, 1))  # an outbox that cannot be read is an error before any heading
        if as_csv:
            write(csv_line(COLUMNS))
        for delivery in chain(first, deliveries):
            write(csv_line(delivery.values()) if as_csv else json_text(delivery))


@application.command()
def verify(
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    remote: Annotated[
        bool, typer.Option("--remote", help="Also check on the servers that the files are still there.")
    ] = False,
    hashes: Annotated[bool, typer.Option("--hash", help="With --remote: read every file back and compare.")] = False,
    latest: Annotated[int | None, typer.Option(min=1, help="With --remote: check only the latest N.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="DATE", help="With --remote: check only deliveries since this time (UTC)."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Whether a line of the ledger was changed, added or removed since it was written, and with --remote, whether what
    was delivered is still there: a file that is gone was collected.

    Exit status 0 if it is whole and nothing was changed, 1 if not, 2 if it cannot look, also at one server only.
    """
    with opened_audit("ledger verify", outbox, config) as audit:
        found = audit.verify()
        if json:
            say(json_text(_chain_facts(found)))
        else:
            _show(found)
        status = EXIT_WRONG if found.broken or found.lost else 0
        if remote:
            since_s = None if since is None else since.replace(tzinfo=since.tzinfo or UTC).timestamp()
            looked = RemoteCheck(audit.folder).findings(hashes=hashes, latest=latest, since_s=since_s)
            status = status or _show_remote(looked, json=json)
    raise typer.Exit(status)


def _chain_facts(found: Chain) -> dict[str, Any]:
    broken = found.broken.what if found.broken else None
    return {"lines": found.lines, "head": found.head, "broken": broken, "lost": [gap._asdict() for gap in found.lost]}


def _show(found: Chain) -> None:
    for gap in found.lost:
        lost = counted(gap.lines, "line was", "lines were")
        say(f"{lost} lost before line {gap.before} with a damaged database, found {gap.found}")
    if found.broken:
        say(f"{found.broken.what}: {found.broken.hint}")
        say(f"whole before that: {counted(found.lines, 'line')}, up to {found.head}")
    else:
        say(f"{counted(found.lines, 'line is', 'lines are')} whole, up to {found.head}")


def _show_remote(looked: Iterable[RemoteFinding], *, json: bool) -> int:
    """Print a line for each file that is not as it was delivered, in JSON for every file; the exit status."""
    counts = dict.fromkeys((verdict.value for verdict in RemoteVerdict), 0)
    for each in looked:
        counts[each.verdict.value] += 1
        if json:
            say(json_text(each._asdict() | {"verdict": each.verdict.value}))
        elif each.verdict in (RemoteVerdict.CHANGED, RemoteVerdict.UNKNOWN):
            why = f": {each.why}" if each.why else ""
            say(f"{each.verdict.value}: {each.final_path!r} on {each.server} ({each.id}){why}")
    say(json_text(counts) if json else _counted(counts))
    if counts["changed"]:
        return EXIT_WRONG
    return EXIT_CANNOT_LOOK if counts["unknown"] else 0


def _counted(counts: dict[str, int]) -> str:
    text = {
        "there": "there",
        "gone": "gone (collected)",
        "changed": "changed",
        "replaced": "replaced by a later delivery",
    }
    known = ", ".join(f"{word} {counts[verdict]}" for verdict, word in text.items())
    return f"{known}, unknown {counts['unknown']}"


def csv_line(values: Iterable[Any]) -> str:
    """One line of CSV, without its end; a text is never a formula to a spreadsheet, as in the record files."""
    line = io.StringIO()
    cells = [text_cell(value) if isinstance(value, str) else value for value in values]
    csv.writer(line, lineterminator="\n").writerow(cells)  # a line break in a cell is quoted only if lines end in one
    return line.getvalue().removesuffix("\n")
