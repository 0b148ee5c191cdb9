"""The table of promises names the test of each: all of these tests have to exist."""

import re

from tests.architecture.tree import ROOT

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
SHOWN = re.compile(r"^`(?:\[(?P<room>[\w/]+)\] )?(?P<path>[\w/]+\.py)(?:::(?P<name>\w+))?`$")


def named():
    """(file, test or None) of each name in the table; one without a folder lies where the one before it in its cell
    does."""
    table = PAGE.partition("## Each promise")[2].partition("## Torture")[0]
    for row in table.splitlines():
        cell, folder = row.rpartition("| ")[2], None
        for mark in re.findall(r"`[^`]+`", cell):
            if (found := SHOWN.match(mark)) is None:
                continue
            if found["room"]:
                folder = f"unit/iris_communication/{found['room']}"
                path = f"{folder}/{found['path']}"
            elif "/" in found["path"]:
                path = found["path"]
                folder = path.rpartition("/")[0]
            else:
                path = f"{folder}/{found['path']}"
            yield ROOT / "tests" / path, found["name"]


def test_every_test_that_the_table_names_is_there():
    names = list(named())
    assert len(names) > 50
    assert [str(path.relative_to(ROOT)) for path, _ in names if not path.is_file()] == []
    assert [name for path, name in names if name and f"def {name}(" not in path.read_text(encoding="utf-8")] == []
