"""The lock and the log against the user's own code in the same process, other programs, and hands in the folder."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from iris_communication.admin.audit import Audit
from iris_communication.errors import OutboxInUse, OutboxStorageError
from iris_communication.outbox.files.file_lock import FileLock
from iris_communication.outbox.files.lock import Owner
from iris_communication.outbox.files.spool import Spool
from iris_communication.outbox.store import put_back as put_back_module
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.unit.iris_communication.outbox.fake_parts import LARGE, open_writer, wait_until, write

NOW_S = 1_700_000_000.0
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
OWN = """
import sys
from pathlib import Path
from iris_communication.outbox.files.file_lock import FileLock
from iris_communication.outbox.files.lock import Owner
from iris_communication.sftp_uploader_thread import SftpUploaderThread
Owner(Path(sys.argv[1]), 1700000000.0)
"""
LOOK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("SELECT count(*) FROM items").fetchone()
database.close()
"""


def run(code, path):
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)


def open_and_close(folder):
    for path in folder.iterdir():
        if path.is_file():
            path.open("rb").close()


def copy_the_folder(folder):
    shutil.copytree(folder, folder.with_name("backup"), ignore=shutil.ignore_patterns("door*"), dirs_exist_ok=True)


def write_beside(folder):
    (folder / "owner.lock").open("ab").close()


def lock_and_unlock(folder):
    import fcntl

    with (folder / "owner.lock").open("rb+") as file:
        with suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_UN)


def fork_a_child(folder):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


OWN_CODE = [open_and_close, copy_the_folder, write_beside, lock_and_unlock, fork_a_child]


@pytest.fixture
def opened(tmp_path):
    with open_writer(tmp_path / "outbox") as writer:
        yield writer


def accept(opened, tmp_path, number, content=b"a,b\n1,2\n"):
    return opened.accept(write(tmp_path / f"{number}.csv", content)).id


def after_a_kill(folder):
    """What the next process finds: a copy of the files under their names, as a killed process leaves them."""
    copy = shutil.copytree(folder, folder.with_name("killed"), ignore=shutil.ignore_patterns("door*", "owner.lock"))
    with open_writer(copy) as writer:
        return writer.recorded()


@pytest.mark.parametrize("own_code", OWN_CODE)
def test_a_second_owner_is_refused_whatever_the_first_ones_process_does_with_the_folder(opened, own_code):
    own_code(opened.folder)
    refused = run(OWN, opened.folder)
    assert f"OutboxInUse: the outbox {opened.folder} is in use by process {os.getpid()}" in refused.stderr


@pytest.mark.parametrize("own_code", OWN_CODE)
def test_the_log_keeps_its_name_when_others_close_the_database_last(opened, tmp_path, own_code):
    """Whatever the owner's process did before."""
    first = accept(opened, tmp_path, 1)
    own_code(opened.folder)
    log = (opened.folder / "outbox.db-wal").stat().st_ino
    assert run(LOOK, opened.folder / "outbox.db").returncode == 0
    assert (opened.folder / "outbox.db-wal").stat().st_ino == log
    second = accept(opened, tmp_path, 2)
    assert after_a_kill(opened.folder) == {first: "waiting", second: "waiting"}


def test_readers_look_as_ever_while_the_log_is_guarded(opened, tmp_path):
    accept(opened, tmp_path, 1)
    balance = Audit(opened.folder).balance()
    assert balance.counted["waiting"] == 1
    assert not balance.problems


def test_an_orderly_end_leaves_no_log(tmp_path):
    with open_writer(tmp_path / "outbox") as opened:
        accept(opened, tmp_path, 1)
        open_and_close(opened.folder)
    assert sorted(path.name for path in opened.folder.glob("outbox.db*")) == ["outbox.db"]


def unlink(*names):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def close_from_outside_without_a_guard(folder):
    """What an outside program does that closes the database last, where nothing keeps it from removing the log."""
    with (
        closing(sqlite3.connect(folder.with_name("other.db"))) as other,
        closing(sqlite3.connect(f"file:{folder / 'outbox.db'}?mode=ro", uri=True)) as database,
    ):
        database.backup(other)
    unlink("outbox.db-wal", "outbox.db-shm")(folder)
    with (folder / "outbox.db").open("rb+") as file:
        file.write(folder.with_name("other.db").read_bytes())


def put_another_database_in_place(folder):
    with closing(sqlite3.connect(folder / "restored.db")) as other:
        other.execute("CREATE TABLE other (x)")
    (folder / "restored.db").replace(folder / "outbox.db")


@pytest.mark.parametrize(
    "change",
    [
        unlink("outbox.db-wal"),
        unlink("outbox.db-shm"),
        unlink("outbox.db-wal", "outbox.db-shm"),
        unlink("outbox.db"),
        unlink("outbox.db", "outbox.db-wal", "outbox.db-shm"),
        close_from_outside_without_a_guard,
        put_another_database_in_place,
    ],
    ids=["log", "index", "both", "database", "all", "closed outside", "another database"],
)
def test_files_that_lost_their_names_are_put_back_before_a_caller_is_answered(opened, tmp_path, change, caplog):
    first = accept(opened, tmp_path, 1)
    change(opened.folder)
    second = accept(opened, tmp_path, 2)
    assert after_a_kill(opened.folder) == {first: "waiting", second: "waiting"}
    third = accept(opened, tmp_path, 3)
    assert set(opened.recorded()) == {first, second, third}
    assert [record.levelname for record in caplog.records if "Iris restores them" in record.message] == ["ERROR"]


def test_a_database_that_was_put_in_place_of_ours_is_kept_in_the_quarantine(opened, tmp_path):
    accept(opened, tmp_path, 1)
    put_another_database_in_place(opened.folder)
    accept(opened, tmp_path, 2)
    with closing(sqlite3.connect(opened.folder / "quarantine" / "outbox.db")) as kept:
        assert kept.execute("SELECT name FROM sqlite_schema").fetchall() == [("other",)]


def test_an_end_without_another_commit_puts_back_as_well(tmp_path):
    with open_writer(tmp_path / "outbox") as opened:
        first = accept(opened, tmp_path, 1)
        unlink("outbox.db", "outbox.db-wal")(opened.folder)
    with open_writer(tmp_path / "outbox") as again:
        assert again.recorded() == {first: "waiting"}


def test_a_file_is_refused_while_the_log_cannot_be_put_back_and_taken_once_it_can(opened, tmp_path, monkeypatch):
    first = accept(opened, tmp_path, 1)
    unlink("outbox.db-wal")(opened.folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(put_back_module, "sync_folder", full)
        with pytest.raises(OutboxStorageError, match="No space left"):
            accept(opened, tmp_path, 2)
    third = accept(opened, tmp_path, 3)
    recorded = after_a_kill(opened.folder)
    assert recorded.items() >= {first: "waiting", third: "waiting"}.items()
    assert opened.recorded() == recorded


def test_a_lock_that_was_removed_is_taken_again_before_the_next_commit(opened, tmp_path, caplog):
    (opened.folder / "owner.lock").unlink()
    accept(opened, tmp_path, 1)
    assert "is in use by" in run(OWN, opened.folder).stderr
    assert "was removed or replaced while this process had it" in caplog.text


@pytest.fixture
def other_owner(opened):
    """Somebody removed the lock, and another process took it."""
    (opened.folder / "owner.lock").unlink()
    code = f"{OWN}\nprint('held', flush=True)\nsys.stdin.read()"
    code = code.replace("Owner(Path", "owner = Owner(Path")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(opened.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_no_file_is_accepted_or_handed_out_once_another_process_has_the_outbox(opened, tmp_path, other_owner, caplog):
    for number in (1, 2):
        with pytest.raises(OutboxInUse, match=f"in use by process {other_owner.pid}"):
            accept(opened, tmp_path, number)
    assert opened.claim() == []
    assert opened.held() == []
    assert f"in use by process {other_owner.pid}" in opened.writer.lost
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_an_uploader_that_lost_its_outbox_says_so_and_does_not_count_as_running(tmp_path):
    uploader = SftpUploaderThread(tmp_path / "outbox")
    uploader.start()
    assert uploader.running
    (tmp_path / "outbox" / "owner.lock").unlink()
    other = FileLock(os.open(tmp_path / "outbox" / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600))
    other.take_all()
    server = {"host": "127.0.0.1", "port": 9, "username": "u", "password": "p"}
    source = write(tmp_path / "a.csv")
    assert not uploader.queue_upload(server, source, {"project": "p"}, "model")
    assert not uploader.running
    assert "nothing is accepted or sent until that one has ended" in uploader.get_details()["last_error"]
    other.close()
    uploader.queue_upload(server, source, {"project": "p"}, "model")
    assert uploader.queue_upload(server, source, {"project": "p"}, "model")
    assert uploader.running
    uploader.close()


def test_an_outbox_that_changed_hands_is_read_again_once_the_other_has_ended(tmp_path, opened):
    first = accept(opened, tmp_path, 1)
    (opened.folder / "owner.lock").unlink()
    with closing(sqlite3.connect(opened.folder / "outbox.db")) as database:  # as another owner does
        assert run(OWN, opened.folder).returncode == 0
        database.execute("UPDATE items SET state = 'dead' WHERE id = ?", (first,))
        database.commit()
    with pytest.raises(OutboxStorageError, match="another process used the outbox meanwhile"):
        accept(opened, tmp_path, 2)
    accept(opened, tmp_path, 3)
    stats = opened.stats
    assert (stats.total_queued, stats.total_failed, stats.queue_size) == (2, 1, 1)


def test_a_closed_descriptor_of_the_lock_is_taken_again(tmp_path):
    """As `os.closerange` does it, in a program that makes itself a daemon too late."""
    owner = Owner(tmp_path, NOW_S)
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    (lock,) = [int(link.name) for link in links if link.readlink() == tmp_path / "owner.lock"]
    os.close(lock)
    assert owner.confirm()
    assert "is in use by" in run(OWN, tmp_path).stderr
    owner.release()
    assert run(OWN, tmp_path).returncode == 0


def descriptors_of(folder):
    """Numbers that lead into the folder, each with its path."""
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return {int(link.name): link.readlink() for link in links if link.readlink().is_relative_to(folder)}


def test_an_outbox_whose_connection_cannot_be_read_any_more_is_opened_again(opened, tmp_path, monkeypatch):
    """As after `os.closerange`: our own descriptors are closed, and the files are where they were."""
    first = accept(opened, tmp_path, 1)

    def unreadable(*_):
        raise sqlite3.OperationalError("locking protocol")

    monkeypatch.setattr("iris_communication.outbox.store.sqlite.put_back", unreadable)
    os.close(min(n for n, path in descriptors_of(opened.folder).items() if path.name == "outbox.db"))  # the guard's
    second, third = accept(opened, tmp_path, 2), accept(opened, tmp_path, 3)
    assert set(after_a_kill(opened.folder)) == {first, second, third}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_outbox_is_given_back_whatever_fails_at_its_end(tmp_path, monkeypatch):
    with open_writer(tmp_path / "outbox") as opened:
        monkeypatch.setattr(Spool, "close", lambda self: 1 / 0)
        opened.writer.close()
        assert run(OWN, opened.folder).returncode == 0


def test_a_child_that_outlives_its_parent_does_not_hold_the_outbox(tmp_path):
    code = f"""{OWN}
import os, time
owner = Owner(Path(sys.argv[1]) / "mine", 1.0)
if os.fork() == 0:
    os.close(1)
    os.close(2)
    sys.stdin.read()
    os._exit(0)
"""
    (tmp_path / "mine").mkdir()
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout.read() == b""
        assert parent.wait() == 0
        wait_until(lambda: run(OWN, tmp_path / "mine").returncode == 0)


def test_a_restored_backup_is_another_outbox_with_an_owner_of_its_own(opened, tmp_path):
    """Its lock says that the process of the original holds it, and that is not so."""
    first = accept(opened, tmp_path, 1)
    copy = shutil.copytree(opened.folder, tmp_path / "restored", ignore=shutil.ignore_patterns("door*"))
    with open_writer(copy) as restored:
        assert restored.recorded() == {first: "waiting"}
        restored.accept(write(tmp_path / "2.csv"))
    assert opened.recorded() == {first: "waiting"}


@pytest.mark.parametrize("lock", [None, b"", b"\0" * 128], ids=["gone", "empty", "zeros"])
def test_an_older_database_costs_no_bytes_in_the_spool_where_no_lock_says_how_many_there_were(tmp_path, lock):
    with open_writer(tmp_path / "outbox") as opened:
        accept(opened, tmp_path, 1)
    shutil.copy(opened.folder / "outbox.db", tmp_path / "older.db")
    with open_writer(opened.folder) as opened:
        second = accept(opened, tmp_path, 2, LARGE)
    shutil.copy(tmp_path / "older.db", opened.folder / "outbox.db")
    (opened.folder / "owner.lock").unlink()
    if lock is not None:
        (opened.folder / "owner.lock").write_bytes(lock)
    with open_writer(opened.folder) as opened:
        assert (opened.folder / "quarantine" / second).read_bytes() == LARGE


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_an_older_database_that_was_put_back_alone_costs_what_it_does_not_hold_and_is_reported(tmp_path, content):
    """The content of a small file lies in the database itself."""
    with open_writer(tmp_path / "outbox") as opened:
        first = accept(opened, tmp_path, 1)
    shutil.copy(opened.folder / "outbox.db", tmp_path / "older.db")
    with open_writer(opened.folder) as opened:
        second = accept(opened, tmp_path, 2, content)
    shutil.copy(tmp_path / "older.db", opened.folder / "outbox.db")
    with open_writer(opened.folder) as opened:
        assert opened.recorded() == {first: "waiting"}
        assert "is an older one: it knows 1 of 2 items" in opened.writer.notice
        third = accept(opened, tmp_path, 3)
    assert (opened.folder / "quarantine" / second).exists() is (content == LARGE)
    with open_writer(opened.folder) as opened:
        assert opened.writer.notice == ""
        assert set(opened.recorded()) == {first, third}
