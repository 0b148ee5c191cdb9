"""The statements in *.sql files, on every Python that is supported."""

import re
from pathlib import Path

import pytest

SQL = sorted((Path(__file__).resolve().parents[2] / "src").rglob("*.sql"))


@pytest.mark.parametrize("path", SQL, ids=lambda path: path.name)
def test_no_placeholder_has_a_number(path):
    """Given by position, a numbered one is a warning in Python 3.12.0 and 3.12.1."""
    assert re.findall(r"\?\d+", path.read_text()) == []
