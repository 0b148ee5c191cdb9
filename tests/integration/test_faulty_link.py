"""A faulty network to a real OpenSSH server, with both transports: cut, silent, or in single bytes, at any point.

Each connection has the next fault, from within the banner to behind the last byte: the files that are left after one
meet the next. The exhaustive cut, after every single byte of a session, is in memory: test_put.py."""

import random
from dataclasses import replace

import pytest

from tests.integration.uploading import IN_A_HURRY, Watch, contents_of, running, small_files, submit_all, wait_for
from tests.servers.openssh import OpenSshServer
from tests.tcp_link import (
    TO_CLIENT,
    TO_SERVER,
    CutAfter,
    FaultyTcpLink,
    InPieces,
    SilentAfter,
)

FILES = 40
LARGE = random.Random(6).randbytes(2 * 1024 * 1024)
MEDIUM = LARGE[: 256 * 1024]  # byte by byte
PATIENT = replace(IN_A_HURRY, connect_timeout_s=20.0, progress_timeout_s=10.0)  # a cut is noticed at once
IMPATIENT = replace(IN_A_HURRY, connect_timeout_s=2.0, progress_timeout_s=1.0)
PLACES = {  # bytes: in the banner, the key exchange, the login, between and within the files
    TO_SERVER: (1, 20, 500, 1600, 2500, 3300, 4000, 8000, 20_000, 50_000, 500_000, 1_500_000),
    TO_CLIENT: (1, 20, 900, 1900, 2600, 2900, 3200, 3600, 4500, 6000),
}
FAULTS = {
    "cut on the way there": [CutAfter(place, TO_SERVER) for place in PLACES[TO_SERVER]],
    "cut on the way back": [CutAfter(place, TO_CLIENT) for place in PLACES[TO_CLIENT]],
    "silent on the way there": [SilentAfter(place, TO_SERVER) for place in PLACES[TO_SERVER][::2]],
    "silent on the way back": [SilentAfter(place, TO_CLIENT) for place in PLACES[TO_CLIENT][::2]],
    "byte by byte": [InPieces(1)],
}


@pytest.fixture(scope="module")
def openssh(tmp_path_factory, need_program):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path_factory.mktemp("sshd"), sshd=sshd) as server:
        yield server


@pytest.mark.parametrize("transport", ["asyncssh", pytest.param("ssh", marks=pytest.mark.long)])
@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_every_file_arrives_whole_and_once_whatever_becomes_of_the_link(openssh, tmp_path, sources, transport, faults):
    settings = IMPATIENT if isinstance(faults[0], SilentAfter) else PATIENT
    folder = tmp_path / "received"
    folder.mkdir()
    byte_by_byte = isinstance(faults[0], InPieces)
    files = {"large.bin": MEDIUM if byte_by_byte else LARGE, **small_files(FILES, size_bytes=4000)}
    with FaultyTcpLink(openssh.port, faults) as link, running(tmp_path / "outbox", settings) as uploader:
        info = {**openssh.info(folder), "port": link.port, "transport": transport}
        info["remote_path"] = "{remote_directory}/{file_name}"
        with Watch(folder, files) as watch:
            wait_for(submit_all(uploader, info, files, sources).values(), timeout_s=120.0)
        assert uploader.get_stats()["total_failed"] == 0
        if not byte_by_byte:
            assert link.met >= len(faults) - 2, "they have to be met for this to show anything"
    assert watch.partial == []
    assert contents_of(folder) == files
