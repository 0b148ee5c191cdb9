"""The command `iris`: one file a verb."""

import typer

from iris_camera.cli.check import check
from iris_camera.cli.demo import demo
from iris_camera.cli.example import example
from iris_camera.cli.ledger import application as ledger
from iris_camera.cli.model import application as model
from iris_camera.cli.outbox import application as outbox
from iris_camera.cli.queue import application as queue
from iris_camera.cli.run import run
from iris_camera.cli.send import send
from iris_camera.cli.unpack import unpack
from iris_camera.cli.watch import watch

application = typer.Typer(
    name="iris",
    help="Inspect a production line with a camera, and deliver what was seen to an SFTP server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
application.command()(demo)
application.command()(run)
application.command()(check)
application.command()(example)
application.command()(send)
application.command()(watch)
application.command()(unpack)
application.add_typer(model, name="model")
application.add_typer(queue, name="queue")
application.add_typer(ledger, name="ledger")
application.add_typer(outbox, name="outbox")


def main() -> None:
    application()


if __name__ == "__main__":
    main()
