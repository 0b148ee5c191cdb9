"""Health checks of a real OpenSSH server: what it allows, and that the checks leave nothing behind."""

import asyncio
import os
import shutil

import pytest

from iris_communication.clock import SystemClock
from iris_communication.delivery.connection import Connection
from iris_communication.errors import LinkLost
from iris_communication.server.facts import parse_server
from iris_communication.settings import DeliverySettings
from iris_communication.sftp.trials.probe import Probe, ProbeContent, probe
from iris_communication.transport.asyncssh.channel import AsyncsshTransport
from tests.servers.openssh import OpenSshServer


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "received"
    made.mkdir()
    return made


async def checked(server, check, beside=None):
    """One check on a connection of its own; `beside` goes on while it is made."""
    facts, secret = parse_server(server.info("."))
    connection = Connection(facts, DeliverySettings(), SystemClock())
    try:
        await connection.open(AsyncsshTransport(), secret)
        if beside:
            beside()
        return await connection.run(probe(check, connection.capabilities), ProbeContent())
    finally:
        connection.close()


def health(server, check):
    return asyncio.run(checked(server, check))


def round_trip(folder):
    return Probe(os.fsencode(folder), b"0123456789abcdef")


def test_a_round_trip_on_a_sound_server_reports_its_free_space_and_leaves_nothing(openssh, folder):
    check = round_trip(folder)
    found = health(openssh, check)
    assert (found.ok, found.text) == (True, "")
    assert found.done == ("answers", "free space", "round trip")
    disk = shutil.disk_usage(folder)
    assert found.total_bytes == disk.total
    assert found.free_bytes == pytest.approx(disk.free, rel=0.05)
    assert list(folder.iterdir()) == []
    assert check.leftovers == set()


def test_a_missing_folder_is_reported_and_not_made(openssh, folder):
    found = health(openssh, round_trip(folder / "line-1" / "model"))
    assert found.ok
    assert found.text == f"the folder '{folder}/line-1/model' does not exist yet"
    assert found.total_bytes == shutil.disk_usage(folder).total
    assert list(folder.iterdir()) == []


def test_a_read_only_server_is_found_out_by_the_round_trip(tmp_path, folder, need_program):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-R"]) as server:
        assert health(server, Probe(os.fsencode(folder))).ok, "looking shows nothing of it"
        found = health(server, round_trip(folder))
    assert not found.ok
    assert f"cannot create a file in '{folder}' on the server: PERMISSION_DENIED" in found.text
    assert "check the user's permissions on the remote folder" in found.hint
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("refused", "text"), [("rename", "cannot rename a file in"), ("remove", "cannot remove")])
def test_a_step_that_the_server_refuses_is_found_out(tmp_path, folder, need_program, refused, text):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd, subsystem_arguments=["-P", refused]) as server:
        check = round_trip(folder)
        found = health(server, check)
    assert not found.ok
    assert text in found.text
    assert {os.fsencode(path) for path in folder.iterdir()} == check.leftovers
    assert len(check.leftovers) == (refused == "remove")


def test_a_server_that_dies_in_the_middle_is_a_lost_link(tmp_path, folder, need_program):
    sshd = need_program("sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd) as server, pytest.raises(LinkLost):
        asyncio.run(checked(server, round_trip(folder), beside=server.stop))
