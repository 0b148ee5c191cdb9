"""On which line a key stands, in TOML of every shape."""

import tomllib
from pathlib import Path

import pytest

from iris_camera.config.toml_lines import lines_of_keys

ROOT = Path(__file__).resolve().parents[4]


def paths_in(value, path=()):
    """Of every key and list element tomllib found."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield (*path, name)
        yield from paths_in(inner, (*path, name))


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1", ("a",), 1),
        ("\n\n# a = 1\n  a = 1", ("a",), 4),
        ("[t]\na = 1\nb = 2", ("t", "b"), 3),
        ("[ t . u ]\na = 1", ("t", "u", "a"), 2),
        ("[t]\n[t.u]\na = 1", ("t", "u"), 2),
        ('[cameras."line 1"]\na = 1', ("cameras", "line 1", "a"), 2),
        ("[cameras.'a.b']\na = 1", ("cameras", "a.b", "a"), 2),
        ('"a\\u0062" = 1', ("ab",), 1),
        ("[t]\na.b.c = 1\na.d = 2", ("t", "a", "d"), 3),
        ("[t]\na.b.c = 1\na.d = 2", ("t", "a"), 2),
        ("a = '''\nb = 1\n[c]\n'''\nb = 2", ("b",), 5),
        ('a = """\n\\"""\nb = 1"""\nb = 2', ("b",), 4),
        ('a = """"quoted""""\nb = 2', ("b",), 2),
        ("a = 'C:\\'\nb = 2", ("b",), 2),
        ('a = "# no comment" # b = 1\nb = 2', ("b",), 2),
        ('a = "\\" [" # "\nb = 2', ("b",), 2),
        ("a = [ # [\n  1, # ]\n  2,\n]\nb = 2", ("b",), 5),
        ("a = [ # [\n  1, # ]\n  2,\n]\nb = 2", ("a", 1), 3),
        ("a = [[1, 2],\n [3, 4]]", ("a", 1, 0), 2),
        ("a = { b = 1, c = [ 2,\n 3 ] }", ("a", "c", 1), 2),
        ("a = { b.c = '}', d = 4 }\ne = 1", ("e",), 2),
        ("a = [\n  { b = 1 },\n  { b = 2 },\n]", ("a", 1, "b"), 3),
        ("[[a]]\nb = 1\n[[a]]\nb = 2", ("a", 1, "b"), 4),
        ("[[a]]\n[a.c]\nb = 1\n[[a]]\n[a.c]\nb = 2", ("a", 1, "c", "b"), 6),
        ("[[a]]\n[[a.c]]\n[[a.c]]\nb = 2", ("a", 0, "c", 1, "b"), 4),
        ("a = 1\r\nb = 2\r\n", ("b",), 2),
        ("a = 1979-05-27 07:32:00 # when\nb = 2", ("b",), 2),
        ("[t]", ("t",), 1),
    ],
)
def test_a_key_is_found_on_its_line(text, path, line):
    assert path in set(paths_in(tomllib.loads(text)))
    assert lines_of_keys(text)[path] == line


@pytest.mark.parametrize("file", ["pyproject.toml", "examples/iris.toml"])
def test_every_key_of_a_real_file_is_found_on_a_line_that_holds_it(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    lines, found = text.splitlines(), lines_of_keys(text)
    for path in paths_in(tomllib.loads(text)):
        name = str(path[-1])
        assert isinstance(path[-1], int) or name in lines[found[path] - 1], path


def test_the_reader_of_lines_invents_no_key():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert set(lines_of_keys(text)) == set(paths_in(tomllib.loads(text)))
