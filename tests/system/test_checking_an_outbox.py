"""The verbs that read an outbox, as a user runs them: beside an uploader that delivers, after one was killed, and on
a damaged outbox. The terminal session of docs/checking-an-outbox.md is made here."""

import csv
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.sftp_uploader_thread import SftpUploadRequest
from tests.integration.uploading import running, submit, wait_for, wait_until
from tests.servers.openssh import OpenSshServer
from tests.system import forked_iris

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "checking-an-outbox.md"
FILES = 300
SECRET = "open sesame"
VERBS = (("queue", "balance"), ("outbox", "check", "--hashes"), ("ledger", "verify"), ("ledger", "export"))


class CheckingCommand:
    """`iris` on one outbox, in a process of its own."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *arguments, environment=None):
        found = os.environ | {"PYTHONPATH": str(ROOT / "src"), "IRIS_OUTBOX": str(self.folder)} | (environment or {})
        return forked_iris.run(*arguments, cwd=self.folder.parent, env=found)

    def output(self, *arguments, status=0):
        done = self(*arguments)
        assert done.returncode == status, (done.stdout.decode(), done.stderr.decode())
        assert done.stderr == b""
        return done.stdout.decode()


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "outbox"


@pytest.fixture
def iris(outbox):
    return CheckingCommand(outbox)


@pytest.fixture
def server(tmp_path, need_program):
    sshd = need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd) as started:
        yield started


@pytest.fixture
def received(tmp_path):
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


@pytest.fixture
def ended(outbox, server, received, tmp_path):
    """An outbox at rest: three files delivered, one of them of a name that is no UTF-8."""
    names = ["a.csv", "ü.csv", os.fsdecode(b"\xff.csv")]
    with running(outbox) as uploader:
        wait_for([submit(uploader, server.info(received), written(tmp_path / name)) for name in names])
    return outbox


def written(path, content=b"frame;part\n1;1\n"):
    path.write_bytes(content)
    return path


def test_an_outbox_always_balances_beside_an_uploader_that_delivers(iris, outbox, server, received, tmp_path):
    with running(outbox) as uploader:
        requests = [
            SftpUploadRequest(
                server.info(received), written(tmp_path / f"{number:04}.csv"), {"project": "line-1"}, "model"
            )
            for number in range(FILES)
        ]
        for start in range(0, FILES, FILES // 2):
            assert all(uploader.queue_uploads(requests[start : start + FILES // 2]))
            printed = json.loads(iris.output("queue", "balance", "--json"))
            assert printed["accepted"] == printed["last_sequence"] == start + FILES // 2
            assert "no problem" in iris.output("outbox", "check", "--hashes")
        wait_until(lambda: uploader.get_stats()["total_uploaded"] == FILES)
        assert iris.output("ledger", "verify").startswith(f"{FILES:,} lines are whole")
        deliveries = [json.loads(line) for line in iris.output("ledger", "export", "--json").splitlines()]
    assert [delivery["delivery"] for delivery in deliveries] == list(range(1, FILES + 1))
    assert {delivery["source"] for delivery in deliveries} == {str(request.file_path) for request in requests}
    assert json.loads(iris.output("queue", "balance", "--json"))["counted"] == {
        "waiting": 0,
        "in_flight": 0,
        "delivered": FILES,
        "dead": 0,
        "dropped": 0,
        "expired": 0,
        "cancelled": 0,
    }


PRODUCER = """
import json, sys
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
folder, info = sys.argv[1], json.loads(sys.argv[2])
uploader = SftpUploaderThread(folder + "/outbox", max_queue_size=10_000)
uploader.start()
source = folder + "/source.csv"
open(source, "w").write("frame;part\\n" * 100)
while True:
    uploader.queue_uploads([SftpUploadRequest(info, source, "line-1", "model")] * 20)
    print(uploader.get_stats()["total_uploaded"], flush=True)
"""


def test_no_file_is_missing_after_a_kill_and_an_audit_leaves_no_trace(iris, outbox, server, received, tmp_path):
    info = {key: str(value) for key, value in server.info(received).items()}
    command = [sys.executable, "-c", PRODUCER, str(tmp_path), json.dumps(info | {"port": server.port})]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as producer:
        try:
            assert any(int(line) > 100 for line in producer.stdout), "it delivered before it was killed"
        finally:
            producer.kill()
            assert producer.wait(10) == -signal.SIGKILL
    before = content_of(outbox)
    assert "outbox.db-wal" in before
    counted = json.loads(iris.output("queue", "balance", "--json"))["counted"]
    assert counted["delivered"] > 100
    assert iris.output("outbox", "check", "--hashes").startswith("no problem")
    assert iris.output("ledger", "verify").startswith(f"{counted['delivered']:,} lines are whole")
    assert len(iris.output("ledger", "export").splitlines()) == counted["delivered"] + 1
    assert content_of(outbox) == before


CYCLES_SEEN = 13
CYCLES_MAX = 400  # as many as a slow machine needs for so many audits
OWNER = """
import os, sys
from iris_communication.sftp_uploader_thread import SftpUploaderThread, SftpUploadRequest
class Delivers:
    def transferData(self, *request):
        return True
folder = sys.argv[1]
open(folder + "/source.csv", "w").write("frame;part\\n")
server = {"host": "127.0.0.1", "port": 9, "username": "line", "password": "x", "remote_directory": "/in"}
for cycle in range(int(sys.argv[2])):
    if os.path.exists(folder + "/enough"):
        break
    uploader = SftpUploaderThread(folder + "/outbox", Delivers())
    uploader.start()
    uploader.queue_uploads([SftpUploadRequest(server, folder + "/source.csv", "line-1", "model")] * 3)
    uploader.close(0.02 * (cycle % 3))
print(cycle)
"""


def test_an_owner_that_starts_and_ends_again_and_again_never_disturbs_an_audit(outbox, tmp_path):
    with running(outbox):
        pass
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    seen, wrong = set(), []
    command = [sys.executable, "-c", OWNER, str(tmp_path), str(CYCLES_MAX)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as owner:
        try:
            while owner.poll() is None and len(seen) < CYCLES_SEEN:
                balance = Audit(outbox).balance()
                seen.add(balance.accepted)
                wrong += [*balance.problems, *Audit(outbox).inspection(hashes=True).problems()]
            (tmp_path / "enough").touch()
            cycles, _ = owner.communicate(timeout=170)
            assert owner.returncode == 0
        finally:
            owner.kill()
    assert wrong == []
    assert len(seen) == CYCLES_SEEN, "it was looked at all along"
    assert Audit(outbox).balance().accepted == 3 * int(cycles)


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_ledger_as_csv_is_read_back_with_names_that_are_no_utf_8(iris, ended):
    before = content_of(ended)
    text = iris("ledger", "export", "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8", "surrogateescape"))))
    assert {Path(row["source"]).name for row in rows} == {"a.csv", "ü.csv", os.fsdecode(b"\xff.csv")}
    assert all(datetime.fromisoformat(row["accepted"]) <= datetime.fromisoformat(row["delivered"]) for row in rows)
    assert all(Path(row["final_path"]).is_file() for row in rows)
    assert content_of(ended) == before, "looking at an outbox at rest leaves no trace"


def test_a_changed_ledger_is_reported_with_status_1(iris, ended):
    with closing(sqlite3.connect(ended / "outbox.db")) as database, database:
        database.execute("DELETE FROM ledger WHERE sequence = 2")
    assert "line 3 of the ledger" in iris.output("ledger", "verify", status=1)
    assert "2 items are delivered, but the tally has 3" in iris.output("queue", "balance", status=1)
    *problems, summary = map(json.loads, iris.output("outbox", "check", "--json", status=1).splitlines())
    assert "3 numbers were given, but 2 items are there" in [problem["what"] for problem in problems]
    assert summary["problems"] == len(problems)


def no_folder(outbox):
    shutil.rmtree(outbox)


def no_outbox(outbox):
    (outbox / "outbox.db").unlink()


def newer(outbox):
    with closing(sqlite3.connect(outbox / "outbox.db")) as database:
        database.execute("PRAGMA user_version = 99")


def no_database(outbox):
    (outbox / "outbox.db").write_bytes(b"frame;part\n" * 500)


def cut_short(outbox):
    os.truncate(outbox / "outbox.db", 5000)


def test_a_repair_is_reported_line_by_line_and_leaves_no_problem(iris, ended):
    (ended / "spool" / "stray").write_bytes(b"somebody's")
    with closing(sqlite3.connect(ended / "outbox.db")) as database, database:
        database.execute("UPDATE tally SET count = 7 WHERE state = 'dead'")
    *done, sums, summary = map(json.loads, iris.output("outbox", "check", "--repair", "--json").splitlines())
    assert ["but the tally had 7" in done[0]["what"], "belonged to no item" in done[1]["what"]] == [True, True]
    assert (sums, summary["problems"]) == ({"repaired": 2, "left_alone": 0}, 0)
    assert iris.output("outbox", "check", "--repair").startswith("nothing to repair\nno problem")


def test_a_repair_beside_an_uploader_is_refused_with_one_line_and_status_2(iris, outbox):
    with running(outbox):
        done = iris("outbox", "check", "--repair")
    assert (done.returncode, done.stdout) == (2, b"")
    assert "is in use by process" in done.stderr.decode()


def test_a_quarantine_is_listed_and_emptied_by_a_person_alone(iris, ended):
    assert iris.output("outbox", "quarantine") == "0 in quarantine, 0 bytes\n"
    (ended / "spool" / "stray\x1b[2J").write_bytes(b"somebody's")
    iris.output("outbox", "check", "--repair")
    printed = iris.output("outbox", "quarantine")
    assert "\x1b" not in printed
    assert printed.endswith("1 in quarantine, 10 bytes\n")
    (file,) = map(json.loads, iris.output("outbox", "quarantine", "--json").splitlines())
    assert (file["name"], file["size_bytes"]) == ("stray\x1b[2J", 10)
    assert iris.output("outbox", "quarantine", "--empty", "--yes").endswith("the quarantine is empty\n")
    assert iris.output("outbox", "quarantine") == "0 in quarantine, 0 bytes\n"


def test_a_repair_brings_a_damaged_database_over(iris, ended):
    cut_short(ended)
    printed = iris.output("outbox", "check", "--repair")
    assert "repaired: " in printed
    assert "brought over" in printed
    assert iris.output("queue", "balance").endswith("balances\n")


def test_delivered_files_are_asked_for_at_the_server(iris, ended, received, server):
    assert "there 3, gone (collected) 0, changed 0" in iris.output("ledger", "verify", "--remote", "--hash")
    (one, other, _) = received.rglob("*.csv")
    one.unlink()
    assert "there 2, gone (collected) 1" in iris.output("ledger", "verify", "--remote")
    other.write_bytes(b"other")
    assert "changed: " in iris.output("ledger", "verify", "--remote", status=1)
    *files, counts = map(json.loads, iris.output("ledger", "verify", "--remote", "--json", status=1).splitlines()[1:])
    assert sorted(each["verdict"] for each in files) == ["changed", "gone", "there"]
    assert counts == {"there": 1, "gone": 1, "changed": 1, "replaced": 0, "unknown": 0}
    server.stop()
    assert "refuses connections" in iris.output("ledger", "verify", "--remote", "--latest", "1", status=2)
    assert "unknown 0" in iris.output("ledger", "verify", "--remote", "--since", "2999-01-01")


@pytest.mark.parametrize(
    ("spoil", "verb", "says"),
    [
        (no_folder, ("queue", "balance"), "does not exist or is no folder"),
        (no_outbox, ("outbox", "check"), "holds no outbox"),
        (newer, ("ledger", "export"), "schema version 99"),
        (no_database, ("ledger", "verify"), "file is not a database"),
        (cut_short, ("outbox", "check"), "is damaged"),
        (cut_short, ("ledger", "export"), "is damaged"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_outbox_that_cannot_be_read_is_one_line_and_status_2(iris, outbox, spoil, verb, says):
    with running(outbox):
        pass
    spoil(outbox)
    done = iris(*verb)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b""), said
    assert re.fullmatch(rf"iris {verb[0]} {verb[1]}: .*{says}.*\n", said), said


def test_the_flag_overrides_the_variable(iris, outbox, tmp_path):
    with running(outbox):
        pass
    elsewhere = {"IRIS_OUTBOX": str(tmp_path / "none")}
    assert iris("queue", "balance", "--outbox", str(outbox), environment=elsewhere).returncode == 0


def test_no_verb_prints_a_secret(iris, outbox, tmp_path):
    refused = {"host": "127.0.0.1", "port": 9, "username": "line", "password": SECRET, "remote_directory": "/in"}
    with running(outbox) as uploader:
        submit(uploader, refused, written(tmp_path / "a.csv"))
    (outbox / "secrets.json").chmod(0o644)
    (outbox / "spool" / "stray").touch()
    assert SECRET in (outbox / "secrets.json").read_text()
    assert "has the mode 0644" in iris.output("outbox", "check", "--hashes", status=1)
    for verb in VERBS:
        done = iris(*verb)
        assert SECRET.encode() not in done.stdout + done.stderr


# -- docs/checking-an-outbox.md

SESSION = (
    "iris queue balance",
    "iris outbox check --hashes",
    "iris ledger verify --remote --hash",
    "iris ledger export --json",
    "rm outbox/spool/{owed}; chmod 644 outbox/secrets.json; touch outbox/spool/stray",
    "iris outbox check",
    "iris outbox check --repair",
    "iris queue balance --json",
)


def test_the_pages_terminal_session_is_what_the_commands_say(iris, outbox, server, received, tmp_path):
    """If not: UPDATE_DOCS=1 pytest tests/system/test_checking_an_outbox.py"""
    with running(outbox) as uploader:
        for name in ("1.csv", "2.csv"):  # one after the other: the order of delivery is shown
            wait_for([submit(uploader, server.info(received), written(tmp_path / name))])
        info = {"host": "127.0.0.1", "port": 9, "username": "line", "password": SECRET, "remote_directory": "/in"}
        large = tmp_path / "3.csv"
        large.write_bytes(b"frame;part\n1;1\n" * 10_000)  # its bytes are a file in the spool
        submit(uploader, info, large)
        uploader.queue_upload(info, tmp_path / "missing.csv", {"project": "line-1"}, "model")
    (owed,) = (path.name for path in (outbox / "spool").iterdir() if path.stat().st_size and is_owed(outbox, path.name))
    lines = []
    for command in SESSION:
        lines.append(f"$ {command.format(owed=owed)}")
        if command.startswith("rm"):
            (outbox / "spool" / owed).unlink()
            (outbox / "secrets.json").chmod(0o644)
            stray = outbox / "spool" / "stray"
            stray.touch()
            continue
        done = iris(*command.split()[1:])
        lines += [*done.stdout.decode().splitlines(), f"[exit status {done.returncode}]"]
        assert done.stderr == b""
    made = smoothed("\n".join(lines), tmp_path, server)
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(re.sub(r"(?s)(?<=```console\n).*?(?=\n```)", lambda _: made, page), encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
    assert f"```console\n{made}\n```" in page


def is_owed(outbox, item_id):
    with closing(sqlite3.connect(f"file:{outbox / 'outbox.db'}?mode=ro&immutable=1", uri=True)) as database:
        return database.execute("SELECT 1 FROM items WHERE id = ?", (item_id,)).fetchone() is not None


def smoothed(text, folder, server):
    """Replaces what differs from run to run."""
    for pattern, replacement in (
        (re.escape(str(folder / "received")), "/in"),
        (re.escape(str(folder)), "/line"),
        (re.escape(f"{server.username}@{server.host}:{server.port}"), "iris@sftp.example.org:22"),
        (r"SHA256:[\w+/]{43}", "SHA256:HOST-KEY"),
        (r"\b[0-9a-f]{12}-[\w-]+", "ID"),
        (r"\b[0-9a-f]{64}\b", "HASH"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "2026-11-24T02:14:20.123456Z"),
    ):
        text = re.sub(pattern, replacement, text)
    return text
