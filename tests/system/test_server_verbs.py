"""`iris server`, on a real OpenSSH server and as a person runs it."""

import json
import re

import pytest

from tests.servers.openssh import OpenSshServer
from tests.system.iris_command import Iris


@pytest.fixture
def plant(tmp_path, need_program):
    """`plant(*denied)`: a server whose sftp-server refuses these requests, and the settings that name it."""
    servers = []

    def make(denied=""):
        arguments = ("-P", denied) if denied else ()
        sshd = need_program("sshd", hint="make system-packages")
        server = OpenSshServer(tmp_path / f"sshd-{len(servers)}", sshd=sshd, subsystem_arguments=arguments)
        servers.append(server)
        server.start()
        received = tmp_path / "received"
        received.mkdir(exist_ok=True)
        info = server.info(received)
        lines = [f"{key} = {json.dumps(str(info[key]))}" for key in ("host", "username", "private_key", "host_key")]
        lines += [f"port = {info['port']}", f"remote_directory = {json.dumps(str(received))}"]
        (tmp_path / "iris.toml").write_text("[servers.plant]\n" + "\n".join(lines) + "\n")
        return server, received

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def verb(tmp_path):
    command = Iris(tmp_path / "outbox")

    def called(*words):
        """(status, standard output, standard error)"""
        done = command(*words, *(["--config", tmp_path / "iris.toml"] if words[0] == "send" or "test" in words else []))
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return called


def test_a_trial_says_what_works_and_leaves_nothing(plant, verb, tmp_path):
    _, received = plant()
    (tmp_path / "outbox").mkdir()
    status, said, error = verb("server", "test", "plant")
    assert status == 0, error
    assert "Files are written under a hidden name and appear whole, by a rename." in said
    assert "OpenSSH_" in said
    assert "MB/s" in said
    assert list(received.iterdir()) == []


def test_what_will_not_work_is_said_and_is_the_exit_status(plant, verb, tmp_path):
    _, received = plant("rename,posix-rename")
    status, said, _ = verb("server", "test", "plant", "--json")
    told = json.loads(said)
    assert (status, told["works"]) == (1, False)
    assert "set in_place = true" in told["says"][0]["words"]
    assert list(received.iterdir()) == []


def test_a_server_that_is_not_reached_is_told_with_what_to_do(plant, verb, tmp_path):
    server, _ = plant()
    server.stop()
    status, _, error = verb("server", "test", "plant")
    assert status == 2
    assert "refuses connections" in error
    assert "check host and port" in error


def test_a_name_nobody_knows_is_told(plant, verb, tmp_path):
    plant()
    status, _, error = verb("server", "test", "plnt")
    assert status == 2
    assert "plant" in error


def test_what_a_delivery_learned_is_shown_without_asking_the_server(plant, verb, tmp_path):
    server, _ = plant()
    (tmp_path / "a.csv").write_text("a,b\n")
    status, _, error = verb("send", tmp_path / "a.csv")
    assert status == 0, error
    server.stop()
    key = f"{server.username}@{server.host}:{server.port}"
    status, shown, error = verb("server", "show", key)
    assert status == 0, error
    assert "OpenSSH_" in shown
    assert re.search(r"replaces in one step +yes", shown)
    _, listed, _ = verb("server", "list")
    assert listed.startswith(f"{key}  OpenSSH_")
    assert "not tried out" in listed


def test_of_servers_nobody_has_met_nothing_is_known(plant, verb, tmp_path):
    plant()
    (tmp_path / "a.csv").write_text("a,b\n")
    verb("send", tmp_path / "a.csv", "--no-wait")
    status, said, _ = verb("server", "list")
    assert (status, said) == (0, "none yet: the first delivery, or `iris server test NAME`, learns of one\n")
    status, said, _ = verb("server", "show", "default")
    assert (status, "nothing is known" in said) == (1, True) or status == 2
