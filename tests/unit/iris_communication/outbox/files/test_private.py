"""The outbox's folder and files are their owner's alone, whatever lay there before and whatever the umask."""

import contextlib
import errno
import os
import re
import shutil
import stat
import threading

import pytest

from iris_communication.errors import OutboxStorageError
from iris_communication.outbox.files import private
from iris_communication.outbox.files.lock import Owner
from iris_communication.outbox.files.servers import Servers
from tests.own_process import in_a_process_of_its_own
from tests.unit.iris_communication.outbox.fake_parts import open_writer, write

NOW_S = 1_700_000_000.0
OTHER = 4711
UMASKS = (0o000, 0o022, 0o277, 0o777)
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "outbox"
    made.mkdir(mode=0o700)
    return made


def modes(folder):
    """Of everything in it, but for the socket."""
    found = [path for path in (folder, *folder.rglob("*")) if not path.is_socket()]
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in found}


def use(folder, tmp_path):
    """Everything that an outbox does with its files; the modes while it is open and at its end."""
    source = write(tmp_path / "a.csv")
    source.chmod(0o644)
    with open_writer(folder) as opened:
        opened.accept(source)
        (item,) = opened.claim()
        opened.deliver(item)
        opened.accept(source)
        during = modes(folder)
    return {**during, **modes(folder)}


@in_a_process_of_its_own
def test_everything_in_an_outbox_is_its_owners_alone_whatever_the_umask(tmp_path):
    for umask in UMASKS:
        folder = tmp_path / oct(umask)
        folder.mkdir(mode=0o700)
        os.umask(umask)
        found = use(folder, tmp_path)
        os.umask(0o022)  # for the next folder
        assert {mode for name, mode in found.items() if "." in name or name == "reserve"} == {0o600}, folder
        assert set(found.values()) == {0o600, 0o700}, folder


@in_a_process_of_its_own
def test_a_folder_that_is_made_is_its_owners_alone_whatever_the_umask(tmp_path):
    for umask in UMASKS:
        os.umask(umask)
        folder = tmp_path / oct(umask)
        use(folder, tmp_path)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder


def test_files_that_others_could_read_before_are_closed_to_them(folder, tmp_path):
    """As in a folder of 0755, or a backup that was put back with another umask."""
    use(folder, tmp_path)
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with open_writer(folder):
        found = modes(folder)
    in_spool = {path.name for path in (folder / "spool").iterdir()}  # nobody comes there
    assert {mode for name, mode in found.items() if name not in in_spool and name != "outbox"} == {0o600, 0o700}


def test_secrets_that_others_could_read_are_reported(folder, tmp_path, caplog):
    use(folder, tmp_path)
    (folder / "secrets.json").chmod(0o640)
    with open_writer(folder):
        pass
    assert f"{folder / 'secrets.json'} had the mode 0640: other users may have read its passwords" in caplog.text


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o707, 0o1777, 0o2775, 0o720])
def test_a_folder_that_others_may_write_into_is_refused_with_the_mend(folder, mode):
    folder.chmod(mode)
    with pytest.raises(OutboxStorageError, match=f"other users may write into the outbox.*{mode:04o}") as raised:
        Owner(folder, NOW_S)
    assert f"chmod 700 '{folder}'" in raised.value.hint
    assert list(folder.iterdir()) == []


def test_a_file_that_goes_while_the_folder_is_looked_through_is_no_trouble(folder, monkeypatch):
    """SQLite removes its own once the last who looks into the database, of whatever process, has closed it."""
    names = {"outbox.db", "outbox.db-wal", "outbox.db-shm"}
    for name in names:
        write(folder / name).chmod(0o644)
    scandir = os.scandir

    @contextlib.contextmanager
    def going(path):
        with scandir(path) as entries:
            listed = list(entries)
        (folder / "outbox.db-wal").unlink()
        (folder / "outbox.db-shm").unlink()
        yield listed

    monkeypatch.setattr(os, "scandir", going)
    assert private.close_to_others(folder) == {folder / "outbox.db": 0o644}


def test_a_folder_of_another_user_is_refused_with_the_command(folder, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    with pytest.raises(OutboxStorageError, match=f"belongs to user {os.getuid()}") as raised:
        Owner(folder, NOW_S)
    assert "sudo -u " in raised.value.hint
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_user_without_a_name_is_named_by_number(folder):
    os.chown(folder, 3_999_999_999, 0)
    with pytest.raises(OutboxStorageError, match="belongs to user 3999999999") as raised:
        private.check_folder(folder)
    assert "sudo -u '#3999999999' iris" in raised.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["outbox.db", "secrets.json", "servers.json", "owner.lock", "spool"])
def test_a_file_of_state_of_another_user_is_refused_with_the_mend(folder, tmp_path, name):
    use(folder, tmp_path)
    os.chown(folder / name, OTHER, OTHER)
    with pytest.raises(OutboxStorageError, match=f"{name} belongs to user {OTHER}") as raised:
        Owner(folder, NOW_S)
    assert f"chown {os.geteuid()} '{folder / name}'" in raised.value.hint


LINKS = ["owner.lock", "outbox.db", "outbox.db-wal", "secrets.json", "secrets.new", "servers.new", "reserve", "spool"]


@pytest.mark.parametrize("name", LINKS)
def test_a_link_that_somebody_put_there_leads_nowhere(folder, tmp_path, name):
    foreign = write(tmp_path / "foreign", b"not ours")
    (folder / name).symlink_to(foreign)
    with pytest.raises(OutboxStorageError, match=name), open_writer(folder):
        pass
    assert foreign.read_bytes() == b"not ours"


def test_a_named_pipe_in_the_place_of_the_lock_holds_nobody_up(folder):
    os.mkfifo(folder / "owner.lock")
    done = threading.Event()

    def try_it():
        with pytest.raises(OutboxStorageError):
            Owner(folder, NOW_S)
        done.set()

    thread = threading.Thread(target=try_it, daemon=True)
    thread.start()
    thread.join(10.0)
    assert done.is_set()


PIPES = ["secrets.json", "servers.json", "outbox.db", "reserve", "spool", "known_servers.json"]


@pytest.mark.parametrize("name", PIPES)
def test_a_named_pipe_in_the_place_of_a_file_of_state_is_refused_and_holds_nobody_up(folder, name):
    os.mkfifo(folder / name)
    with pytest.raises(OutboxStorageError, match=f"{name} is a named pipe") as raised, open_writer(folder):
        pass
    assert "replace it by the right file, or remove it" in raised.value.hint


@pytest.mark.parametrize("name", ["secrets.json", "servers.json"])
def test_a_named_pipe_does_not_block_a_reader(folder, name):
    os.mkfifo(folder / name)
    with pytest.raises(OutboxStorageError, match=name):
        Servers(folder, read_only=True)


def refuses(number):
    def refused(*_, **__):
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EMFILE, "raise its limit"),
        (errno.ENFILE, "raise fs.file-max"),
        (errno.EROFS, "mount that disk for writing"),
        (errno.EDQUOT, "raise the user's quota"),
        (errno.EACCES, "correct its permissions"),
    ],
)
@pytest.mark.parametrize("place", ["iris_communication.outbox.files.private.make_folder", "os.scandir"])
def test_a_folder_that_cannot_be_opened_is_reported_with_the_hint_of_what_happened(
    folder, monkeypatch, place, number, hint
):
    with monkeypatch.context() as changed:
        changed.setattr(place, refuses(number))
        with pytest.raises(OutboxStorageError, match=re.escape(os.strerror(number))) as raised, open_writer(folder):
            pass
    assert hint in raised.value.hint


def test_the_folder_in_the_outbox_that_refuses_is_named(folder):
    (folder / "spool").write_text("in the way")
    with pytest.raises(OutboxStorageError, match="spool: File exists"), open_writer(folder):
        pass


def test_a_backup_put_back_by_root_is_refused_by_name_and_goes_on_once_it_is_given_back(folder, tmp_path, monkeypatch):
    use(folder, tmp_path)
    shutil.copytree(folder, tmp_path / "backup", ignore=shutil.ignore_patterns("door*"))
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    with pytest.raises(OutboxStorageError, match="belongs to user"), open_writer(tmp_path / "backup"):
        pass
    monkeypatch.undo()
    with open_writer(tmp_path / "backup") as opened:
        (item,) = opened.claim()
        opened.deliver(item)
        assert opened.stats.queue_size == 0


def as_user(user, folder):
    """What an uploader of this user says when it starts on the folder; empty when it does."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"the child failed"
        try:
            os.setgid(user)
            os.setuid(user)
            with open_writer(folder):
                said = b""
        except OutboxStorageError as error:
            said = f"{error}. {error.hint}".encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as told:
        return told.read().decode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("name", ["secrets.json", "servers.json", "outbox.db", "owner.lock"])
def test_a_file_without_permission_is_named_and_nothing_is_moved_until_it_is_given_back(folder, tmp_path, name):
    use(folder, tmp_path)
    tmp_path.chmod(0o755)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, OTHER, OTHER)
    before = {path.name for path in folder.rglob("*")}
    (folder / name).chmod(0)
    said = as_user(OTHER, folder)
    assert name in said
    assert "ermission denied" in said or "unable to open" in said
    assert {path.name for path in folder.rglob("*")} == before
    (folder / name).chmod(0o600)
    assert as_user(OTHER, folder) == ""
