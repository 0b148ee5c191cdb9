"""A page that names a file, a folder or a name of the code names one that is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "app.py", *(ROOT / "src").rglob("*.py")]
BELOW = [ROOT, ROOT / "src", ROOT / "src/iris_communication", ROOT / "src/iris_camera", ROOT / "tests", ROOT / "docs"]
PAGES = ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/specification.md", "docs/glossary.md"]
QUOTED = re.compile(r"`([^`\n]+)`")
PLACE = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:/|\.(?:py|md|sql|toml))")
DOTTED = re.compile(r"[A-Z]\w*(?:\.[a-z_]\w*)?")


def page_text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def names_in_code():
    """Classes, functions, `Class.method`, and names bound at the top of a module."""
    names = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                names |= {node.name} | {f"{node.name}.{inner.name}" for inner in node.body if hasattr(inner, "name")}
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def places(page):
    return sorted({text for text in QUOTED.findall(page_text(page)) if PLACE.fullmatch(text)})


@pytest.mark.parametrize(("page", "place"), [(page, place) for page in PAGES for place in places(page)])
def test_a_file_or_folder_that_a_page_names_exists(page, place):
    assert any((folder / place).exists() for folder in BELOW), f"{page} names {place}"


def test_a_name_in_the_column_where_of_the_specification_is_in_the_code():
    names = names_in_code()
    for row in re.findall(r"^\| \d+ \|(.*)\|$", page_text("docs/specification.md"), re.MULTILINE):
        where = row.split("|")[1]
        named = [text for text in QUOTED.findall(where) if not PLACE.fullmatch(text)]
        assert not [text for text in named if text not in names], where


def test_a_class_that_architecture_names_is_in_the_code():
    names = names_in_code()
    named = [text for text in QUOTED.findall(page_text("ARCHITECTURE.md")) if DOTTED.fullmatch(text)]
    assert not [text for text in named if text not in names]
