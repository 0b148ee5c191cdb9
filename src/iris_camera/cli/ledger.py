"""`iris ledger`: the proof of what was delivered."""

import csv
import io
from collections.abc import Iterable
from itertools import chain, islice
from typing import Annotated, Any

import typer

from iris_camera.cli.outbox import EXIT_WRONG, AsJson, OutboxFolder, json_text, looking, say
from iris_communication.audit import COLUMNS

application = typer.Typer(help="The proof of what was delivered.", no_args_is_help=True)


@application.callback()
def ledger() -> None:
    """The proof of what was delivered."""


@application.command()
def export(
    outbox: OutboxFolder = None,
    as_csv: Annotated[bool, typer.Option("--csv/--json", help="CSV with a heading, or a JSON object a line.")] = True,
) -> None:
    """Every delivery, in order: file, server, host key, size, SHA-256, times (UTC).

    Exit status 0, or 2 if it cannot look or a line cannot be read.
    """
    with looking("ledger export", outbox) as audit:
        deliveries = audit.ledger()
        first = list(islice(deliveries, 1))  # what keeps anybody from looking is said before any heading
        if as_csv:
            say(_csv_line(COLUMNS))
        for delivery in chain(first, deliveries):
            say(_csv_line(delivery.values()) if as_csv else json_text(delivery))


@application.command()
def verify(outbox: OutboxFolder = None, json: AsJson = False) -> None:
    """Whether a line of the ledger was changed, added or removed since it was written.

    Exit status 0 if it is whole, 1 if not, 2 if it cannot look.
    """
    with looking("ledger verify", outbox) as audit:
        found = audit.verify()
        broken = found.broken
        if json:
            say(json_text({"lines": found.lines, "head": found.head, "broken": broken.what if broken else None}))
        elif broken:
            say(f"{broken.what}: {broken.hint}")
            say(f"{found.lines} lines before that are whole, up to {found.head}")
        else:
            say(f"{found.lines} lines are whole, up to {found.head}")
    raise typer.Exit(EXIT_WRONG if broken else 0)


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
