"""The uploader against real servers: what is queued arrives whole, once, under its name."""

import os
import sqlite3
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from iris_communication.outbox.store.ledger import Line, first_broken
from tests.integration.awkward import NAMES
from tests.integration.uploading import (
    IN_A_HURRY,
    LONG_S,
    Watch,
    balanced,
    contents_of,
    running,
    small_files,
    submit,
    submit_all,
    wait_for,
)
from tests.servers.asyncssh_server import AsyncSshServer


@pytest.fixture(scope="module")
def asyncssh_server(tmp_path_factory):
    with AsyncSshServer(tmp_path_factory.mktemp("asyncssh")) as server:
        yield server


@pytest.fixture(params=["OpenSSH", "asyncssh"])
def received(request, tmp_path):
    """(the server's info, the folder on this machine where line-1's model files arrive)."""
    if request.param == "OpenSSH":
        server, base = request.getfixturevalue("openssh"), tmp_path / "received"
        return server.info(base), base / "line-1" / "model"
    server = request.getfixturevalue("asyncssh_server")
    name = tmp_path.name
    return server.info(f"/{name}"), server.folder / name / "line-1" / "model"


def test_three_hundred_small_files_arrive_whole_and_once(uploader, received, sources, tmp_path):
    info, folder = received
    files = small_files(300)
    with Watch(folder, files) as watch:
        wait_for(submit_all(uploader, info, files, sources).values())
    assert contents_of(folder) == files
    assert watch.partial == []
    assert uploader.get_stats() == {"total_queued": 300, "total_uploaded": 300, "total_failed": 0, "queue_size": 0}
    uploader.close()
    database = sqlite3.connect(tmp_path / "outbox" / "outbox.db")
    lines = [Line(*row) for row in database.execute("SELECT line, hash FROM ledger ORDER BY sequence")]
    database.close()
    assert (len(lines), first_broken(lines)) == (300, None)
    assert list((tmp_path / "outbox" / "spool").iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"x", b"x" * 32768, os.urandom(1024 * 1024 + 1), os.urandom(5_000_000)], ids=lambda c: f"{len(c)}"
)
def test_a_file_of_any_size_arrives_as_it_is(uploader, received, sources, content):
    info, folder = received
    wait_for(submit_all(uploader, info, {"a.bin": content}, sources).values())
    assert contents_of(folder) == {"a.bin": content}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_file_of_any_name_arrives_under_it(uploader, received, sources, name):
    info, folder = received
    receipts = submit_all(uploader, info, {name: b"content"}, sources)
    delivered = receipts[name].wait_delivered(LONG_S)
    assert contents_of(folder) == {name: b"content"}
    assert delivered.final_path.endswith(f"/line-1/model/{name}")


def test_the_receipt_proves_which_server_took_it(uploader, received, sources):
    info, _ = received
    (receipt,) = submit_all(uploader, info, {"a.csv": b"1"}, sources).values()
    assert receipt.wait_delivered(LONG_S).host_key.startswith("SHA256:")


def test_a_remote_folder_that_is_missing_is_made_with_all_above_it(uploader, received, sources):
    info, folder = received
    assert not folder.parent.parent.exists()
    wait_for(submit_all(uploader, info, {"a.csv": b"1"}, sources).values())
    assert folder.is_dir()


def test_many_files_into_many_missing_folders_at_once(uploader, received, sources):
    info, folder = received
    (sources / "a.csv").write_bytes(b"1")
    receipts = [
        submit(uploader, info, sources / "a.csv", project=f"line-{n % 10}", folder_type=f"t{n}") for n in range(50)
    ]
    wait_for(receipts)
    assert len(list(folder.parent.parent.rglob("a.csv"))) == 50


def test_a_final_name_that_holds_something_else_is_not_overwritten_and_both_survive(uploader, received, sources):
    info, folder = received
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"somebody else's")
    receipt = submit_all(uploader, info, {"a.csv": b"ours"}, sources)["a.csv"]
    delivered = receipt.wait_delivered(LONG_S)
    assert sorted(contents_of(folder).values()) == [b"ours", b"somebody else's"]
    assert (folder / "a.csv").read_bytes() == b"somebody else's"
    assert (folder / PurePosixPath(delivered.final_path).name).read_bytes() == b"ours"


def test_a_final_name_that_holds_the_same_bytes_counts_as_delivered(uploader, received, sources):
    info, folder = received
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"ours")
    wait_for(submit_all(uploader, info, {"a.csv": b"ours"}, sources).values())
    assert contents_of(folder) == {"a.csv": b"ours"}


def test_the_same_name_again_with_new_content_keeps_both(uploader, received, sources):
    info, folder = received
    for content in (b"first", b"second", b"third", b"second"):
        wait_for(submit_all(uploader, info, {"a.csv": content}, sources).values())
    assert sorted(contents_of(folder).values()) == [b"first", b"second", b"third"]


def test_a_moved_file_is_gone_here_and_arrives_there(uploader, received, sources):
    info, folder = received
    for name, content in {"small": b"1", "large": b"x" * 2_000_000}.items():
        (sources / name).write_bytes(content)
        wait_for([submit(uploader, info, sources / name, take="move")])
    assert list(sources.iterdir()) == []
    assert contents_of(folder) == {"small": b"1", "large": b"x" * 2_000_000}


def test_a_large_file_that_is_written_to_after_it_was_queued_never_arrives_changed(tmp_path, received, sources):
    """A file above 1 MiB is linked, not copied, so its writer can still reach the bytes."""
    info, folder = received
    source = sources / "growing.bin"
    source.write_bytes(b"x" * 2_000_000)
    with running(tmp_path / "outbox") as uploader:
        uploader.stop()
        receipt = submit(uploader, info, source)
        with source.open("r+b") as file:
            file.write(b"changed")
        uploader.start()
        with pytest.raises(Exception, match="changed after it was accepted"):
            receipt.wait_delivered(LONG_S)
        assert balanced(uploader)
    assert contents_of(folder) == {}


def test_a_stopped_uploader_goes_on_where_it_ended(tmp_path, received, sources):
    info, folder = received
    files = small_files(120)
    with running(tmp_path / "outbox") as uploader:
        submit_all(uploader, info, files, sources)
        uploader.stop(0.0)
    with running(tmp_path / "outbox") as uploader:
        uploader.stop(LONG_S)
        assert uploader.get_stats()["queue_size"] == 0
    assert contents_of(folder) == files


def test_one_account_with_two_folders_uses_one_connection(tmp_path, asyncssh_server, sources):
    source = sources / "a.csv"
    source.write_bytes(b"1")
    with running(tmp_path / "outbox") as uploader:
        wait_for([submit(uploader, asyncssh_server.info(f"/{tmp_path.name}/{n}"), source) for n in range(5)])
        assert asyncssh_server.connection_count == 1
        assert len(uploader.get_details()["servers"]) == 1
    assert len(list((asyncssh_server.folder / tmp_path.name).rglob("a.csv"))) == 5


def test_two_servers_are_delivered_to_at_the_same_time(tmp_path, asyncssh_server, sources):
    source = sources / "a.csv"
    source.write_bytes(b"1")
    with AsyncSshServer(tmp_path / "second") as second, running(tmp_path / "outbox") as uploader:
        wait_for(submit(uploader, server.info(f"/{tmp_path.name}"), source) for server in (asyncssh_server, second))
        assert {destination["link"] for destination in uploader.get_details()["servers"].values()} == {"up"}


def test_files_arrive_the_same_on_the_other_event_loop(openssh, sources, tmp_path):
    folder, files = tmp_path / "received" / "line-1" / "model", small_files(100)
    files["large.bin"] = os.urandom(3_000_000)
    settings = replace(IN_A_HURRY, event_loop="uvloop")
    with running(tmp_path / "on-uvloop", settings) as uploader:
        wait_for(submit_all(uploader, openssh.info(tmp_path / "received"), files, sources).values())
        assert uploader.stop(LONG_S)
    assert contents_of(folder) == files
