"""A disk that fails at a call, and what a spool holds of a source."""

import os


def held(spool):
    return sorted(spool.sizes())


def failing(error_number):
    def fail(*_args, **_options):
        raise OSError(error_number, os.strerror(error_number))

    return fail
