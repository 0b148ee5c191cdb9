"""`iris run`"""

import os
import sys

from iris_camera import app
from iris_camera.cli.settings_flags import (
    ConfigFile,
    Detector,
    Outbox,
    Port,
    Records,
    Server,
    Source,
    mistakes_end,
    tell,
)
from iris_camera.config import Config, Flags, find_file
from iris_camera.config.cautions import cautions
from iris_camera.config.reading import Reading, read_with_origins


def run(
    config: ConfigFile = None,
    source: Source = None,
    detector: Detector = None,
    server: Server = None,
    records: Records = None,
    outbox: Outbox = None,
    port: Port = None,
) -> None:
    """Inspect what your cameras see and deliver it to your server, until Ctrl+C or the last film has ended.

    Flags stand over environment variables, these over the settings file. Without any, the made-up line is inspected.
    """
    flags = Flags(source, detector, server, records, outbox, port)

    def read() -> Reading:
        return read_with_origins(find_file(config), os.environ, flags)

    with mistakes_end("run"):
        first = read()
    for caution in cautions(first):
        tell("caution", caution)
    unread = [first.config]

    def read_config() -> Config:
        # Once at the start is enough: a secret's command may ask somebody for a PIN.
        return unread.pop() if unread else read().config

    sys.exit(app.main(read_config))
