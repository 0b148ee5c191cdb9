"""A process whose user has no entry in /etc/passwd, no name and no home, as in many containers."""

import json

import pytest

from iris_communication.transport.openssh.ssh_output import NO_ACCOUNT
from tests.integration.nobody import run_as_nobody, said_by_nobody
from tests.servers.asyncssh_server import AsyncSshServer

DELIVER = """
from pathlib import Path
from iris_communication.errors import LinkTimeout
from iris_communication.sftp_uploader_thread import SftpUploadRequest, SftpUploaderThread

folder, info = Path(arguments[0]), json.loads(arguments[1])
folder.mkdir()
(folder / "a.csv").write_text("1")
uploader = SftpUploaderThread(outbox_dir=folder / "outbox" if len(arguments) < 3 else None)
uploader.start()
receipt = uploader.submit(SftpUploadRequest(info, folder / "a.csv", {"project": "line"}, "model"))

def trouble():
    server = next(iter(uploader.get_details()["servers"].values()), {})
    return [server.get("reason") or "", server.get("hint") or ""]

for _ in range(200):
    try:
        receipt.wait_delivered(0.1)
    except LinkTimeout:
        if not trouble()[0]:
            continue
    break
report(delivered=receipt.outcome is not None, trouble=trouble())
uploader.close(1.0)
"""
WITHOUT_A_FOLDER = """
from iris_communication.errors import InvalidRequest
from iris_communication.sftp_uploader_thread import SftpUploaderThread, get_sftp_uploader

for make in (SftpUploaderThread, get_sftp_uploader):
    try:
        make()
    except InvalidRequest as error:
        report(**{make.__name__: f"{error}: {error.hint}"})
"""
COMMAND = """
from iris_camera.cli.main import main

sys.argv[1:] = arguments
main()
"""


@pytest.fixture
def server(tmp_path):
    with AsyncSshServer(tmp_path / "received") as listening:
        yield listening


@pytest.mark.parametrize("policy", ["pinned", "accept-new", "off"])
@pytest.mark.parametrize("by", ["password", "key"])
def test_a_user_without_an_account_delivers(server, tmp_path, policy, by):
    info = server.info("/in", by=by)
    if policy != "pinned":
        info = {key: value for key, value in info.items() if key != "host_key"} | {"host_key_policy": policy}
    facts = run_as_nobody(DELIVER, tmp_path / "mine", json.dumps(info))
    assert facts == {"delivered": True, "trouble": ["", ""]}
    assert (server.folder / "in" / "line" / "model" / "a.csv").read_text() == "1"


def test_a_user_without_an_account_has_an_outbox_where_the_environment_says(server, tmp_path):
    environment = {"XDG_STATE_HOME": str(tmp_path / "state")}
    info = json.dumps(server.info("/in"))
    facts = run_as_nobody(DELIVER, tmp_path / "mine", info, "default outbox", environment=environment)
    assert facts["delivered"]
    assert (tmp_path / "state" / "iris" / "outbox").is_dir()


def test_the_ssh_programs_refusal_of_such_a_user_is_reported_with_what_helps(server, tmp_path, need_program):
    need_program("ssh", hint="make system-packages")
    info = server.info("/in") | {"transport": "ssh"}
    facts = run_as_nobody(DELIVER, tmp_path / "mine", json.dumps(info), environment={"PATH": "/usr/bin:/bin"})
    reason, hint = facts["trouble"]
    assert "No user exists for uid 54321" in reason
    assert hint == NO_ACCOUNT.hint


@pytest.mark.parametrize(
    ("changed", "setting"),
    [
        ({"private_key": "~/.ssh/id"}, "'~/.ssh/id' cannot be used"),
        ({"host_key": None}, "no host_key is pinned"),
    ],
    ids=["a key below the home", "known_hosts below the home"],
)
def test_a_file_that_would_lie_in_a_home_is_reported_with_the_setting_it_belongs_to(server, tmp_path, changed, setting):
    facts = run_as_nobody(DELIVER, tmp_path / "mine", json.dumps(server.info("/in") | changed))
    assert setting in facts["trouble"][0]


def test_an_outbox_without_a_place_is_reported_with_what_to_give():
    facts = run_as_nobody(WITHOUT_A_FOLDER)
    for text in (facts["SftpUploaderThread"], facts["get_sftp_uploader"]):
        assert "no home directory" in text
        assert "give outbox_dir, or set IRIS_OUTBOX" in text


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["check"], "IRIS_OUTBOX"),
        (["queue", "list"], "IRIS_OUTBOX"),
        (["send", "--host", "h", "/etc/hostname", "--outbox", "/nowhere/outbox"], "username"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_command_of_a_user_without_an_account_says_what_to_give(command, text):
    said = said_by_nobody(COMMAND, *command)
    assert text in said
    assert "Traceback" not in said
