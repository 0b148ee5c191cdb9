"""`iris server`: what is known of the servers that files go to, and the server test."""

import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from iris_camera.cli.destination import no_such_server, refuse
from iris_camera.cli.outbox import EXIT_CANNOT_LOOK, EXIT_WRONG, AsJson, json_text, opened_audit
from iris_camera.cli.queue_table import printable, size
from iris_camera.cli.settings_flags import ConfigFile, Outbox, read_settings
from iris_camera.cli.terminal import complain, say
from iris_camera.config import Config, Flags
from iris_camera.config.sections import DEFAULT_SERVER
from iris_communication.admin.audit import Audit, NoOutbox
from iris_communication.admin.server_trial import IrisError, TrialStopped, Weight, known, try_server
from iris_communication.errors import InvalidRequest

EXIT_STOPPED = 128 + signal.SIGINT  # as a shell reports it

application = typer.Typer(help="The SFTP servers that files go to.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="A server's name in the settings, user@host:port, or a JSON file with one server."
    ),
]
MARKS = {Weight.WELL: "ok  ", Weight.NOTE: "note", Weight.TROUBLE: "BAD "}


@application.callback()
def server() -> None:
    """The SFTP servers that files go to."""


@application.command("list")
def list_(config: ConfigFile = None, outbox: Outbox = None, json: AsJson = False) -> None:
    """The servers this outbox has met, a line each, with their names in the settings.

    With --json one object a line. Exit status 0, or 2 if it cannot look.
    """
    settings = _settings("server list", config, outbox)
    met = known(settings.outbox_dir)
    for key, facts in sorted(met.items()):
        names = [name for name, each in settings.servers.items() if each.account == key]
        say(json_text({"server": key, "names": names, **facts}) if json else _line(key, names, facts))
    if not met and not json:
        say("none yet: the first delivery, or `iris server test NAME`, learns of one")


@application.command()
def show(name: Name, config: ConfigFile = None, outbox: Outbox = None, json: AsJson = False) -> None:
    """What is remembered of one server: who it is, what it can do, and how its latest trial ended. Asks nobody.

    Exit status 0, 1 if nothing is known of it, 2 if it cannot look.
    """
    settings = _settings("server show", config, outbox, name)
    with opened_audit("server show", settings.outbox_dir) as audit:
        met = known(audit.folder)
        key = _key("server show", settings, name, met, audit)
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
def try_out(name: Name, config: ConfigFile = None, outbox: Outbox = None, json: AsJson = False) -> None:
    """Try a server out, now: connect, do each step of a delivery under hidden names, measure, remove what was made, and
    say what will and will not work there. It has to be one of the settings, or a JSON file. Ctrl+C ends it, and what
    was made is removed.

    Exit status 0 if files will arrive, 1 if not, 2 if it is not reached or does not let us in, 130 after Ctrl+C.
    """
    settings = _settings("server test", config, outbox, name)
    meant = _name_in(settings, name)
    if meant is None:
        refuse("server test", no_such_server(settings, name))
    try:
        report = try_server(settings.servers[meant].info(), outbox=settings.outbox_dir)
    except IrisError as error:
        _report(error, error.hint, json=json)
        raise typer.Exit(EXIT_CANNOT_LOOK) from None
    except TrialStopped as stopped:
        _report(stopped, "", json=json)
        raise typer.Exit(EXIT_STOPPED) from None
    facts = report.facts()
    if json:
        say(json_text(facts))
    else:
        for line in _trial(facts):
            say(line)
    raise typer.Exit(0 if report.works else EXIT_WRONG)


def _settings(verb: str, config: Path | None, outbox: Path | None, name: str = "") -> Config:
    """With the server of the JSON file, if `name` is one."""
    return read_settings(verb, config, Flags(server=Path(name) if name.endswith(".json") else None, outbox=outbox))


def _name_in(settings: Config, word: str) -> str | None:
    """The server's name in the settings, for a name, a key or a JSON file."""
    if word.endswith(".json"):
        return DEFAULT_SERVER
    if word in settings.servers:
        return word
    return next((name for name, each in settings.servers.items() if each.account == word), None)


def _key(verb: str, settings: Config, word: str, met: Mapping[str, Any], audit: Audit) -> str:
    """The key of a server of the settings, or of one that programs have queued files for."""
    if (name := _name_in(settings, word)) is not None:
        return settings.servers[name].account
    if word in met:
        return word
    try:
        return audit.server_key(word)
    except (NoOutbox, InvalidRequest):
        refuse(verb, f"{no_such_server(settings, word)}; nor does the outbox {audit.folder} know one")


def _report(error: BaseException, hint: str, *, json: bool) -> None:
    if json:
        say(json_text({"works": False, "error": type(error).__name__, "says": str(error), "hint": hint}))
    else:
        complain(f"iris server test: {error}. {hint}".rstrip())


def _line(key: str, names: list[str], facts: dict[str, Any]) -> str:
    software = facts.get("software") or facts.get("trial", {}).get("software") or "not met yet"
    called = f"  ({', '.join(names)})" if names else ""
    return printable(f"{key}  {software}  {_verdict(facts.get('trial'))}{called}")


def _verdict(trial: dict[str, Any] | None) -> str:
    if not trial:
        return "not tried out"
    return f"{'works' if trial['works'] else 'DOES NOT WORK'}, tried {_time(trial['at_s'])}"


def _story(key: str, facts: dict[str, Any]) -> list[str]:
    """Every stored fact of one server, as lines."""
    lines = [key]
    if "software" in facts:
        lines += _table(
            {
                "greets as": facts["software"],
                "host key": facts["host_key"],
                "met first like this": _time(facts["learned_s"]),
                "round trip": f"{facts['round_trip_ms']:g} ms",
                **{name.replace("_", " "): _as_text(value) for name, value in facts["capabilities"].items()},
                "one write at a time": _as_text(facts["one_write"]),
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
            "spoken with": ", ".join((facts.get("algorithms") or {}).values()) or "not known",
            "connected in": f"{facts['connected_s']:.2f} s",
            "round trip": f"{facts['round_trip_ms']:g} ms",
            "one file": "not measured" if rate is None else f"{rate / 1e6:.1f} MB/s",
            "free space": "not reported" if free_bytes is None else size(free_bytes),
        }
    )
    lines += [f"  {MARKS[Weight(sentence['weight'])]}  {sentence['words']}" for sentence in facts["says"]]
    return [printable(line) for line in lines]


def _table(rows: dict[str, str]) -> list[str]:
    return [f"  {name:21} {value}" for name, value in rows.items()]


def _as_text(value: Any) -> str:
    return (
        {True: "yes", False: "no", None: "-"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
    )


def _time(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
