"""The process's one application: started by `main`, ended by the two clean-up functions that other programs call.

`cleanup_threads` is the orderly end, `cleanup_on_exit` the fast end at interpreter exit.
"""

import atexit
import gc
import logging
import os
import stat
from collections.abc import Callable

from iris_camera import descriptors, logs
from iris_camera.application import Application
from iris_camera.config import Config, ConfigError, find_file, read
from iris_camera.config.summary import summary
from iris_camera.inspection.model_error import ModelError
from iris_camera.records.private_folder import make_records_folder
from iris_camera.signals import listening_to_signals
from iris_camera.web.server import CannotServe
from iris_communication.admin.outbox_control import check_folder
from iris_communication.errors import IrisError

log = logging.getLogger(__name__)

EXIT_TROUBLE = 1
EXIT_USAGE = 2

_current: Application | None = None


def start(application: Application) -> Application:
    """Start it as the process's application, the one that `cleanup_threads` and `cleanup_on_exit` end."""
    global _current  # noqa: PLW0603  # its users require the two clean-up functions at module level
    _current = application
    atexit.register(application.cleanup_on_exit)
    descriptors.raise_limit()
    application.start()
    # The objects made so far live as long as the process: without this the collector scans all of them again and again,
    # 30 ms at a time, and every thread waits.
    gc.collect()
    gc.freeze()
    return application


def cleanup_threads() -> None:
    """End the process's application in order: records, uploader (15 s), cameras, page and sockets, health, logging."""
    if _current is not None:
        _current.cleanup_threads()


def cleanup_on_exit() -> None:
    """End the process's application fast; does nothing after `cleanup_threads`."""
    if _current is not None:
        _current.cleanup_on_exit()


def from_the_usual_places() -> Config:
    """The settings file from the usual places, overridden by the environment. Raises ConfigError."""
    return read(find_file())


def main(read_config: Callable[[], Config] = from_the_usual_places) -> int:
    """Run until Ctrl+C or SIGTERM, or until every source has ended; the exit status: 0, or 1 when a source ended
    before its time, or 2 when nothing could be started.

    `read_config` reads the settings, now and at each SIGHUP.
    """
    logs.start_logging()
    try:
        config = read_config()
        logs.start_logging(config.log.number)
        check_folder(config.outbox_dir)
        os.umask(os.umask(0o077) | stat.S_IWOTH)  # no file made from now on is writable by everybody
        make_records_folder(config.records_dir)
        application = Application(config, read_again=read_config)
        for line in summary(config):
            log.info("%s", line)
        with listening_to_signals(application.request_stop, application.request_reload):
            start(application)
            if not config.servers:
                log.warning("no server is configured: records wait in %s", config.records_dir)
            well = application.wait_until_done()
            log.info("stopping; Ctrl+C again leaves at once")
            cleanup_threads()
    except IrisError as error:
        log.error("%s. %s", error, error.hint)
        logs.stop_logging()
        return EXIT_USAGE
    except (ConfigError, CannotServe, ModelError) as error:
        log.error("%s", error)
        logs.stop_logging()
        return EXIT_USAGE
    return 0 if well else EXIT_TROUBLE
