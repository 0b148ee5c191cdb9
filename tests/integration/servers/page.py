"""docs/servers.md, made of the table and of the versions it was last renewed with."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.integration.servers.table import ROWS, ServerRow

PAGE = Path(__file__).resolve().parents[3] / "docs" / "servers.md"

INTRODUCTION = """\
# SFTP servers

Each of these servers is real, runs on loopback for the tests, and is put through the same suite
(`tests/integration/test_server_matrix.py`): empty, small and large files; 2,000 at once; awkward names; names that are
taken, under each `conflict` setting; markers; missing folders; closed folders; sources that grow, shrink, change or
vanish while they are sent; a connection that is cut and a server that is restarted in the midst of it; a large file
that goes on after a cut; one in several streams; files written in place; permissions and times; health checks; the
trial of `iris server test`. On all of them what is queued
arrives whole, once, under its name, or it is said why not and nothing else suffers.

`make test` runs the suite on OpenSSH and asyncssh, `make test-all` on all. This page is generated from the table that
the tests assert (`tests/integration/servers/table.py`): a test fails when a server does less than stands here, and also
when it suddenly does more. All packages but asyncssh, paramiko (PyPI) and ssh2 (npm) are Debian's.
"""

MEANING = """\
A *plain rename* is SFTP's own RENAME, *in one step* is OpenSSH's extension `posix-rename@openssh.com`. Where a plain
rename silently replaces a file, Iris checks first, and files of its own for one name take turns. *Files open* is how
many the server lets one connection hold open, as far as 128; Iris learns it from the refusals. *Goes on after a cut*: a
large file is continued where the server acknowledged it, and the last bytes are compared first; where that is
forbidden, or nothing may be read, it is sent again. Where *permissions and times* are refused, a warning says so once.
*In place* is what `in_place = true` brings: files written straight under their names.
"""

EXCEPTIONS = """\
## What some of them cannot do, and what Iris makes of it
"""


def page(versions: Mapping[str, str]) -> str:
    what = table(
        ("server", "package", "version", "greets as", "host key in the tests"),
        ((row.name, row.package, versions.get(row.name, ""), f"`{row.software}...`", row.host_key) for row in ROWS),
    )
    can = table(
        (
            *("server", "plain rename to a taken name", "in one step", "limits", "free space", "files open"),
            *("goes on after a cut", "permissions, times", "in place"),
        ),
        ((row.name, row.rename, *offered(row), files_open(row), *kept(row), in_place(row)) for row in ROWS),
    )
    answers = table(("server", "", "Iris"), ((row.name, *pair) for row in ROWS for pair in exceptions(row)))
    return "\n".join([INTRODUCTION, what, "## What they offer\n", can, MEANING, EXCEPTIONS, answers]).rstrip() + "\n"


def versions_in(text: str) -> dict[str, str]:
    """By server, as the page shows them."""
    cells = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]*) \| `", text, re.MULTILINE)
    return {name: version.strip() for name, version in cells}


def offered(row: ServerRow) -> tuple[str, str, str]:
    posix_rename = "yes" if "posix-rename" in row.extensions else "no"
    space = "yes" if row.free_space else "announced, does not work" if "statvfs" in row.extensions else "no"
    return posix_rename, "yes" if "limits" in row.extensions else "no", space


def files_open(row: ServerRow) -> str:
    return "128 and more" if row.open_files is None else str(row.open_files)


def kept(row: ServerRow) -> tuple[str, str]:
    if row.delivers:
        return "-", "-"
    return "yes" if row.resumes else "sent again", row.attributes


def in_place(row: ServerRow) -> str:
    return "delivers" if row.in_place else "-"


def exceptions(row: ServerRow) -> Iterable[tuple[str, str]]:
    if row.delivers:
        then = "; with `in_place = true` delivers" if row.in_place else ""
        yield f"takes no file: *{row.delivers}* ...", f"gives each file up after its attempts, and leaves nothing{then}"
    elif row.health:
        yield f"a health check finds: *{row.health}* ...", "delivers all the same"
    if not row.removes:
        yield "nothing may be removed", "hidden files (`.iris-...`) of attempts that came to nothing stay"
    if not row.looks:
        yield (
            "nothing may be listed or read",
            (
                "under `rename` takes another name, also for bytes that are there already; under `fail` and `keep` "
                "gives a file up whose name is refused, since no answer says why"
            ),
        )
    if not row.makes_folders:
        yield "no folder may be made", "delivers into folders that are there; a file for another one is refused"
    if not row.distinct_handles:
        yield (
            "gives the same handle to several files, which it then writes into one another",
            (
                "holds no more than two files open there; on a server not known for it, notices, sends those files "
                "again, and goes on with one"
            ),
        )
    if row.names_refused:
        yield (
            f"names it does not take: {', '.join(sorted(row.names_refused))}",
            "refuses that file at once or by and by",
        )
    if row.names_changed:
        yield (
            f"names it changes: {', '.join(sorted(row.names_changed))}",
            "delivers under the name the server makes of it",
        )


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = tuple(heads)
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
