"""What a verb writes: for people through `say` and `complain`, for programs through `write`.

A terminal obeys what is written to it, and names of files, words of servers and texts of files come from strangers. So
whatever is for people is one clean line. JSON is clean by itself; CSV, whose quotes hold line breaks, is written as
it is.
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
    """To the standard output, byte for byte: a path need not be UTF-8. What could be no path either is spelt out."""
    try:
        told = line.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        told = line.encode("utf-8", "backslashreplace")
    sys.stdout.buffer.write(told + b"\n")
