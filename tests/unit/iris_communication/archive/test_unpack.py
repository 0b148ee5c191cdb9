import errno
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.archive.manifest import MANIFEST_NAME, Manifest, Member, as_json
from iris_communication.archive.unpack import ArchiveBroken, FolderRefused, unpack, verify
from tests.thorough import examples
from tests.unit.iris_communication.made_batches import MTIME_NS, batch, fingerprint

KINDS = ("zip", "tar.gz")
FILES = [("a.csv", b"frame,x\n1,2\n"), ("b.csv", b""), ("c.csv", b"3" * 5000)]
FUZZ = settings(derandomize=True, deadline=None, database=None, max_examples=examples(300))

each_kind = pytest.mark.parametrize("kind", KINDS)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def member(entry, data, **changes):
    mark = fingerprint(data)
    facts = {"entry": entry, "name": entry, "size_bytes": len(data), "sha256": mark.sha256, "mtime_ns": MTIME_NS}
    return Member(**({"accepted_s": 0.0, "id": f"id-{entry}"} | facts | changes))


class Forger:
    """Makes archives that Iris would not: any entries behind any manifest."""

    def __init__(self, path, kind):
        self.path, self.kind = path, kind

    def __call__(self, members, entries, first=None):
        manifest = as_json(Manifest("forged", tuple(members))) if first is None else first
        (self._zip if self.kind == "zip" else self._tar)([(MANIFEST_NAME, manifest), *entries])
        return self.path

    def _zip(self, entries):
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in entries:
                archive.writestr(name, data)

    def _tar(self, entries):
        with tarfile.open(self.path, "w:gz") as archive:
            for name, data in entries:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


@pytest.fixture(params=KINDS)
def forge(tmp_path, request):
    return Forger(tmp_path / "forged", request.param)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@each_kind
def test_files_come_out_with_their_names_bytes_and_times(tmp_path, out, kind):
    unpacked = unpack(batch(tmp_path, FILES, kind), out)
    assert [(each.path.name, each.path.read_bytes(), each.how) for each in unpacked] == [
        (name, data, "written") for name, data in FILES
    ]
    assert {each.path.stat().st_mtime_ns for each in unpacked} == {MTIME_NS}
    assert names(out) == ["a.csv", "b.csv", "c.csv"]


@each_kind
def test_a_name_that_no_archive_should_hold_comes_back_as_it_was(tmp_path, out, kind):
    odd = [os.fsdecode(b"\xff.csv"), "line\nbreak", "a\\b", MANIFEST_NAME, "n" * 255, ".iris-hidden"]
    unpack(batch(tmp_path, [(name, name.encode("utf-8", "surrogateescape")) for name in odd], kind), out)
    assert {os.fsencode(path.name): path.read_bytes() for path in out.iterdir()} == {
        os.fsencode(name): os.fsencode(name) for name in odd
    }


@each_kind
@pytest.mark.parametrize("name", ["../escaped", "/etc/escaped", "..", ".", "", "a/b", "n" * 256, "nul\0"])
def test_no_file_leaves_the_folder(tmp_path, out, kind, name):
    (unpacked,) = unpack(batch(tmp_path, [(name, b"bytes")], kind), out)
    assert unpacked.path.parent == out
    assert unpacked.path.read_bytes() == b"bytes"
    assert not (tmp_path / "escaped").exists()


def test_a_name_that_is_no_path_at_all_gives_way_to_the_entrys(forge, out):
    forged = forge([member("plain", b"bytes", name="\ud800")], [("plain", b"bytes")])
    assert [each.path.name for each in unpack(forged, out)] == ["plain"]


@each_kind
def test_unpacking_again_does_no_harm(tmp_path, out, kind):
    path = batch(tmp_path, FILES, kind)
    unpack(path, out)
    assert {each.how for each in unpack(path, out)} == {"already there"}
    assert names(out) == ["a.csv", "b.csv", "c.csv"]


@each_kind
def test_a_file_that_has_the_name_is_left_alone_and_ours_takes_the_one_beside(tmp_path, out, kind):
    out.mkdir()
    (out / "a.csv").write_bytes(b"somebody else's")
    path = batch(tmp_path, FILES, kind)
    for how in ("written", "already there"):
        first = unpack(path, out)[0]
        assert (first.path.name, first.how) == (f"a.{fingerprint(FILES[0][1]).sha256[:8]}.csv", how)
        assert first.path.read_bytes() == FILES[0][1]
    assert (out / "a.csv").read_bytes() == b"somebody else's"


@each_kind
def test_a_link_that_has_the_name_is_not_followed(tmp_path, out, kind):
    out.mkdir()
    elsewhere = tmp_path / "elsewhere"
    (out / "a.csv").symlink_to(elsewhere)
    assert unpack(batch(tmp_path, FILES, kind), out)[0].path.name != "a.csv"
    assert not elsewhere.exists()


@each_kind
def test_two_files_of_one_name_are_both_there(tmp_path, out, kind):
    unpack(batch(tmp_path, [("r.csv", b"1"), ("r.csv", b"2")], kind), out)
    assert sorted(path.read_bytes() for path in out.iterdir()) == [b"1", b"2"]


@each_kind
def test_a_file_whose_names_are_both_taken_is_refused_and_overwrites_neither(tmp_path, out, kind):
    out.mkdir()
    taken = [out / "a.csv", out / f"a.{fingerprint(FILES[0][1]).sha256[:8]}.csv"]
    for path in taken:
        path.write_bytes(b"somebody else's")
    with pytest.raises(FolderRefused, match=r"'a\.csv'"):
        unpack(batch(tmp_path, FILES, kind), out)
    assert [path.read_bytes() for path in taken] == [b"somebody else's"] * 2


@each_kind
def test_a_name_that_is_taken_is_left_alone_without_links_too(tmp_path, out, kind, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    out.mkdir()
    (out / "a.csv").write_bytes(b"somebody else's")
    assert [each.path.read_bytes() for each in unpack(batch(tmp_path, FILES, kind), out)] == [d for _, d in FILES]
    assert (out / "a.csv").read_bytes() == b"somebody else's"


# Damaged and made-up archives.


@each_kind
@FUZZ
@given(st.data())
def test_a_damaged_archive_unpacks_no_byte_that_was_not_in_it(tmp_path_factory, kind, data):
    folder = tmp_path_factory.mktemp("fuzz")
    path, out = batch(folder, FILES, kind), folder / "out"
    archive = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3), label="bytes")):
        archive[data.draw(st.integers(0, len(archive) - 1), label="at")] = data.draw(st.integers(0, 255), label="byte")
    path.write_bytes(archive[: data.draw(st.integers(0, len(archive)), label="end")])
    try:
        unpacked = unpack(path, out)
    except ArchiveBroken:
        assert not out.exists() or names(out) == []
    else:
        assert [each.path.read_bytes() for each in unpacked] == [data for _, data in FILES]
    shutil.rmtree(folder)


@each_kind
def test_each_byte_of_a_member_counts(tmp_path, kind):
    members = [member(name, data) for name, data in FILES]
    forged = Forger(tmp_path / "forged", kind)(members, [*FILES[:2], ("c.csv", b"3" * 4999 + b"4")])
    with pytest.raises(ArchiveBroken, match=r"'c\.csv' has a different SHA-256"):
        verify(forged)


def test_an_archive_that_no_manifest_begins_is_no_batch(forge):
    with pytest.raises(ArchiveBroken, match="is not JSON"):
        verify(forge([], FILES, first=b"not json"))


def test_an_archive_without_a_manifest_is_no_batch(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", b"")
    with pytest.raises(ArchiveBroken, match="does not begin with"):
        verify(tmp_path / "a.zip")


@pytest.mark.parametrize("data", [b"", b"P", b"PK\x03\x04", b"\x1f\x8b", b"frame,x\n1,2\n", b"\x1f\x8b" + bytes(1000)])
def test_a_file_that_is_no_archive_is_refused(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ArchiveBroken):
        verify(tmp_path / "a")


def test_a_file_more_than_the_manifest_names_is_reported(forge):
    with pytest.raises(ArchiveBroken, match=r"contains 'more' twice, or its manifest does not list it"):
        verify(forge([member("a.csv", b"1")], [("a.csv", b"1"), ("more", b"")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_reported(forge):
    with pytest.raises(ArchiveBroken, match="twice, or its manifest does not list it"):
        verify(forge([member("a.csv", b"1")], [("a.csv", b"1"), ("a.csv", b"1")]))


def test_a_file_fewer_than_the_manifest_names_is_reported(forge, out):
    forged = forge([member("a.csv", b"1"), member("b.csv", b"2")], [("a.csv", b"1")])
    with pytest.raises(ArchiveBroken, match=r"lacks 1 of 2 files: 'b\.csv'"):
        unpack(forged, out)
    assert names(out) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_entry_that_is_no_plain_file_is_refused(tmp_path, out, kind):
    manifest = as_json(Manifest("b", (member("a", b""),)))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo(MANIFEST_NAME)
        info.size = len(manifest)
        archive.addfile(info, io.BytesIO(manifest))
        info = tarfile.TarInfo("a")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ArchiveBroken, match="is not a regular file"):
        unpack(tmp_path / "a.tar.gz", out)


# Bombs: the peak of a process of its own is looked at.

BOMB = """
import sys
from pathlib import Path
from iris_communication.archive.unpack import ArchiveBroken, FolderRefused, verify, unpack
def peak_mib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
before_mib = peak_mib()
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except (ArchiveBroken, FolderRefused) as error:
    print(type(error).__name__, peak_mib() - before_mib, error)
"""


def told_of_bomb(path, out):
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(path), str(out)],
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kind, mib, what = done.stdout.split(" ", 2)
    assert float(mib) < 20
    assert names(out) == [] if out.exists() else True
    return kind, what


ZEROS = bytes(64 * 1024 * 1024)


def test_an_entry_that_unpacks_to_more_than_the_manifest_says_ends_there(forge, out):
    kind, what = told_of_bomb(forge([member("a", b"1")], [("a", ZEROS)]), out)
    assert kind == "ArchiveBroken"
    assert "67108864 bytes instead of 1" in what


def test_a_manifest_too_large_to_be_one_is_not_read(forge, out):
    assert told_of_bomb(forge([], [], first=ZEROS), out)[0] == "ArchiveBroken"


def test_a_zip_entry_whose_length_is_a_lie_ends_where_the_manifest_says(tmp_path, out):
    path = Forger(tmp_path / "forged", "zip")([member("a", b"1")], [("a", ZEROS)])
    archive = path.read_bytes().replace(len(ZEROS).to_bytes(4, "little"), (1).to_bytes(4, "little"))
    path.write_bytes(archive)
    assert told_of_bomb(path, out)[0] == "ArchiveBroken"


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_header_that_would_fill_the_memory_is_not_read(tmp_path, out, kind):
    def entry(name, size_bytes, of_type):
        info = tarfile.TarInfo(name)
        info.size, info.type = size_bytes, of_type
        return info.tobuf(tarfile.GNU_FORMAT)

    manifest = as_json(Manifest("b", (member("a", b"", size_bytes=2**31),)))
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(entry(MANIFEST_NAME, len(manifest), tarfile.REGTYPE))
        packed.write(manifest + bytes(-len(manifest) % 512))
        packed.write(entry("x", len(ZEROS), kind))
        packed.write(ZEROS)
    found, what = told_of_bomb(path, out)
    assert found == "ArchiveBroken"
    assert "header of 67108864 bytes" in what


def test_an_archive_that_the_disk_has_no_room_for_is_not_begun(forge, out):
    forged = forge([member("a", b"", size_bytes=2**60)], [("a", b"")])
    with pytest.raises(FolderRefused, match="does not fit"):
        unpack(forged, out)
    assert names(out) == []


def test_a_folder_that_cannot_be_written_is_reported(tmp_path, out):
    out.write_bytes(b"a file")
    with pytest.raises(FolderRefused, match="cannot write"):
        unpack(batch(tmp_path, FILES, "zip"), out)


def test_an_archive_that_is_not_there_is_the_systems_own_error(tmp_path, out):
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "none.zip", out)
    assert not out.exists()


def test_the_manifest_is_what_verifying_answers(tmp_path):
    manifest = verify(batch(tmp_path, FILES, "zip"))
    assert json.loads(as_json(manifest))["batch"] == "b-1"
    assert manifest.size_bytes == sum(len(data) for _, data in FILES)
