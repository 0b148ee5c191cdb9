"""On OpenSSH: a large file that is cut off goes on, one file travels in several streams, and what comes with a file."""

import os
import random
import stat

import pytest

from tests.integration.uploading import contents_of, submit, submit_all, wait_for, wait_until
from tests.servers.openssh import OpenSshServer

MIB = 1024 * 1024
LARGE = random.Random(7).randbytes(32 * MIB)


@pytest.fixture
def a_server(tmp_path, need_program):
    """Makes one that this test alone has: with the requests named denied."""
    sshd, servers = need_program("sshd", hint="make system-packages"), []

    def make(denied=""):
        folder = tmp_path / f"sshd-{len(servers)}"
        folder.mkdir()
        arguments = ("-P", denied) if denied else ()
        server = OpenSshServer(folder, sshd=sshd, subsystem_arguments=arguments)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()


def remote(server, tmp_path, **settings):
    folder = tmp_path / "received"
    folder.mkdir(exist_ok=True)
    return {**server.info(folder), "remote_path": "{remote_directory}/{file_name}", **settings}, folder


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_a_large_file_goes_on_where_the_cut_connection_left_it(transport, a_server, uploader, sources, tmp_path):
    server = a_server()
    info, folder = remote(server, tmp_path, bandwidth_bytes_per_s=40 * MIB, transport=transport)
    receipts = submit_all(uploader, info, {"large.bin": LARGE}, sources)

    wait_until(lambda: any(path.stat().st_size > 8 * MIB for path in folder.glob(".iris-*")))
    (begun,) = folder.glob(".iris-*")
    os.link(begun, tmp_path / "begun")  # so that it stays the one with this number
    server.cut()
    wait_for(receipts.values(), 40.0)
    assert contents_of(folder) == {"large.bin": LARGE}
    assert (folder / "large.bin").samefile(tmp_path / "begun"), "it was begun again"


@pytest.mark.parametrize("transport", ["asyncssh", "ssh"])
def test_one_file_in_several_streams_arrives_whole(transport, a_server, uploader, sources, tmp_path):
    server = a_server()
    info, folder = remote(server, tmp_path, streams=4, transport=transport)
    receipts = submit_all(uploader, info, {"large.bin": LARGE, "small.csv": b"1;2\n"}, sources)
    wait_for(receipts.values(), 40.0)
    assert contents_of(folder) == {"large.bin": LARGE, "small.csv": b"1;2\n"}


def test_a_server_that_cannot_rename_takes_files_in_place(a_server, uploader, sources, tmp_path):
    info, folder = remote(a_server("rename,posix-rename"), tmp_path, in_place=True, marker=".done")
    contents = {"1.csv": b"1;2\n", "2.csv": b"", "large.bin": LARGE[: 5 * MIB]}
    wait_for(submit_all(uploader, info, contents, sources).values())
    assert contents_of(folder) == {**contents, **{f"{name}.done": b"" for name in contents}}


def test_the_part_that_a_cut_left_is_made_whole_where_no_file_can_be_renamed(a_server, uploader, sources, tmp_path):
    server = a_server("rename,posix-rename")
    info, folder = remote(server, tmp_path, in_place=True, bandwidth_bytes_per_s=40 * MIB)
    receipts = submit_all(uploader, info, {"large.bin": LARGE}, sources)
    wait_until(lambda: any(path.stat().st_size > 8 * MIB for path in folder.glob("large.bin")))
    server.cut()
    wait_for(receipts.values(), 40.0)
    assert contents_of(folder) == {"large.bin": LARGE}


def test_a_server_that_cannot_rename_is_reported_with_what_to_do(a_server, uploader, sources, tmp_path, caplog):
    info, folder = remote(a_server("rename,posix-rename"), tmp_path, attempts_max=1)
    submit_all(uploader, info, {"1.csv": b"1\n"}, sources)
    wait_until(lambda: uploader.get_stats()["total_failed"] == 1)
    assert "in_place = true" in caplog.text
    assert contents_of(folder) == {}


def test_permissions_and_times_are_set_before_the_file_has_its_name(a_server, uploader, sources, tmp_path):
    info, folder = remote(a_server(), tmp_path, file_mode="0640", keep_times=True)
    (sources / "a.csv").write_bytes(b"1;2\n")
    os.utime(sources / "a.csv", (1_600_000_000, 1_600_000_000))
    wait_for([submit(uploader, info, sources / "a.csv")])
    found = (folder / "a.csv").stat()
    assert (stat.S_IMODE(found.st_mode), int(found.st_mtime)) == (0o640, 1_600_000_000)


def test_a_server_that_does_not_let_us_set_them_is_warned_of_once_and_takes_the_files(
    a_server, uploader, sources, tmp_path, caplog
):
    info, folder = remote(a_server("setstat"), tmp_path, file_mode="0640")
    contents = {f"{number}.csv": b"1\n" for number in range(5)}
    wait_for(submit_all(uploader, info, contents, sources).values())
    assert contents_of(folder) == contents
    assert [record.levelname for record in caplog.records if "permissions or times" in record.message] == ["WARNING"]
