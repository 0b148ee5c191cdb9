"""Verbs of another user than the folder's: root's command line beside a service. Only root can be another user here."""

import json
import os

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.system.iris_command import IrisCommand

USER = 4711
SERVER = {"host": "127.0.0.1", "port": 9, "username": "line-1", "password": "open sesame"}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")


@pytest.fixture
def outbox(tmp_path):
    """Of a service's user, with a file that is owed."""
    folder = tmp_path / "outbox"
    uploader = SftpUploaderThread(folder)
    uploader.open()
    (tmp_path / "a.csv").write_text("frame\n1\n")
    assert uploader.queue_upload(SERVER, tmp_path / "a.csv", {"project": "p"}, "model")
    uploader.close()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, USER, USER)
    (tmp_path / "server.json").write_text(json.dumps(SERVER))
    (tmp_path / "watched").mkdir()
    return folder


def owners(folder):
    return {str(path): (path.stat().st_uid, path.stat().st_mtime_ns) for path in (folder, *folder.rglob("*"))}


VERBS = [
    ("send", "a.csv", "--server", "server.json"),
    ("send", "a.csv", "--server", "server.json", "--no-wait"),
    ("watch", "watched", "--server", "server.json"),
    ("outbox", "check", "--repair"),
    ("queue", "drop", "--all", "--yes"),
    ("queue", "retry", "--all"),
    ("queue", "pause", "line-1@127.0.0.1:9"),
    ("queue", "priority", "5", "--all"),
    ("run", "--source", "synthetic", "--port", "0", "--records", "records"),
]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb[:2]))
def test_a_verb_that_may_become_owner_is_refused_to_another_user_and_leaves_nothing(outbox, verb):
    before = owners(outbox)
    done = IrisCommand(outbox)(*verb)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 2, said
    assert f"belongs to user {USER}" in said
    assert f"sudo -u '#{USER}' iris" in said
    assert "Traceback" not in said
    assert owners(outbox) == before


LOOKING = [
    ("queue", "list"),
    ("queue", "balance"),
    ("outbox", "check"),
    ("ledger", "verify"),
    ("ledger", "verify", "--remote"),
    ("server", "show", "line-1@127.0.0.1:9"),
]


@pytest.mark.parametrize("verb", LOOKING, ids=" ".join)
def test_a_verb_that_only_reads_leaves_nothing_behind_in_another_users_outbox(outbox, verb):
    before = owners(outbox)
    done = IrisCommand(outbox)(*verb)
    assert b"Traceback" not in done.stderr
    assert owners(outbox) == before


def test_a_server_test_as_another_user_leaves_no_file_that_its_owner_could_not_read(outbox, tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({**SERVER, "host_key_policy": "accept-new"}))
    IrisCommand(outbox)("server", "test", "server.json")
    assert {user for user, _ in owners(outbox).values()} == {USER}


def test_the_owner_goes_on_after_others_were_refused(outbox):
    IrisCommand(outbox)("queue", "drop", "--all", "--yes")
    assert Audit(outbox).balance().counted["waiting"] == 1


def test_records_of_another_user_are_refused_before_anything_starts(tmp_path):
    (tmp_path / "records").mkdir()
    os.chown(tmp_path / "records", USER, USER)
    iris = IrisCommand(tmp_path / "outbox")
    done = iris("run", "--source", "synthetic", "--port", "0", "--records", "records")
    assert done.returncode == 2
    assert f"the records' folder records belongs to user {USER}" in done.stderr.decode()
    assert list((tmp_path / "records").iterdir()) == []
