"""The page's table and the table that Iris judges by are one, and each row's test is there."""

import re

from iris_camera.health.conditions import CONDITIONS
from tests.architecture.tree import ROOT

PAGE = (ROOT / "docs" / "health.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ")]
TABLE = {row[0]: row[1:] for row in ROWS[1:]}


def test_the_page_has_each_condition_in_the_order_of_the_code():
    assert list(TABLE) == list(CONDITIONS)


def test_severity_readiness_and_status_are_those_of_the_code():
    for kind, (_, severity, ready, status, _, _) in TABLE.items():
        condition = CONDITIONS[kind]
        assert severity == condition.severity, kind
        assert ready == ("yes" if condition.ready else "no"), kind
        assert status == ("200" if condition.ready else "503"), kind


def test_each_condition_says_what_to_do_and_names_a_test_that_is_there():
    for kind, (sentence, _, _, _, what_to_do, test) in TABLE.items():
        assert sentence, kind
        assert what_to_do, kind
        named = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", test)
        assert named, test
        assert f"def {named[2]}(" in (ROOT / named[1]).read_text(encoding="utf-8"), test
