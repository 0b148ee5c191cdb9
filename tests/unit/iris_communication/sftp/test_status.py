"""From a code to somebody to blame."""

import pytest

from iris_communication.errors import (
    RemoteDiskFull,
    RemoteFailure,
    RemoteNameRefused,
    RemoteRefused,
    Retry,
    Scope,
)
from iris_communication.sftp.status import StatusError, blame


@pytest.mark.parametrize(
    ("code", "message", "kind", "scope", "retry"),
    [
        (2, "No such file", RemoteRefused, Scope.ITEM, Retry.LATER),
        (3, "Permission denied", RemoteRefused, Scope.ITEM, Retry.LATER),
        (4, "Failure", RemoteFailure, Scope.ITEM, Retry.LATER),
        (5, "Bad message", RemoteNameRefused, Scope.ITEM, Retry.NEVER),
        (8, "Operation unsupported", RemoteNameRefused, Scope.ITEM, Retry.NEVER),
        # what asyncssh and ProFTPD say where OpenSSH says Failure
        (4, "No space left on device", RemoteDiskFull, Scope.SERVER, Retry.LATER),
        (4, "No space on filesystem", RemoteDiskFull, Scope.SERVER, Retry.LATER),
        (4, "Disk quota exceeded", RemoteDiskFull, Scope.SERVER, Retry.LATER),
        (4, "Quota exceeded", RemoteDiskFull, Scope.SERVER, Retry.LATER),
        # codes of later protocol versions
        (9, "Invalid handle", RemoteFailure, Scope.ITEM, Retry.LATER),
        (11, "File already exists", RemoteFailure, Scope.ITEM, Retry.LATER),
        (14, "", RemoteDiskFull, Scope.SERVER, Retry.LATER),
        (15, "", RemoteDiskFull, Scope.SERVER, Retry.LATER),
        (31, "", RemoteFailure, Scope.ITEM, Retry.LATER),
        (4_000_000_000, "", RemoteFailure, Scope.ITEM, Retry.LATER),
        # a name is no verdict
        (3, "/srv/quota/a.csv: Permission denied", RemoteRefused, Scope.ITEM, Retry.LATER),
        (4, "cannot open no-space-report.csv", RemoteFailure, Scope.ITEM, Retry.LATER),
    ],
)
def test_a_refusal_is_blamed(code, message, kind, scope, retry):
    error = blame(StatusError(code, message), "write", b"/in/a.csv")
    assert type(error) is kind
    assert (error.scope, error.retry) == (scope, retry)


def test_the_error_names_the_file_and_repeats_the_servers_words():
    error = blame(StatusError(3, "ask Ann"), "create", b"/in/\xff.csv")
    assert str(error) == r"cannot create '/in/\\xff.csv' on the server: PERMISSION_DENIED (ask Ann)"
    assert error.hint


def test_a_code_without_a_name_is_told_by_its_number():
    assert str(StatusError(21, "")) == "status 21"
