"""`iris server`, on a real OpenSSH server and as a person runs it."""

import json
import os
import re
import signal
import stat
import subprocess
from contextlib import closing, contextmanager

import pytest

from tests.servers.openssh import OpenSshServer
from tests.system.iris_command import IrisCommand
from tests.system.iris_process import IRIS, ROOT, IrisProcess
from tests.tcp_link import TO_SERVER, FaultyTcpLink, SilentAfter


def write_settings(folder, info, further=""):
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in info.items())
    (folder / "iris.toml").write_text(f"[servers.plant]\n{lines}{further}")


def key_of(server):
    return f"{server.username}@{server.host}:{server.port}"


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
        write_settings(tmp_path, server.info(received))
        return server, received

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def verb(tmp_path):
    command = IrisCommand(tmp_path / "outbox")

    def called(*text):
        """(status, standard output, standard error)"""
        done = command(*text, "--config", tmp_path / "iris.toml")
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return called


def test_a_server_test_says_what_works_and_leaves_nothing(plant, verb, tmp_path):
    _, received = plant()
    (tmp_path / "outbox").mkdir()
    status, said, error = verb("server", "test", "plant")
    assert status == 0, error
    assert "Files are written under a hidden name and appear whole, by a rename." in said
    assert "OpenSSH_" in said
    assert "MB/s" in said
    assert list(received.iterdir()) == []


def test_a_fault_that_will_stop_deliveries_is_reported_and_is_the_exit_status(plant, verb, tmp_path):
    _, received = plant("rename,posix-rename")
    status, said, _ = verb("server", "test", "plant", "--json")
    result = json.loads(said)
    assert (status, result["works"]) == (1, False)
    assert "set in_place = true" in result["says"][0]["words"]
    assert list(received.iterdir()) == []


def test_a_server_that_is_not_reached_is_reported_with_what_to_do(plant, verb, tmp_path):
    server, _ = plant()
    server.stop()
    status, _, error = verb("server", "test", "plant")
    assert status == 2
    assert "refuses connections" in error
    assert "check host and port" in error


def test_an_unknown_name_is_reported_by_test(plant, verb, tmp_path):
    plant()
    status, _, error = verb("server", "test", "plnt")
    assert status == 2
    assert "plant" in error


def test_facts_that_a_delivery_learned_are_shown_without_asking_the_server(plant, verb, tmp_path):
    server, _ = plant()
    (tmp_path / "a.csv").write_text("a,b\n")
    status, _, error = verb("send", tmp_path / "a.csv")
    assert status == 0, error
    server.stop()
    key = key_of(server)
    status, shown, error = verb("server", "show", key)
    assert status == 0, error
    assert "OpenSSH_" in shown
    assert re.search(r"replaces in one step +yes", shown)
    _, listed, _ = verb("server", "list")
    assert listed.startswith(f"{key}  OpenSSH_")
    assert "not tried out" in listed


def test_a_server_without_a_delivery_has_no_facts(plant, verb, tmp_path):
    server, _ = plant()
    (tmp_path / "a.csv").write_text("a,b\n")
    verb("send", tmp_path / "a.csv", "--no-wait")
    status, said, _ = verb("server", "list")
    assert (status, said) == (0, "none yet: the first delivery, or `iris server test NAME`, learns of one\n")
    status, said, _ = verb("server", "show", "plant")
    assert (status, said) == (1, f"nothing is known of {key_of(server)} yet: iris server test plant\n")


def test_a_name_that_is_no_server_is_reported_by_show_as_well(plant, verb):
    plant()
    status, said, error = verb("server", "show", "plnt")
    assert (status, said) == (2, "")
    assert "there is no server 'plnt'" in error
    assert "plant" in error


def test_a_server_test_before_the_first_delivery_is_shown_by_the_same_name(plant, verb, tmp_path):
    server, _ = plant()
    assert verb("server", "test", "plant")[0] == 0
    server.stop()
    assert stat.S_IMODE((tmp_path / "outbox").stat().st_mode) == 0o700
    status, shown, error = verb("server", "show", "plant")
    assert status == 0, error
    assert shown.startswith(f"{key_of(server)}\n")
    assert "tried out" in shown
    assert "appear whole, by a rename" in shown
    _, listed, _ = verb("server", "list")
    assert re.fullmatch(rf"{re.escape(key_of(server))}  OpenSSH_.+  works, tried .+  \(plant\)\n", listed)


def test_a_server_is_meant_by_its_name_its_key_or_its_json_file_whatever_the_verb(plant, verb, tmp_path):
    server, received = plant()
    (tmp_path / "plant.json").write_text(json.dumps(server.info(received)))
    for name in ("plant", key_of(server), tmp_path / "plant.json"):
        status, tried, error = verb("server", "test", name, "--json")
        assert (status, error) == (0, "")
        assert json.loads(tried)["server"] == key_of(server)
        _, shown, _ = verb("server", "show", name, "--json")
        assert json.loads(shown)["trial"] == json.loads(tried)


def test_the_outbox_of_the_settings_is_the_one_that_every_verb_means(plant, tmp_path):
    server, received = plant()
    outbox = tmp_path / "elsewhere"
    write_settings(tmp_path, server.info(received), f"[outbox]\nfolder = {json.dumps(str(outbox))}\n")
    environment = {name: value for name, value in os.environ.items() if name != "IRIS_OUTBOX"}
    for text in (["test", "plant"], ["show", "plant"], ["list"]):
        done = subprocess.run(
            [*IRIS, "server", *text, "--config", tmp_path / "iris.toml"],
            env=environment | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            timeout=170,
            check=True,
        )
        assert key_of(server) in done.stdout.decode()
    assert (outbox / "known_servers.json").exists()


@contextmanager
def trying(folder):
    """`iris server test plant`, under way."""
    text = ("server", "test", "plant", "--config", folder / "iris.toml", "--outbox", folder / "outbox")
    with closing(IrisProcess(text, command=IRIS)) as process:
        yield process


def test_ctrl_c_ends_a_server_test_with_a_line_and_leaves_nothing(plant, tmp_path):
    server, received = plant()
    write_settings(tmp_path, server.info(received) | {"bandwidth_bytes_per_s": 20_000})
    with trying(tmp_path) as process:
        process.wait_until(lambda: list(received.glob(".iris-*-r")))
        status, seconds = process.end(signal.SIGINT)
    assert (status, list(received.iterdir())) == (130, [])
    assert seconds < 10
    assert process.text == f"iris server test: the trial of {key_of(server)} was stopped. Nothing of it is there.\n"


def test_ctrl_c_ends_a_test_of_a_silent_server_soon_and_names_what_may_be_left(plant, tmp_path):
    server, received = plant()
    with FaultyTcpLink(server.port, [SilentAfter(1_500_000, TO_SERVER)]) as link:
        write_settings(tmp_path, server.info(received) | {"port": link.port})
        with trying(tmp_path) as process:
            process.wait_until(lambda: link.met)
            status, seconds = process.end(signal.SIGINT)
    (left,) = received.iterdir()
    assert status == 130
    assert seconds < 10
    assert process.text == (
        f"iris server test: the trial of {server.username}@{server.host}:{link.port} was stopped. "
        f"The trial may have left there: {left}.\n"
    )
