"""The output of the verbs: for people through `say` and `complain`, for programs through `write`.

A terminal executes control characters, and file names, server messages and file contents are untrusted. So a text for
people is one line without control characters. JSON escapes them itself; CSV, whose quoted cells hold line breaks, is
written as it is.
"""

import sys

import typer

from iris_communication.plain_text import clean


def say(line: str) -> None:
    """One line for people, to the standard output."""
    write(clean(line, bytes_stay=True))


def complain(line: str) -> None:
    """One line for people, to the standard error."""
    typer.echo(clean(line), err=True)


def write(line: str) -> None:
    """To the standard output, byte for byte: a path need not be UTF-8. Text that cannot be a path is escaped."""
    try:
        data = line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = line.encode("utf-8", "backslashreplace")
    sys.stdout.buffer.write(data + b"\n")
