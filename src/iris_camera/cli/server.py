"""`iris server`: what is known of the servers that files go to, and a trial of one of them, now."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from iris_camera.cli.destination import Account, read_settings
from iris_camera.cli.outbox import EXIT_CANNOT_LOOK, EXIT_WRONG, AsJson, OutboxFolder, json_text, looking, say
from iris_camera.cli.queue_table import printable, size
from iris_camera.cli.settings_flags import ConfigFile
from iris_communication.server_trial import IrisError, Weight, known, try_server

application = typer.Typer(help="What the servers that files go to can do.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or user@host:port.")]
MARKS = {Weight.WELL: "ok  ", Weight.NOTE: "note", Weight.TROUBLE: "BAD "}


@application.callback()
def server() -> None:
    """What the servers that files go to can do."""


@application.command("list")
def list_(outbox: OutboxFolder = None, json: AsJson = False) -> None:
    """The servers this outbox has met, a line each.

    With --json one object a line. Exit status 0, or 2 if it cannot look.
    """
    with looking("server list", outbox) as audit:
        met = known(audit.folder)
    for key, facts in sorted(met.items()):
        if json:
            say(json_text({"server": key, **facts}))
        else:
            software = facts.get("software") or facts.get("trial", {}).get("software") or "not met yet"
            say(f"{printable(key)}  {printable(software)}  {_verdict(facts.get('trial'))}")
    if not met and not json:
        say("none yet: the first delivery, or `iris server test NAME`, learns of one")


@application.command()
def show(name: Name, outbox: OutboxFolder = None, json: AsJson = False) -> None:
    """What is remembered of one server: who it is, what it can do, and how its latest trial ended. Asks nobody.

    Exit status 0, 1 if nothing is known of it, 2 if it cannot look.
    """
    with looking("server show", outbox) as audit:
        met = known(audit.folder)
        key = name if name in met else audit.server_key(name)
    facts = met.get(key, {})
    if json:
        say(json_text({"server": key, **facts}))
    elif facts:
        for line in _story(key, facts):
            say(line)
    else:
        say(f"nothing is known of {printable(key)} yet: iris server test {printable(name)}")
    raise typer.Exit(0 if facts else EXIT_WRONG)


@application.command("test")
def try_out(name: Name, config: ConfigFile = None, outbox: OutboxFolder = None, json: AsJson = False) -> None:
    """Try a server out, now: connect, do each step of a delivery under hidden names, measure, remove what was made, and
    say what will and will not work there. NAME is one of the settings, or a JSON file of one server.

    Exit status 0 if files will arrive, 1 if not, 2 if it is not reached or does not let us in.
    """
    settings, (info,) = read_settings("server test", config, outbox, [name], Account())
    try:
        report = try_server(info, outbox=settings.outbox_dir)
    except IrisError as error:
        if json:
            say(json_text({"works": False, "error": type(error).__name__, "says": str(error), "hint": error.hint}))
        else:
            typer.echo(f"iris server test: {error}. {error.hint}", err=True)
        raise typer.Exit(EXIT_CANNOT_LOOK) from None
    facts = report.facts()
    if json:
        say(json_text(facts))
    else:
        for line in _trial(facts):
            say(line)
    raise typer.Exit(0 if report.works else EXIT_WRONG)


def _verdict(trial: dict[str, Any] | None) -> str:
    if not trial:
        return "not tried out"
    return f"{'works' if trial['works'] else 'DOES NOT WORK'}, tried {_time(trial['at_s'])}"


def _story(key: str, facts: dict[str, Any]) -> list[str]:
    """All that is remembered."""
    lines = [key]
    if "software" in facts:
        lines += _table(
            {
                "greets as": facts["software"],
                "host key": facts["host_key"],
                "met first like this": _time(facts["learned_s"]),
                "round trip": f"{facts['round_trip_ms']:g} ms",
                **{name.replace("_", " "): _told(value) for name, value in facts["capabilities"].items()},
                "one write at a time": _told(facts["one_write"]),
            }
        )
    if trial := facts.get("trial"):
        lines += ["", f"tried out {_time(trial['at_s'])}:", *_trial(trial)]
    return [printable(line) for line in lines]


def _trial(facts: dict[str, Any]) -> list[str]:
    rate, free_bytes = facts["rate_bytes_per_s"], facts["free_bytes"]
    lines = _table(
        {
            "server": facts["server"],
            "greets as": facts["software"],
            "host key": facts["host_key"],
            "connected in": f"{facts['connected_s']:.2f} s",
            "round trip": f"{facts['round_trip_ms']:g} ms",
            "one file": "not measured" if rate is None else f"{rate / 1e6:.1f} MB/s",
            "free space": "not told" if free_bytes is None else size(free_bytes),
        }
    )
    lines += [f"  {MARKS[Weight(sentence['weight'])]}  {sentence['words']}" for sentence in facts["says"]]
    return [printable(line) for line in lines]


def _table(rows: dict[str, str]) -> list[str]:
    return [f"  {name:21} {value}" for name, value in rows.items()]


def _told(value: Any) -> str:
    return (
        {True: "yes", False: "no", None: "-"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
    )


def _time(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
