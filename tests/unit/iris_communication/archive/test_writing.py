import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_communication.archive.unpack import unpack, verify
from iris_communication.archive.writing import MemberBroken, write_archive
from iris_communication.errors import OutboxStorageError, SourceChanged, SpoolMissing
from iris_communication.runtime.system_trouble import SystemTrouble
from tests.own_process import files_no_larger_than, in_a_process_of_its_own
from tests.unit.iris_communication.made_batches import MTIME_NS, batch, contents, spoil

KINDS = ("zip", "tar.gz")
FILES = [("a.csv", b"frame,x\n1,2\n"), ("b.csv", b""), ("ü.jpg", os.urandom(300_000))]
PROPERTY = settings(derandomize=True, deadline=None, database=None, max_examples=40)
NAMES = st.binary(min_size=1, max_size=255).filter(lambda name: not {0, 0x2F} & set(name)).map(os.fsdecode)
MTIMES_NS = st.integers(-(2**63) + 1, 2**63 - 1)

each_kind = pytest.mark.parametrize("kind", KINDS)


def entries(path):
    """Name -> bytes, as Python's own libraries read them."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}


@each_kind
def test_every_file_is_in_there_behind_the_manifest(tmp_path, kind):
    found = entries(batch(tmp_path, FILES, kind))
    assert list(found) == ["MANIFEST.json", "a.csv", "b.csv", "ü.jpg"]
    assert [found[name] for name, _ in FILES] == [data for _, data in FILES]


@each_kind
def test_the_manifest_says_what_each_file_is_and_whose(tmp_path, kind):
    told = json.loads(entries(batch(tmp_path, FILES, kind))["MANIFEST.json"])
    assert told["batch"] == "b-1"
    assert told["members"][0] == {
        "entry": "a.csv",
        "name": "a.csv",
        "size_bytes": 12,
        "sha256": hashlib.sha256(FILES[0][1]).hexdigest(),
        "mtime_ns": MTIME_NS,
        "accepted_s": 1_800_000_002.25,
        "id": "0000018f-00000001",
    }


@each_kind
def test_the_order_is_that_of_acceptance_however_they_are_given(tmp_path, kind):
    made = contents(tmp_path, FILES)
    for number, order in enumerate((made, made[::-1])):
        write_archive(tmp_path / f"{number}", kind, "b-1", order)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()


@each_kind
def test_another_process_at_another_time_in_another_zone_makes_the_same_bytes(tmp_path, kind):
    here = batch(tmp_path, FILES, kind)
    program = f"""
from pathlib import Path
from tests.unit.iris_communication.made_batches import contents
from iris_communication.archive.writing import write_archive
folder = Path({str(tmp_path)!r})
spooled = sorted((folder / "spool").iterdir())
files = [(name, path.read_bytes()) for name, path in zip({[name for name, _ in FILES]!r}, spooled)]
write_archive(folder / "there", {kind!r}, "b-1", contents(folder, files))
"""
    environment = os.environ | {"TZ": "Asia/Kathmandu", "PYTHONPATH": os.pathsep.join(["src", "."]), "LC_ALL": "C"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    assert (tmp_path / "there").read_bytes() == here.read_bytes()


@PROPERTY
@given(st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=8), MTIMES_NS, st.sampled_from(KINDS))
def test_files_come_out_of_an_archive_as_they_went_in(tmp_path_factory, files, mtime_ns, kind):
    folder = tmp_path_factory.mktemp("batch")
    path, again = folder / "archive", folder / "again"
    made = contents(folder, files, mtime_ns)
    taken = write_archive(path, kind, "b-1", made)
    assert taken == replace(write_archive(again, kind, "b-1", made), inode=taken.inode, mtime_ns=taken.mtime_ns)
    assert path.read_bytes() == again.read_bytes()
    assert path.stat().st_size == taken.size_bytes
    assert [(member.name, member.sha256) for member in verify(path).members] == [
        (content.name, content.fingerprint.sha256) for content in made
    ]
    unpacked = unpack(path, folder / "out")
    assert [each.path.read_bytes() for each in unpacked] == [data for _, data in files]


@pytest.mark.parametrize(("kind", "command"), [("zip", ["unzip", "-tq"]), ("tar.gz", ["tar", "-tzf"])])
def test_the_systems_own_programs_read_it(tmp_path, need_program, kind, command):
    need_program(command[0], hint="make system-packages")
    path = batch(tmp_path, [*FILES, ("n" * 255, b"long"), (os.fsdecode(b"\xff\n"), b"odd")], kind)
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@each_kind
def test_a_member_whose_bytes_changed_is_named_and_no_archive_is_left(tmp_path, kind):
    made = contents(tmp_path, FILES)
    spoil(made[1].held(), b"")
    spoil(made[0].held(), b"frame,x\n1,3\n")
    with pytest.raises(MemberBroken) as caught:
        write_archive(tmp_path / "archive", kind, "b-1", made)
    assert caught.value.item_id == made[0].item_id
    assert isinstance(caught.value.error, SourceChanged)
    assert not (tmp_path / "archive").exists()


@each_kind
@pytest.mark.parametrize("data", [b"frame,x\n", b"frame,x\n1,2\n3"])
def test_a_member_of_another_length_is_named(tmp_path, kind, data):
    made = contents(tmp_path, FILES)
    made[0].held().write_bytes(data)
    with pytest.raises(MemberBroken, match=made[0].item_id) as caught:
        write_archive(tmp_path / "archive", kind, "b-1", made)
    assert isinstance(caught.value.error, SourceChanged)


@each_kind
def test_a_member_that_is_gone_is_named(tmp_path, kind):
    made = contents(tmp_path, FILES)
    made[2].held().unlink()
    with pytest.raises(MemberBroken) as caught:
        write_archive(tmp_path / "archive", kind, "b-1", made)
    assert (caught.value.item_id, type(caught.value.error)) == (made[2].item_id, SpoolMissing)


@each_kind
def test_a_member_that_cannot_be_read_is_named(tmp_path, kind):
    made = contents(tmp_path, FILES)
    made[2].held().unlink()
    made[2].held().mkdir()
    with pytest.raises(MemberBroken) as caught:
        write_archive(tmp_path / "archive", kind, "b-1", made)
    assert (caught.value.item_id, type(caught.value.error)) == (made[2].item_id, SystemTrouble)


@each_kind
@in_a_process_of_its_own
def test_a_full_disk_is_nobodys_fault_and_leaves_no_half_an_archive(tmp_path, kind):
    made = contents(tmp_path, [("noise", os.urandom(100_000))])
    with files_no_larger_than(50_000), pytest.raises(OutboxStorageError, match="archive"):
        write_archive(tmp_path / "archive", kind, "b-1", made)
    assert not (tmp_path / "archive").exists()


@each_kind
def test_an_archive_that_a_crash_left_is_written_over(tmp_path, kind):
    (tmp_path / "archive").write_bytes(os.urandom(1_000_000))
    write_archive(tmp_path / "archive", kind, "b-1", contents(tmp_path, FILES))
    assert (tmp_path / "archive").read_bytes() == batch(tmp_path, FILES, kind).read_bytes()


MEMORY = """
import hashlib, resource, sys
from pathlib import Path
from iris_communication.archive.writing import Content, write_archive
from iris_communication.item import Fingerprint
from iris_communication.archive.unpack import unpack
folder, kind, size_bytes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def peak_mib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
path, digest = folder / "big", hashlib.sha256()
with path.open("wb") as file:
    piece = bytes(range(256)) * 4096
    for _ in range(size_bytes // len(piece)):
        file.write(piece); digest.update(piece)
small = folder / "small"; small.write_bytes(b"1")
def content(item_id, path, size_bytes, sha256):
    return Content(item_id, len(item_id), item_id, lambda: path, Fingerprint(0, 0, size_bytes, 0, sha256), 0.0)
first = content("i", small, 1, hashlib.sha256(b"1").hexdigest())
write_archive(folder / "warm", kind, "b", [first]); unpack(folder / "warm", folder / "out")
before_mib = peak_mib()
write_archive(folder / "archive", kind, "b", [content("big", path, size_bytes, digest.hexdigest()), first])
unpack(folder / "archive", folder / "out")
print(peak_mib() - before_mib)
"""


@each_kind
def test_a_large_member_costs_no_memory_on_either_side(tmp_path, kind):
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path), kind, str(200 * 1024 * 1024)],
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 16
