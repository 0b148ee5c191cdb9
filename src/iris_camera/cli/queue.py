"""`iris queue`: what is owed, and what may be done about it."""

import typer

from iris_camera.cli.outbox import EXIT_WRONG, AsJson, OutboxFolder, json_text, opened_audit
from iris_camera.cli.queue_listing import list_, show
from iris_camera.cli.queue_ordering import drop, pause, priority, resume, retry
from iris_camera.cli.settings_flags import ConfigFile
from iris_camera.cli.terminal import say
from iris_communication.admin.audit import Balance

application = typer.Typer(help="Undelivered files: list them, and act on them.", no_args_is_help=True)


@application.callback()
def queue() -> None:
    """Undelivered files: list them, and act on them."""


@application.command()
def balance(config: ConfigFile = None, outbox: OutboxFolder = None, json: AsJson = False) -> None:
    """Whether every file ever accepted is in exactly one state.

    What lies there is counted, and held against the tally that is kept in passing and the numbers that were given.
    Exit status 0 if they agree, 1 if not, 2 if it cannot look.
    """
    with opened_audit("queue balance", outbox, config) as audit:
        found = audit.balance()
        if json:
            report = {"counted": found.counted, "tallied": found.tallied, "accepted": found.accepted}
            report |= {"last_sequence": found.last_sequence, "problems": [each._asdict() for each in found.problems]}
            say(json_text(report))
        else:
            for line in _table(found):
                say(line)
    raise typer.Exit(EXIT_WRONG if found.problems else 0)


application.command("list")(list_)
application.command()(show)
application.command()(retry)
application.command()(drop)
application.command(context_settings={"ignore_unknown_options": True})(priority)  # -3 is no option
application.command()(pause)
application.command()(resume)


def _table(found: Balance) -> list[str]:
    lines = [f"{'':10}{'counted':>12}{'tally':>12}"]
    for state, count in found.counted.items():
        lines.append(f"{state.replace('_', ' '):10}{count:12}{found.tallied.get(state, 0):12}")
    lines.append(f"{'accepted':10}{found.accepted:12}{found.last_sequence:12}")
    lines += [f"{problem.what}: {problem.hint}" for problem in found.problems]
    return [*lines, "does not balance" if found.problems else "balances"]
