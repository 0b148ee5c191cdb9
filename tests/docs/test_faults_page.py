"""Each row of the page's first part names the test that makes its situation: all of them have to be there."""

import re

from tests.architecture.tree import ROOT

PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
SITUATIONS = PAGE.partition("## What servers do wrong")[0]
ROWS = re.findall(r"^\| (?!---|situation).*$", SITUATIONS, re.MULTILINE)
SHOWN = re.compile(r"`tests/(?P<path>[\w/]+\.py)(?:::(?P<name>\w+))?`")


def test_situations_name_tests_that_are_there():
    for row in ROWS:
        tests = list(SHOWN.finditer(row))
        assert tests, row
        for test in tests:
            path = ROOT / "tests" / test["path"]
            assert path.is_file(), row
            assert not test["name"] or f"def {test['name']}(" in path.read_text(encoding="utf-8"), row
