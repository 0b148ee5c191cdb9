"""What the tests of `spool` share."""

import os


def held(spool):
    return sorted(spool.sizes())


def failing(error_number):
    def fail(*_args, **_options):
        raise OSError(error_number, os.strerror(error_number))

    return fail
