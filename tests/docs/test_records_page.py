"""docs/records.md describes every column, in the order of the files."""

import re

import pytest

from iris_camera.inspection.inspector import NOTHING
from iris_camera.records.csv_file import COLUMNS, HEARTBEAT, SCHEMA_VERSION
from tests.architecture.tree import ROOT

PAGE = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_column_is_described_with_its_type_in_the_order_of_the_file(kind):
    table = PAGE.partition(f"**`{kind}`**")[2].partition("| column |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|[^|]*\| [^|]+ \|$", table, re.MULTILINE)
    assert tuple(column for column, _ in rows) == COLUMNS[kind]
    assert all(text.strip() for _, text in rows)


def test_the_version_and_the_labels_without_a_part_are_described():
    assert PAGE.count(f"of these columns, now {SCHEMA_VERSION} |") == len(COLUMNS)
    assert all(f"| {version} | " in PAGE for version in range(1, SCHEMA_VERSION))
    assert f"`{HEARTBEAT}` on a heartbeat" in PAGE
    assert f"`{NOTHING}` where nothing was found" in PAGE
