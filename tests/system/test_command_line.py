"""Every verb as a shell runs it: interrupted while it is loaded, and with a standard output that takes nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERBS = [
    ("demo", "--seconds", "3", "--port", "0"),
    ("run",),
    ("check",),
    ("send", "file.txt", "--host", "h"),
    ("watch", "."),
    ("unpack", "x.zip"),
    ("queue", "list"),
    ("queue", "drop", "--all"),
    ("ledger", "verify"),
    ("outbox", "check"),
    ("server", "list"),
    ("model", "check", "hog"),
    ("--help",),
]
TELLING_VERBS = [("example",), ("queue", "list"), ("queue", "--help")]


@pytest.fixture
def environment(tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("IRIS_")}
    return clean | {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(ROOT / "src")}


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("loaded", ["typer", "iris_camera.cli."])
def test_ctrl_c_while_a_verb_is_loaded_ends_it_quietly(tmp_path, environment, verb, loaded):
    """Python prints on standard error which module it has just loaded: the signal is sent then."""
    command = [sys.executable, "-X", "importtime", "-m", "iris_camera.cli.main", *verb]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        said = []
        for line in running.stderr:
            said.append(line)
            if loaded in line.rpartition("|")[2]:
                running.send_signal(signal.SIGINT)
                break
        said += running.communicate()[1].splitlines(keepends=True)
    lines = [line for line in said if not line.startswith("import time:")]
    assert running.returncode == 130, "".join(lines)
    assert "Traceback" not in "".join(lines)
    assert "Aborted" not in "".join(lines)


AT_ITS_FIRST_IMPORT = """
import os, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if not "iris_camera.cli.main".startswith(name):
            os.kill(os.getpid(), 2)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["iris", "queue", "list"]
import iris_camera.cli.main
"""


def test_ctrl_c_before_the_command_has_imported_anything_ends_it_quietly(tmp_path, environment):
    command = [sys.executable, "-c", AT_ITS_FIRST_IMPORT]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "")


@pytest.fixture
def queued(environment):
    """An outbox with content."""
    script = (
        "from iris_communication.sftp_uploader_thread import SftpUploaderThread\n"
        "up = SftpUploaderThread(); up.open()\n"
        "server = {'host': 'h', 'username': 'u', 'password': 'p'}\n"
        f"up.queue_upload(sftp_server_info=server, file_path={__file__!r}, "
        "project_settings={'project': 'p'}, folder_type='model')\n"
        "up.close(0.0)\n"
    )
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=170)


def iris(verb, environment, cwd, **streams):
    command = [sys.executable, "-m", "iris_camera.cli.main", *verb]
    ended = subprocess.run(
        command, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True, timeout=170, check=False, **streams
    )
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    return ended


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        (("check",), 0),
        (("send", "missing.txt", "--host", "h"), 2),
        (("queue", "pause", "nobody"), 2),
        (("run", "x"), 2),
    ],
)
def test_a_standard_error_that_takes_nothing_changes_no_exit_status(tmp_path, environment, verb, status):
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "iris_camera.cli.main", *verb]
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=full, timeout=170, check=False
        )
    assert ended.returncode == status
    assert (b"can be used" in ended.stdout) == (status == 0)


@pytest.mark.parametrize("name", ["n" * 300, "circle"])
def test_a_folder_that_cannot_be_read_is_reported_in_a_line(tmp_path, environment, name):
    (tmp_path / "circle").symlink_to("circle")
    for verb in (("watch", name, "--host", "h"), ("run", "--source", f"dir:{name}")):
        assert iris(verb, environment, tmp_path, stdout=subprocess.DEVNULL).returncode == 2


@pytest.mark.usefixtures("queued")
@pytest.mark.parametrize("verb", TELLING_VERBS, ids=" ".join)
def test_a_standard_output_that_takes_nothing_is_reported_in_a_line(tmp_path, environment, verb):
    with Path("/dev/full").open("wb") as full:
        ended = iris(verb, environment, tmp_path, stdout=full)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "iris: standard output cannot be written: No space left on device"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = iris(verb, environment, tmp_path, stdout=writing)
    finally:
        os.close(writing)
    assert ended.returncode == 1
    assert "standard output" not in ended.stderr


@pytest.mark.usefixtures("queued")
def test_a_standard_output_that_is_closed_is_reported_and_its_number_goes_to_no_other_file(tmp_path, environment):
    ended = iris(("queue", "list"), environment, tmp_path, preexec_fn=lambda: os.close(1))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "iris: standard output cannot be written: Bad file descriptor"
    script = (
        "import os; [os.close(each) for each in (0, 1, 2)]\n"
        "from iris_camera.cli.standard_streams import open_closed_streams\n"
        "open_closed_streams()\n"
        f"file = open({str(tmp_path / 'opened')!r}, 'w'); file.write(str(file.fileno())); file.close()\n"
    )
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=170)
    assert int((tmp_path / "opened").read_text()) > 2
