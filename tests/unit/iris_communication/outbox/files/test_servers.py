import errno
import json
import os
from pathlib import Path

import pytest

from iris_communication.errors import OutboxStorageError, ServerUnresolved
from iris_communication.outbox.files import servers as servers_module
from iris_communication.outbox.files.servers import Servers
from iris_communication.settings import Secret, Server
from tests.unit.iris_communication.outbox.fake_parts import an_item, write

SERVER = Server("sftp.example.org", "iris", remote_directory="/in")
PASSWORD = Secret(password="open sesame")


@pytest.fixture
def servers(tmp_path):
    return Servers(tmp_path)


def item_in(folder, name="1.csv"):
    return an_item(1, remote_path=f"{folder}/line-1/model/{name}", source_path=f"/out/{name}")


def test_a_server_and_its_secret_are_found_by_key_after_a_restart(servers, tmp_path):
    servers.remember(SERVER, PASSWORD, "plant")
    again = Servers(tmp_path)
    assert again.resolve(SERVER.key) == (SERVER, PASSWORD)
    assert again.named("plant") == SERVER
    assert again.names == ["plant"]


def test_the_secret_is_in_one_file_that_its_owner_alone_can_read(servers, tmp_path):
    servers.remember(SERVER, PASSWORD)
    holding = [path for path in tmp_path.iterdir() if PASSWORD.password.encode() in path.read_bytes()]
    assert holding == [tmp_path / "secrets.json"]
    assert holding[0].stat().st_mode & 0o777 == 0o600


def test_a_file_left_open_to_all_by_a_crash_does_not_pass_its_mode_on(servers, tmp_path):
    write(tmp_path / "secrets.new").chmod(0o666)
    servers.remember(SERVER, PASSWORD)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_record_is_synced_before_it_takes_its_name_and_its_folder_after(servers, tmp_path, monkeypatch):
    steps, fsync, replacing = [], os.fsync, os.replace

    def syncing(descriptor):
        steps.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def naming(old, new):
        steps.append(("name", new.name))
        replacing(old, new)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "replace", naming)
    servers.remember(SERVER, PASSWORD)
    assert steps == [
        step
        for record in ("secrets", "servers")  # a server on record whose secret is not would wait for the operator
        for step in (("sync", f"{record}.new"), ("name", f"{record}.json"), ("sync", tmp_path.name))
    ]


def test_a_known_server_with_its_secret_is_not_written_again(servers, tmp_path):
    servers.remember(SERVER, PASSWORD)
    assert servers.knows(SERVER, PASSWORD)
    assert servers.knows(SERVER, Secret())
    assert not servers.knows(SERVER, Secret(password="another"))
    assert not servers.knows(Server("elsewhere", "iris"), Secret())


def test_the_latest_secret_wins(servers, tmp_path):
    servers.remember(SERVER, PASSWORD)
    servers.remember(SERVER, Secret(password="new"))
    assert Servers(tmp_path).resolve(SERVER.key)[1].password == "new"


def test_a_call_without_a_secret_keeps_the_one_on_record(servers):
    servers.remember(SERVER, PASSWORD)
    servers.remember(SERVER, Secret())
    assert servers.resolve(SERVER.key)[1] == PASSWORD


def test_the_latest_host_key_wins(servers):
    servers.remember(SERVER, PASSWORD)
    pinned = Server("sftp.example.org", "iris", remote_directory="/in", host_key="SHA256:abc")
    assert not servers.knows(pinned, Secret())
    servers.remember(pinned, Secret())
    assert servers.resolve(SERVER.key)[0].host_key == "SHA256:abc"


def test_two_names_of_one_account_keep_their_own_folders(servers, tmp_path):
    """One account, one connection, but models and classifiers go to different folders."""
    models = Server("sftp.example.org", "iris", remote_directory="/models")
    classifiers = Server("sftp.example.org", "iris", remote_directory="/classifiers")
    servers.remember(models, PASSWORD, "models")
    servers.remember(classifiers, PASSWORD, "classifiers")
    servers.remember(Server("sftp.example.org", "iris", remote_directory="/inline"), PASSWORD)
    for picture in (servers, Servers(tmp_path)):
        assert picture.named("models") == models
        assert picture.named("classifiers") == classifiers


def test_another_folder_of_a_known_account_does_not_make_the_first_one_unknown(servers):
    other = Server("sftp.example.org", "iris", remote_directory="/other")
    servers.remember(SERVER, PASSWORD)
    servers.remember(other, PASSWORD)
    assert servers.knows(SERVER, PASSWORD)
    assert servers.knows(other, PASSWORD)


def test_an_injected_processor_is_given_the_folder_that_its_file_was_queued_for(servers, tmp_path):
    other = Server("sftp.example.org", "iris", remote_directory="/other")
    servers.remember(SERVER, PASSWORD)
    servers.remember(other, PASSWORD)
    for picture in (servers, Servers(tmp_path)):
        assert picture.info(item_in("/in"))["remote_directory"] == "/in"
        assert picture.info(item_in("/other"))["remote_directory"] == "/other"
        assert picture.info(item_in("/in"))["password"] == PASSWORD.password


def test_the_folders_remembered_for_one_account_are_bounded(servers, tmp_path, monkeypatch):
    """A program may name a folder a day."""
    monkeypatch.setattr(servers_module, "PLACES_MAX", 5)
    for day in range(10):
        servers.remember(Server("sftp.example.org", "iris", remote_directory=f"/day-{day}"), PASSWORD)
    assert servers.info(item_in("/day-9"))["remote_directory"] == "/day-9"
    assert len(json.loads((tmp_path / "servers.json").read_text())["servers"][SERVER.key]) == 5


def test_an_unknown_server_or_secret_says_what_is_missing(servers):
    with pytest.raises(ServerUnresolved, match="no address for iris@sftp"):
        servers.resolve(SERVER.key)
    servers.remember(SERVER, Secret())
    with pytest.raises(ServerUnresolved, match="no password or key for iris@sftp") as raised:
        servers.resolve(SERVER.key)
    assert "configure_server" in raised.value.hint


def test_an_unknown_name_is_none(servers):
    assert servers.named("nobody") is None


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"{not json",
        b"\xff\xfe",
        b"[]",
        b'{"names": 5, "servers": {}}',
        b'{"names": {}, "servers": {"k": [{"h": 1}]}}',
    ],
)
def test_a_damaged_address_file_is_put_aside_and_reported(tmp_path, caplog, content):
    write(tmp_path / "servers.json", content)
    servers = Servers(tmp_path)
    assert servers.names == []
    assert (tmp_path / "servers.damaged").read_bytes() == content
    assert f"{tmp_path / 'servers.json'} is damaged" in caplog.text
    servers.remember(SERVER, PASSWORD, "plant")
    assert Servers(tmp_path).named("plant") == SERVER


@pytest.mark.parametrize("content", [b"{", b'{"k": {"pass": "x"}}', b'{"k": "x"}'])
def test_a_damaged_secrets_file_is_put_aside_without_a_word_of_what_is_in_it(tmp_path, caplog, content):
    servers = Servers(tmp_path)
    servers.remember(SERVER, PASSWORD, "plant")
    write(tmp_path / "secrets.json", content + b" hunter2")
    damaged = Servers(tmp_path)
    with pytest.raises(ServerUnresolved, match="no password or key"):
        damaged.resolve(SERVER.key)
    assert damaged.named("plant") == SERVER
    assert "hunter2" not in caplog.text


def full_disk(*_args, **_options):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_record(servers, tmp_path, monkeypatch, call):
    servers.remember(SERVER, PASSWORD, "plant")
    with monkeypatch.context() as disk:
        disk.setattr(os, call, full_disk)
        with pytest.raises(OutboxStorageError, match=r"secrets\.json: No space left"):
            servers.remember(SERVER, Secret(password="new"))
    assert servers.resolve(SERVER.key)[1] == PASSWORD
    assert Servers(tmp_path).resolve(SERVER.key)[1] == PASSWORD


def test_a_disk_that_fills_up_in_the_middle_does_not_cut_the_secrets_short(servers, tmp_path, monkeypatch):
    """A write to a nearly full disk takes what fits and says so: only the next one fails."""
    servers.remember(SERVER, PASSWORD)
    writing = os.write

    def nearly_full(descriptor, data):
        if len(data) < 60:
            full_disk()
        return writing(descriptor, bytes(data)[: len(data) - 20])

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", nearly_full)
        with pytest.raises(OutboxStorageError):
            servers.remember(SERVER, Secret(password="x" * 100))
    assert Servers(tmp_path).resolve(SERVER.key)[1] == PASSWORD


@pytest.mark.parametrize("kind", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ENOMEM])
@pytest.mark.parametrize("name", ["servers.json", "secrets.json"])
def test_a_record_that_cannot_be_read_now_is_not_damaged_and_stays_where_it_is(
    servers, tmp_path, monkeypatch, caplog, name, kind
):
    servers.remember(SERVER, PASSWORD, "plant")
    opening = os.open

    def refuse(path, *arguments, **options):
        if Path(path).name == name:
            raise OSError(kind, os.strerror(kind))
        return opening(path, *arguments, **options)

    with monkeypatch.context() as disk:
        disk.setattr(os, "open", refuse)
        with pytest.raises(OutboxStorageError, match=f"{name} cannot be read: {os.strerror(kind)}") as raised:
            Servers(tmp_path)
    assert f"ls -l '{tmp_path / name}'" in raised.value.hint
    assert caplog.records == []
    assert Servers(tmp_path).resolve(SERVER.key) == (SERVER, PASSWORD)
    assert not list(tmp_path.glob("*.damaged"))


def test_a_link_in_the_place_of_a_new_record_is_not_written_through(servers, tmp_path):
    foreign = write(tmp_path / "foreign")
    (tmp_path / "secrets.new").symlink_to(foreign)
    servers.remember(SERVER, PASSWORD)
    assert PASSWORD.password not in foreign.read_text()
    assert not (tmp_path / "secrets.json").is_symlink()
