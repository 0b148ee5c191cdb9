import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.archive.manifest import (
    MANIFEST_NAME,
    Manifest,
    ManifestBroken,
    Member,
    as_json,
    entry_names,
    from_json,
    is_plain,
)

PROPERTY = settings(derandomize=True, deadline=None, database=None)
SHA256 = "ab" * 32
MEMBER = Member("a.csv", "a.csv", 3, SHA256, 1_800_000_000_000_000_000, 1_800_000_001.25, "id-1")
FILE_NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: not {0, 0x2F} & set(name)).map(os.fsdecode)


def test_a_written_manifest_is_read_again():
    manifest = Manifest("b-1", (MEMBER,))
    assert from_json(as_json(manifest)) == manifest


@PROPERTY
@given(st.lists(FILE_NAMES, max_size=20))
def test_every_file_has_an_entry_of_its_own_that_any_program_can_write(names):
    entries = entry_names([(name, SHA256, f"id-{number}") for number, name in enumerate(names)])
    assert len({entry.casefold() for entry in entries} | {MANIFEST_NAME.casefold()}) == len(names) + 1
    for entry in entries:
        assert is_plain(entry)
        assert len(entry.encode()) <= 255
    members = [Member(entry, name, 0, SHA256, 0, 0.0, "x") for entry, name in zip(entries, names, strict=True)]
    assert [member.name for member in from_json(as_json(Manifest("b", tuple(members)))).members] == names


@pytest.mark.parametrize("name", ["report.csv", "Prüfung 12:30.csv", "検査.csv", ".hidden", "..a", "a b", "x" * 255])
def test_an_ordinary_name_is_its_entry(name):
    assert entry_names([(name, SHA256, "id-1")]) == [name]


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("..", "%2E%2E"),
        ("", "%"),
        ("/etc/passwd", "%2Fetc%2Fpasswd"),
        ("a\\b", "a%5Cb"),
        ("line\nbreak", "line%0Abreak"),
        (os.fsdecode(b"\xff.csv"), "%FF.csv"),
        ("MANIFEST.json", "MANIFEST.abababab.json"),
        ("manifest.JSON", "manifest.abababab.JSON"),
    ],
)
def test_a_name_that_some_program_could_not_write_is_spelt_out(name, entry):
    assert entry_names([(name, SHA256, "id-1")]) == [entry]


def test_equal_names_are_distinguished_by_content_and_equal_content_by_id():
    files = [("r.csv", SHA256, "id-1"), ("R.csv", "cd" * 32, "id-2"), ("r.csv", "cd" * 32, "id-3")]
    assert entry_names(files) == ["r.csv", "R.cdcdcdcd.csv", "r.id-3.csv"]


def told(**changes):
    member = json.loads(as_json(Manifest("b", (MEMBER,))))["members"][0] | changes
    return json.dumps({"format": "iris-batch-1", "batch": "b", "members": [member]}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"format": "iris-batch-2", "batch": "b", "members": []}',
        b'{"format": "iris-batch-1", "batch": 1, "members": []}',
        b'{"format": "iris-batch-1", "batch": "b", "members": [1]}',
        told(entry="../a"),
        told(entry=".."),
        told(entry="/a"),
        told(entry="MANIFEST.json"),
        told(entry=7),
        told(name=None),
        told(size_bytes=-1),
        told(size_bytes=True),
        told(size_bytes=2**80),
        told(size_bytes=1.5),
        told(sha256="AB" * 32),
        told(mtime_ns="x"),
        told(accepted_s=None),
        told(more=1),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(data):
    with pytest.raises(ManifestBroken):
        from_json(data)


def test_a_manifest_that_names_an_entry_twice_is_refused():
    with pytest.raises(ManifestBroken, match="twice"):
        from_json(as_json(Manifest("b", (MEMBER, MEMBER))))
