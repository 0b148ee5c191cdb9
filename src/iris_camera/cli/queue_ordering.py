"""`iris queue retry`, `drop`, `priority`, `pause`, `resume`: the owner of the outbox carries the order out;
without an owner, this process does."""

import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from iris_camera.cli.outbox import EXIT_CANNOT_LOOK, EXIT_WRONG, AsJson, OutboxFolder, json_text, opened_audit
from iris_camera.cli.queue_listing import ServerWord, the_one
from iris_camera.cli.queue_table import printable
from iris_camera.cli.settings_flags import ConfigFile
from iris_camera.cli.terminal import complain, say
from iris_communication.admin.audit import Audit
from iris_communication.admin.outbox_control import NoSuchItem, OutboxControl
from iris_communication.item import OWED_OR_DEAD, State
from iris_communication.outbox.orders import DropItems, Order, PauseServer, ResumeServer, RetryItems, SetPriority
from iris_communication.runtime.amounts import files, size

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Ids, or the beginnings of ids.")]
Server = Annotated[str, typer.Argument(metavar="SERVER", help="A server's name, or user@host:port.")]


def retry(
    ids: Ids = None,
    every: Annotated[bool, typer.Option("--all", help="All dead files.")] = False,
    server: ServerWord = None,
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    json: AsJson = False,
) -> None:
    """Let dead files wait again, with all their attempts.

    Exit status 0, 1 if one was left as it is, 2 if nothing could be asked.
    """
    with opened_audit("queue retry", outbox, config) as audit:
        _one_choice("retry", ids, "--all" if every else None, "--server" if server else None)
        chosen = _Chosen.named(audit, ids) if ids else _Chosen.listed(audit, "dead", server)
        done = _executed(audit, RetryItems(chosen.ids))
    _report(done | chosen.unknown, "waits again", "wait again", json=json)


def drop(
    ids: Ids = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead files.")] = False,
    server: ServerWord = None,
    every: Annotated[bool, typer.Option("--all", help="All undelivered files, dead ones included.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    json: AsJson = False,
) -> None:
    """Give files up for good: they are not sent any more, and the outbox's bytes of them are gone.

    It says what will be lost, and asks. --dead and --server together: the dead ones of that server.

    Exit status 0, 1 if one was left as it is or nobody said yes, 2 if nothing could be asked.
    """
    with opened_audit("queue drop", outbox, config) as audit:
        _one_choice("drop", ids, "--all" if every else None, "--dead" if dead or server else None)
        chosen = _Chosen.named(audit, ids) if ids else _Chosen.listed(audit, "dead" if dead else None, server)
        if chosen.states and not yes:
            _ask(chosen)
        done = _executed(audit, DropItems(chosen.ids))
    _report(done | chosen.unknown, "is dropped", "are dropped", json=json)


def priority(
    level: Annotated[
        int, typer.Argument(metavar="N", min=-9, max=9, help="From -9 to 9; higher priorities are sent first.")
    ],
    ids: Annotated[list[str], typer.Argument(metavar="ID", help="Ids, or the beginnings of ids.")],
    config: ConfigFile = None,
    outbox: OutboxFolder = None,
    json: AsJson = False,
) -> None:
    """Send files earlier or later than others. 0 is what they have unless a rule or their caller said otherwise.

    Exit status 0, 1 if one was left as it is, 2 if nothing could be asked.
    """
    with opened_audit("queue priority", outbox, config) as audit:
        chosen = _Chosen.named(audit, ids)
        done = _executed(audit, SetPriority(chosen.ids, level))
    _report(done | chosen.unknown, f"has priority {level}", f"have priority {level}", json=json)


def pause(server: Server, config: ConfigFile = None, outbox: OutboxFolder = None, json: AsJson = False) -> None:
    """Send a server nothing more until it is resumed, over restarts too; what is under way is finished.

    Exit status 0, or 2 if nothing could be asked.
    """
    with opened_audit("queue pause", outbox, config) as audit:
        key = audit.server_key(server)
        _executed(audit, PauseServer(key))
    if json:
        say(json_text({"server": key, "paused": True}))
    else:
        say(f"{key} is paused: what is for it waits; iris queue resume {key}")


def resume(server: Server, config: ConfigFile = None, outbox: OutboxFolder = None, json: AsJson = False) -> None:
    """Send to a server again. One that waits for its operator (wrong password, changed host key) is tried at once.

    Exit status 0, or 2 if nothing could be asked.
    """
    with opened_audit("queue resume", outbox, config) as audit:
        key = audit.server_key(server)
        _executed(audit, ResumeServer(key))
    say(json_text({"server": key, "paused": False}) if json else f"{key} is sent to again")


def _executed(audit: Audit, order: Order) -> dict[str, str]:
    with OutboxControl(audit.folder) as control:
        return control.execute(order)


class _Chosen:
    """The chosen items: the ids found, why each other one is not, and what would be lost with them."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.unknown: dict[str, str] = {}
        self.states: dict[str, int] = {}
        self.size_bytes = 0
        self.only_here = 0  # their source is gone: the outbox has the only bytes

    @classmethod
    def named(cls, audit: Audit, beginnings: list[str]) -> "_Chosen":
        chosen = cls()
        for beginning in dict.fromkeys(beginnings):
            try:
                item_id = the_one(audit, beginning)
                if item_id not in chosen.ids:
                    chosen.add(audit.story(item_id))
            except NoSuchItem as error:
                chosen.unknown[beginning] = f"{error}: {error.hint}"
        return chosen

    @classmethod
    def listed(cls, audit: Audit, state: str | None, server: str | None) -> "_Chosen":
        chosen = cls()
        for item in audit.items(state, audit.server_key(server) if server else None):
            chosen.add(item)
        return chosen

    def add(self, item: dict[str, Any]) -> None:
        self.ids.append(item["id"])
        if State(item["state"]) not in OWED_OR_DEAD:
            return
        self.states[item["state"]] = self.states.get(item["state"], 0) + 1
        self.size_bytes += item["size_bytes"] or 0
        self.only_here += item["size_bytes"] is not None and not os.path.lexists(item["source"])

    def loss(self) -> Iterator[str]:
        counts = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in self.states.items())
        yield f"{files(sum(self.states.values()))} ({counts}), {size(self.size_bytes)}: given up for good"
        if self.only_here:
            yield f"of {self.only_here} the outbox has the only bytes: the source is gone"


def _one_choice(verb: str, ids: list[str] | None, *options: str | None) -> None:
    ways = [*(["ids"] if ids else []), *(option for option in options if option)]
    if len(ways) != 1:
        what = f"not both {' and '.join(ways)}" if ways else "which? Give ids, or an option that chooses"
        complain(f"iris queue {verb}: {what}")
        raise typer.Exit(EXIT_CANNOT_LOOK)


def _ask(chosen: _Chosen) -> None:
    for line in chosen.loss():
        complain(line)
    if not sys.stdin.isatty():
        complain("iris queue drop: there is no terminal to ask on: give --yes")
        raise typer.Exit(EXIT_CANNOT_LOOK)
    typer.echo("Drop them? [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise typer.Exit(EXIT_WRONG)


def _report(done: dict[str, str], one: str, many: str, *, json: bool) -> None:
    """Print what became of each; ends the command with status 1 if one was left as it is."""
    left = {item_id: why for item_id, why in done.items() if why}
    if json:
        for item_id, why in done.items():
            say(json_text({"id": item_id, "done": not why, "why": why}))
    else:
        for item_id, why in left.items():
            say(printable(f"{item_id}: {why}"))
        count = len(done) - len(left)
        say(f"{files(count)} {one if count == 1 else many}")
    raise typer.Exit(EXIT_WRONG if left else 0)
