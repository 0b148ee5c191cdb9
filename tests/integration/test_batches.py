"""Many small files in one archive, on a real OpenSSH server: the same bytes at the other end, each file with its own
outcome, whatever is cut or killed on the way."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from iris_communication.archive.unpack import unpack, verify
from iris_communication.settings import Rule
from tests.integration.uploading import (
    IN_A_HURRY,
    balanced,
    contents_of,
    running,
    small_files,
    submit,
    submit_all,
    wait_for,
    wait_until,
)
from tests.servers.openssh import SFTP_SERVERS, OpenSshServer

ROOT = Path(__file__).resolve().parents[2]


def together(kind="zip", **facts):
    """Short timeouts, and files of the type "model" in archives."""
    return replace(IN_A_HURRY, rules={"small": Rule(**({"folder_type": "model", "batch": kind} | facts))})


@pytest.fixture(params=["zip", "tar.gz"])
def kind(request):
    return request.param


@pytest.fixture
def received(openssh, tmp_path):
    base = tmp_path / "received"
    return openssh.info(base), base / "line-1" / "model"


def archives_in(folder):
    return sorted(path for path in folder.iterdir() if path.name.endswith((".zip", ".tar.gz")))


def unpacked(folder, into):
    """The files of every archive that arrived, and the files that arrived without an archive."""
    for archive in archives_in(folder):
        unpack(archive, into)
    alone = {path.name: path.read_bytes() for path in folder.iterdir() if path not in archives_in(folder)}
    return contents_of(into) | alone


def ledger_of(outbox):
    with closing(sqlite3.connect(outbox / "outbox.db")) as database:
        rows = database.execute("SELECT line FROM ledger ORDER BY sequence").fetchall()
    return [json.loads(line) for (line,) in rows]


def test_a_hundred_small_files_arrive_as_an_archive_and_come_out_as_they_were(received, sources, tmp_path, kind):
    info, folder = received
    files = small_files(100)
    with running(tmp_path / "outbox", together(kind, batch_files_max=50)) as uploader:
        receipts = submit_all(uploader, info, files, sources)
        wait_for(receipts.values())
        assert balanced(uploader)
        assert uploader.get_stats()["total_uploaded"] == 100
        assert uploader.get_details()["spooled_bytes"] == 0
    archives = archives_in(folder)
    assert len(contents_of(folder)) == len(archives) == 2
    assert unpacked(folder, tmp_path / "out") == files
    assert [list((tmp_path / "outbox" / name).iterdir()) for name in ("spool", "archives")] == [[], []]
    assert {receipt.outcome.final_path for receipt in receipts.values()} == {str(path) for path in archives}


def test_each_file_has_its_own_line_in_the_ledger_and_names_its_archive(received, sources, tmp_path, kind):
    info, folder = received
    with running(tmp_path / "outbox", together(kind, batch_files_max=10)) as uploader:
        receipts = submit_all(uploader, info, small_files(20), sources)
        wait_for(receipts.values())
    lines = ledger_of(tmp_path / "outbox")
    assert {line["id"] for line in lines} == {receipt.id for receipt in receipts.values()}
    for archive in archives_in(folder):
        mine = [line for line in lines if line["final_path"] == str(archive)]
        manifest = verify(archive)
        assert [line["id"] for line in mine] == [member.id for member in manifest.members]
        assert [line["sha256"] for line in mine] == [member.sha256 for member in manifest.members]
        assert {line["batch"] for line in mine} == {manifest.batch}
        assert {line["archive_size_bytes"] for line in mine} == {archive.stat().st_size}


def test_a_file_that_no_rule_batches_or_that_is_too_large_travels_alone(received, sources, tmp_path):
    info, folder = received
    files = small_files(4) | {"large.csv": b"x" * 100_000}
    with running(tmp_path / "outbox", together(batch_bytes_max=20_000, batch_wait_s=0.3)) as uploader:
        picture = sources / "defect.jpg"
        picture.write_bytes(b"jpeg")
        evidence = submit(uploader, info, picture, folder_type="evidence")
        wait_for([*submit_all(uploader, info, files, sources).values(), evidence])
    assert contents_of(folder)["large.csv"] == files["large.csv"]
    assert contents_of(folder.parent / "evidence") == {"defect.jpg": b"jpeg"}
    assert unpacked(folder, tmp_path / "out") == files


def test_a_batch_of_one_file_arrives_as_that_file(received, sources, tmp_path):
    info, folder = received
    with running(tmp_path / "outbox", together(batch_wait_s=0.2)) as uploader:
        wait_for(submit_all(uploader, info, {"a.csv": b"1"}, sources).values())
    assert contents_of(folder) == {"a.csv": b"1"}


def test_other_files_are_not_held_up_while_a_batch_waits_for_more(received, sources, tmp_path):
    info, folder = received
    with running(tmp_path / "outbox", together(batch_wait_s=3600.0)) as uploader:
        waiting = submit_all(uploader, info, small_files(3), sources)
        picture = sources / "defect.jpg"
        picture.write_bytes(b"jpeg")
        wait_for([submit(uploader, info, picture, folder_type="evidence")], 5.0)
        assert not any(receipt.outcome for receipt in waiting.values())
        uploader.stop(5.0)
        wait_for(waiting.values())
    assert unpacked(folder, tmp_path / "out") == small_files(3)


def test_a_member_that_was_spoiled_dies_alone(received, sources, tmp_path):
    info, folder = received
    files = small_files(10, size_bytes=300_000)  # their bytes are in the spool
    with running(tmp_path / "outbox", together(batch_wait_s=3600.0)) as uploader:
        receipts = submit_all(uploader, info, files, sources)
        spoiled = receipts.pop("0003.csv")
        (tmp_path / "outbox" / "spool" / spoiled.id).write_bytes(b"?")
        uploader.stop(5.0)
        wait_for(receipts.values())
        assert "changed after it was accepted" in str(spoiled.outcome)
    del files["0003.csv"]
    assert unpacked(folder, tmp_path / "out") == files


def test_a_folder_that_refuses_archives_gets_the_files_one_by_one_and_none_loses_an_attempt(
    sources, tmp_path, need_program
):
    """The server refuses every name that ends with .zip."""
    sshd = need_program("sshd", hint="make system-packages")
    refusing = _filter(tmp_path, "RENAME_REFUSED")
    with (
        OpenSshServer(tmp_path / "sshd", sshd=sshd, settings=[f"ForceCommand {refusing}"]) as server,
        running(tmp_path / "outbox", together()) as uploader,
    ):
        receipts = submit_all(uploader, server.info(tmp_path / "received"), small_files(100), sources)
        wait_for(receipts.values())
    assert contents_of(tmp_path / "received" / "line-1" / "model") == small_files(100)
    assert {line["attempts"] for line in ledger_of(tmp_path / "outbox")} == {0}


FILTER = '''
"""sftp-server with one fault. FORGETFUL: it dies right after its first rename, before its answer. RENAME_REFUSED:
nothing may be renamed to *.zip."""
import os, struct, subprocess, sys, threading
fault, mark, program = sys.argv[1:]
server = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
silent = threading.Event()
lock = threading.Lock()

def answers():
    while data := os.read(server.stdout.fileno(), 65536):
        if not silent.is_set():
            with lock:
                os.write(1, data)
    os._exit(0)

def exactly(count):
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            server.kill()
            os._exit(0)
        data += more
    return data

threading.Thread(target=answers, daemon=True).start()
while True:
    head = exactly(4)
    packet = exactly(struct.unpack(">I", head)[0])
    if packet[0] == 18:
        old_size = struct.unpack(">I", packet[5:9])[0]
        final = packet[9 + old_size + 4:]
        if fault == "RENAME_REFUSED" and final.endswith(b".zip"):
            text = b"no archives here"
            body = b"e" + packet[1:5] + struct.pack(">II", 3, len(text)) + text + struct.pack(">I", 0)
            with lock:
                os.write(1, struct.pack(">I", len(body)) + body)
            continue
        if fault == "FORGETFUL" and not os.path.exists(mark):
            silent.set()
            server.stdin.write(head + packet)
            server.stdin.flush()
            while not os.path.exists(final):
                pass
            open(mark, "w").close()
            os._exit(1)
    server.stdin.write(head + packet)
    server.stdin.flush()
'''


def _filter(folder, fault):
    script = folder / "filter.py"
    script.write_text(FILTER)
    program = next(path for path in SFTP_SERVERS if os.access(path, os.X_OK))
    return f"{sys.executable} {script} {fault} {folder / 'mark'} {program}"


def test_an_archive_cut_between_its_rename_and_the_answer_is_recognised_and_no_file_arrives_twice(
    sources, tmp_path, need_program, kind
):
    sshd = need_program("sshd", hint="make system-packages")
    forgetful = _filter(tmp_path, "FORGETFUL")
    with (
        OpenSshServer(tmp_path / "sshd", sshd=sshd, settings=[f"ForceCommand {forgetful}"]) as server,
        running(tmp_path / "outbox", together(kind)) as uploader,
    ):
        receipts = submit_all(uploader, server.info(tmp_path / "received"), small_files(100), sources)
        wait_for(receipts.values())
        assert (tmp_path / "mark").exists()
    folder = tmp_path / "received" / "line-1" / "model"
    assert len(archives_in(folder)) == len(contents_of(folder)) == 1
    assert unpacked(folder, tmp_path / "out") == small_files(100)


KILLED = """
import sys
from dataclasses import replace
from iris_communication.settings import Rule
from tests.integration.uploading import IN_A_HURRY, running, wait_until
import json
outbox, info, kind = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
settings = replace(IN_A_HURRY, rules={"small": Rule(batch=kind, batch_files_max=20, batch_wait_s=0.2)})
with running(outbox, settings) as uploader:
    for path in sys.argv[4:]:
        assert uploader.queue_upload(info, path, "line-1", "model")
    print("queued", flush=True)
    wait_until(lambda: uploader.get_stats()["queue_size"] == 0, 110.0)
"""


def _process(outbox, info, kind, paths):
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, str(outbox), json.dumps(info), kind, *map(str, paths)],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
    )


def test_every_file_arrives_complete_after_a_kill_while_archives_are_under_way(openssh, sources, tmp_path, kind):
    files = {f"{number:04}.csv": os.urandom(20_000) for number in range(200)}
    for name, content in files.items():
        (sources / name).write_bytes(content)
    info = {name: str(value) for name, value in openssh.info(tmp_path / "received").items()} | {
        "port": openssh.info(tmp_path)["port"],
        "bandwidth_bytes_per_s": 1_000_000,  # four seconds for all: the first processes do not come to their end
    }
    folder = tmp_path / "received" / "line-1" / "model"
    paths = sorted(sources.iterdir())
    kills = 0
    for number in range(4):
        with _process(tmp_path / "outbox", info, kind, paths[:200] if number == 0 else ()) as process:
            assert process.stdout.readline() == b"queued\n"
            seen = len(archives_in(folder)) if folder.exists() else 0

            def happened(seen=seen, process=process):
                return process.poll() is not None or (folder.exists() and len(archives_in(folder)) > seen)

            wait_until(happened)
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
    with _process(tmp_path / "outbox", info, kind, ()) as process:
        assert process.wait(120) == 0
    assert kills > 0
    assert unpacked(folder, tmp_path / "out") == files
    held = [member.id for archive in archives_in(folder) for member in verify(archive).members]
    assert len(held) == len(set(held)), "a file arrived twice"
    assert len(ledger_of(tmp_path / "outbox")) == 200
    assert [path.name for path in folder.iterdir() if path.name.startswith(".iris-")] == []
    assert list((tmp_path / "outbox" / "archives").iterdir()) == []
