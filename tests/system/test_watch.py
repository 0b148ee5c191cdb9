"""`iris watch` as a user runs it: real programs write, copy and move files, a real OpenSSH server takes them, and the
watcher is killed in between."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from iris_communication.admin.audit import Audit
from tests.integration.uploading import running, wait_until
from tests.servers.openssh import OpenSshServer
from tests.system.iris_process import IRIS, IrisProcess
from tests.system.test_send import SendingLine


@pytest.fixture
def server(tmp_path, need_program):
    with OpenSshServer(tmp_path / "sshd", sshd=need_program("sshd", hint="make system-packages")) as started:
        yield started


@pytest.fixture
def line(tmp_path, server):
    made = WatchedFolder(tmp_path, server)
    made.watched.mkdir()
    return made


class WatchedFolder(SendingLine):
    @property
    def watched(self):
        return self.folder / "out"

    def watch(self, *arguments, quiet_s=0.5):
        environment = {"IRIS_CONFIG": str(self.settings)}
        command = (*IRIS, "watch", str(self.watched), "--quiet-s", str(quiet_s))
        process = IrisProcess(arguments, environment=environment, command=command)
        try:
            process.wait_until(lambda: process.logged(r"(watching)"))
        except BaseException:
            process.close()
            raise
        return process

    @property
    def names(self):
        return {path.rpartition("/")[2] for path in self.arrived}

    def shell(self, script):
        subprocess.run(["/bin/sh", "-ec", script], cwd=self.watched, check=True, timeout=170)

    def wait_for(self, *names):
        wait_until(lambda: set(names) <= self.names)


def test_files_that_cp_mv_ln_tar_and_a_shell_make_arrive_and_temporary_names_do_not(line):
    line.write("source.csv", b"frame;part\n" * 1000)
    line.write("moved.csv", b"moved")
    line.write("tree/tarred.csv", b"tarred")
    with line.watch() as watching:
        line.shell(
            """
            cp ../source.csv cp.csv
            mv ../moved.csv mv.csv
            ln ../source.csv ln.csv
            echo 1 > echo.csv
            tar -C ../tree -c tarred.csv | tar -x
            touch touch.csv
            echo 1 > .hidden; echo 1 > a.tmp; echo 1 > b.part; echo 1 > c~
            echo 1 > d.tmp; mv d.tmp d.csv
            """
        )
        line.wait_for("cp.csv", "mv.csv", "ln.csv", "echo.csv", "tarred.csv", "touch.csv", "d.csv")
        assert watching.end()[0] == 0
    assert line.names == {"cp.csv", "mv.csv", "ln.csv", "echo.csv", "tarred.csv", "touch.csv", "d.csv"}
    assert line.arrived["out/files/cp.csv"] == b"frame;part\n" * 1000


SLOW_WRITER = """
import sys, time
with open(sys.argv[1], "wb", buffering=0) as file:
    for number in range(6):
        file.write(b"%d\\n" % number)
        time.sleep(0.3)
"""


def test_a_slow_writers_file_arrives_once_and_whole_though_it_pauses_longer_than_the_quiet_time(line):
    with (
        line.watch(quiet_s=0.1) as watching,
        subprocess.Popen([sys.executable, "-c", SLOW_WRITER, line.watched / "slow.csv"]) as slow,
    ):
        line.wait_for("slow.csv")
        assert slow.wait(10) == 0
        watching.end()
    assert line.arrived == {"out/files/slow.csv": b"0\n1\n2\n3\n4\n5\n"}
    assert len(list(Audit(line.outbox).ledger())) == 1


def test_patterns_and_folders_below_and_what_becomes_of_the_source(line):
    (line.watched / "inner").mkdir()
    with line.watch("--pattern", "*.csv", "--pattern", "*.jpg", "--recursive", "--after", "delete"):
        line.shell("echo 1 > inner/a.csv; echo 1 > b.jpg; echo 1 > c.txt; mkdir -p x/y; echo 1 > x/y/d.csv")
        line.wait_for("a.csv", "b.jpg", "d.csv")
        wait_until(lambda: not (line.watched / "x" / "y" / "d.csv").exists())
        wait_until(lambda: not (line.watched / "b.jpg").exists())
    assert set(line.arrived) == {"out/files/inner/a.csv", "out/files/b.jpg", "out/files/x/y/d.csv"}
    assert (line.watched / "c.txt").exists()


def test_files_that_lie_there_are_left_or_delivered_as_is_set_and_that_is_reported(line):
    (line.watched / "old.csv").write_text("1")
    with line.watch() as watching:
        assert watching.wait_until(lambda: watching.logged(r"(1) file already in .* --existing delivers"))
        (line.watched / "new.csv").write_text("1")
        line.wait_for("new.csv")
        watching.end()
    assert line.names == {"new.csv"}
    shutil.rmtree(line.outbox)
    with line.watch("--existing", "--project", "second"):
        line.wait_for("old.csv")


def test_files_wait_out_an_outage_and_a_full_outbox(line, server):
    line.settings.write_text(line.settings.read_text().replace("[delivery]", "max_queue_size = 5\n[delivery]"))
    server.stop()
    with line.watch() as watching:
        names = [f"{number:02}.csv" for number in range(30)]
        for name in names:
            (line.watched / name).write_text(name)
        watching.wait_until(lambda: watching.logged(r"(files wait in .* until the outbox takes them)"))
        server.start()
        line.wait_for(*names)
    assert sorted(line.arrived.values()) == [name.encode() for name in names]


@pytest.mark.long
def test_a_watch_killed_again_and_again_delivers_each_completed_file_and_none_under_two_names(line):
    generator = random.Random(5)
    expected = {}
    for round_number in range(6):
        with line.watch() as watching:
            for number in range(20):
                name = f"{round_number}-{number:02}.csv"
                expected[name] = os.urandom(generator.randrange(1, 50_000))
                (line.watched / f".{name}").write_bytes(expected[name])
                (line.watched / f".{name}").rename(line.watched / name)
            arrived_before = len(line.names)
            wait_until(lambda before=arrived_before: len(line.names) > before)
            watching.process.send_signal(signal.SIGKILL)
            watching.wait()
        name = f"{round_number}-down.csv"
        expected[name] = os.urandom(1000)
        (line.watched / name).write_bytes(expected[name])
    with line.watch():
        line.wait_for(*expected)
    assert hashes({name.rpartition("/")[2]: content for name, content in line.arrived.items()}) == hashes(expected)
    assert Audit(line.outbox).balance().problems == ()


def hashes(contents):
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def test_no_file_is_handed_in_again_after_an_orderly_end(line):
    with line.watch() as watching:
        for number in range(20):
            (line.watched / f"{number}.csv").write_text("1")
        line.wait_for(*(f"{number}.csv" for number in range(20)))
        status, seconds = watching.end()
    assert (status, seconds < 15) == (0, True)
    with line.watch():
        (line.watched / "last.csv").write_text("1")
        line.wait_for("last.csv")
    assert Audit(line.outbox).balance().accepted == 21


def test_a_folder_that_is_removed_and_made_again_is_watched_again(line):
    with line.watch() as watching:
        (line.watched / "a.csv").write_text("1")
        line.wait_for("a.csv")
        shutil.rmtree(line.watched)
        watching.wait_until(lambda: watching.logged(r"(waiting for it)"))
        line.watched.mkdir()
        (line.watched / "b.csv").write_text("1")
        line.wait_for("b.csv")


def test_a_second_watcher_of_the_folder_and_a_folder_that_is_none_are_status_2(line):
    with (
        line.watch(),
        IrisProcess(
            [str(line.watched)], environment={"IRIS_CONFIG": str(line.settings)}, command=(*IRIS, "watch")
        ) as second,
    ):
        assert second.wait() == 2
        assert "in use by" in second.text or "watched by another" in second.text
    circle = [str(line.watched), "--move-to", str(line.watched / "sent"), "--after", "move", "--recursive"]
    with IrisProcess(circle, environment={"IRIS_CONFIG": str(line.settings)}, command=(*IRIS, "watch")) as wrong:
        assert wrong.wait() == 2
        assert "delivered again" in wrong.text
    with IrisProcess(["/none"], environment={"IRIS_CONFIG": str(line.settings)}, command=(*IRIS, "watch")) as wrong:
        assert wrong.wait() == 2
        assert "/none is no folder" in wrong.text


def test_the_command_hands_the_files_over_to_another_process_that_owns_the_outbox(line, server):
    names = [f"{number:02}.csv" for number in range(40)]
    with running(line.outbox) as owner, line.watch() as watching:
        for name in names:
            (line.watched / name).write_text(name)
        line.wait_for(*names)
        wait_until(lambda: owner.get_stats()["total_uploaded"] == len(names))
        owner.close(5.0)
        (line.watched / "later.csv").write_text("1")
        watching.wait_until(lambda: watching.logged(r"(no process is delivering from)"))
        watching.wait_until(lambda: watching.logged(r"(queued later.csv)"))
        assert watching.end()[0] == 0
    with running(line.outbox):
        line.wait_for("later.csv")


def test_a_program_in_another_language_needs_only_a_rename(line, need_program):
    """A shell stands for it: what is delivered is decided by the file system alone."""
    need_program("sh", hint="a POSIX shell")
    with line.watch("--folder-type", "model", quiet_s=60.0):
        line.shell(textwrap.dedent("printf 'frame;part\\n1;1\\n' > .rows; mv .rows rows.csv"))
        line.wait_for("rows.csv")
    assert line.arrived == {"out/model/rows.csv": b"frame;part\n1;1\n"}
