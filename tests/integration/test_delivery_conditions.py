"""Faults of outbox, uploader and servers, made for real, and the sentence for each. "Every file is delivered" is
stated only when it is true."""

import contextlib
import logging
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from subprocess import PIPE

import asyncssh
import pytest

from iris_camera.health.facts import HealthLimits
from iris_camera.records.csv_file import HeartbeatRow
from iris_camera.records.recorder import Recorder
from iris_camera.records.rotation import RotationLimits
from iris_communication.outbox.orders import DropItems, PauseServer, ResumeServer
from iris_communication.settings import Rule
from iris_communication.sftp_uploader_thread import SftpUploadRequest
from tests.integration.health_site import FAST, LONG_S, OFF, SLOW_LINE, NeverOpens, RefusesEveryWrite, Site, refuses_one
from tests.integration.namespace import run_with_disks_of_its_own
from tests.servers.asyncssh_server import AsyncSshServer

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with AsyncSshServer(tmp_path_factory.mktemp("server")) as opened:
        yield opened


def made(server, tmp_path, **facts):
    return Site(tmp_path, server=server, host_key=server.host_key, **facts)


def queued(site, tmp_path, name="a.csv"):
    (tmp_path / name).write_text("a,b\n")
    assert site.uploader.queue_upload("plant", tmp_path / name, "line", "model")


def test_an_outbox_that_cannot_be_opened_is_reported_with_what_waits_beside_it(server, tmp_path):
    (tmp_path / "outbox").write_text("a file where a folder has to be")
    with made(server, tmp_path) as site:
        site.is_in("outbox not open", "the outbox cannot be opened", f"in {tmp_path / 'records'}")


def test_an_uploader_drains_while_it_is_stopped_and_does_not_run_after_that(tmp_path):
    opened = AsyncSshServer(tmp_path / "server", sftp_server=NeverOpens)
    with opened as server, made(server, tmp_path, camera=OFF) as site:
        queued(site, tmp_path)
        stopping = threading.Thread(target=site.uploader.stop, args=(3.0,))
        stopping.start()
        site.is_in("uploader draining", "the uploader is finishing what waits and will stop")
        stopping.join(LONG_S)
        site.is_in("uploader not running", "the uploader is not running (stopped)")


def test_an_outbox_without_the_reserve_of_its_disk_is_full_and_files_wait_beside_it(server, tmp_path):
    with made(server, tmp_path, outbox_reserve_bytes=1 << 60) as site:
        site.is_in("outbox full", "the outbox accepts no file", "lower disk_reserve_bytes")


def test_one_file_that_a_server_refuses_is_reported_while_the_others_are_taken(tmp_path):
    patient = replace(FAST, attempts_max=1000)
    opened = AsyncSshServer(tmp_path / "server", sftp_server=refuses_one())
    with opened as server, made(server, tmp_path, delivery=patient) as site:
        site.is_in("server refuses files", f"{site.key} refuses 1 file so far", "not this one")


def test_a_server_outside_its_window_is_a_remark_with_what_waits(server, tmp_path):
    some_other_day = DAYS[(time.localtime().tm_wday + 3) % 7]
    with made(server, tmp_path, camera=OFF, windows=(f"{some_other_day} 10:00-10:01",)) as site:
        queued(site, tmp_path)
        _, answer = site.until_said("1 file waits")
    assert answer["severity"] == "degraded", "for the cameras"
    (remark,) = [text for text in answer["reasons"] if site.key in text]
    assert "10:00" in remark


def test_the_finding_of_a_servers_check_is_reported_before_any_file_is_refused(tmp_path):
    often = {"health_interval_s": 0.2, "health_round_trip": True}
    opened = AsyncSshServer(tmp_path / "server", sftp_server=RefusesEveryWrite)
    with opened as server, made(server, tmp_path, camera=OFF, **often) as site:
        site.is_in("server fails a check", f"{site.key}: ", "Permission denied")


def test_a_file_that_waits_long_though_no_link_is_down_is_reported(server, tmp_path):
    patient = replace(FAST, rules={"all": Rule(batch="zip", batch_wait_s=600.0)})
    with made(server, tmp_path, camera=OFF, delivery=patient, limits=HealthLimits(waiting_long_s=0.5)) as site:
        queued(site, tmp_path)
        site.is_in("backlog old", "the oldest of 1 file has waited", "although no link is down")


def test_a_program_that_keeps_a_snapshot_of_the_outbox_is_named_when_its_log_got_long(server, tmp_path):
    (tmp_path / "a.csv").write_bytes(bytes(100_000))
    request = SftpUploadRequest("plant", tmp_path / "a.csv", "line", "model")
    with made(server, tmp_path, camera=OFF) as site:
        site.uploader.execute(PauseServer("plant"))
        with reading_program(tmp_path / "outbox" / "outbox.db") as reader:
            for _ in range(8):
                site.uploader.submit_requests([request] * 100)
            site.is_in("outbox log long", "has grown to", f"(process {reader}) reads the database; end that")
        site.until_said("nothing is seen that reads the database just now")
        for _ in range(2):  # after the first the log is moved, with the second it begins anew
            site.uploader.submit_requests([request] * 100)
        _, answer = site.asked()
        assert "the log" not in answer["sentence"]


@contextlib.contextmanager
def reading_program(database):
    """A backup, a shell, a list in a pager: it keeps the state of the database that it has seen first."""
    code = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN'); "
        "db.execute('SELECT count(*) FROM items').fetchone(); print('reads', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code, database], stdin=PIPE, stdout=PIPE, text=True) as program:
        assert program.stdout.readline() == "reads\n"
        yield program.pid
        program.communicate("end\n")


def test_a_file_that_somebody_dropped_is_counted_and_no_longer_called_delivered(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with made(server, tmp_path, camera=OFF) as site:
        site.uploader.execute(PauseServer("plant"))
        (tmp_path / "a.csv").write_text("a,b\n")
        receipt = site.uploader.submit(SftpUploadRequest("plant", tmp_path / "a.csv", "line", "model"))
        assert not any(site.uploader.execute(DropItems([receipt.id])).values())
        site.uploader.execute(ResumeServer("plant"))
        _, answer = site.until_said("1 file was dropped, cancelled or too late")
    assert "every" not in answer["sentence"]
    assert caplog.messages[-1].endswith(": 1 file was dropped, cancelled or too late, as it was asked for")


def remove(folder):
    """Though files are put into it meanwhile."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
            return
    raise AssertionError(f"{folder} could not be removed")


def test_an_outbox_whose_folder_is_removed_while_it_is_open_is_a_failure_though_no_file_comes(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with made(server, tmp_path, camera=OFF) as site:
        site.uploader.execute(PauseServer("plant"))
        queued(site, tmp_path)
        remove(tmp_path / "outbox")
        site.is_in("folder not writable", "the folder of the outbox was removed or is not mounted any more")
    assert f"1 file waited in {tmp_path / 'outbox'}, which was removed: put it back, or they are lost" in caplog.text
    assert "for the next start" not in caplog.text


def test_an_outbox_whose_folder_is_removed_takes_nothing_and_says_what_to_do(server, tmp_path):
    with made(server, tmp_path) as site:
        site.until_writing()
        remove(tmp_path / "outbox")
        site.is_in(
            "outbox refuses", "the outbox accepts no file", "put it back as it was", f"in {tmp_path / 'records'}"
        )


class QuotaIsReached(asyncssh.SFTPServer):
    """Has no room for any file, and answers with the text of a quota."""

    def open(self, path, pflags, attrs):
        if pflags & asyncssh.FXF_WRITE:
            raise asyncssh.SFTPFailure("quota exceeded")
        return super().open(path, pflags, attrs)


def no_kex_in_common(server):
    server.offer(kex_algs=["diffie-hellman-group1-sha1"])


@pytest.mark.parametrize(
    ("kind", "spoil", "text"),
    [
        (QuotaIsReached, lambda server: None, ("quota exceeded", "free space or raise the quota on the server")),
        (asyncssh.SFTPServer, no_kex_in_common, ("no key exchange in common", "legacy_algorithms = true")),
    ],
    ids=["quota", "key exchange"],
)
def test_a_server_that_answers_and_takes_nothing_needs_somebody_and_its_link_is_not_called_down(
    tmp_path, kind, spoil, text
):
    with AsyncSshServer(tmp_path / "server", sftp_server=kind) as server:
        spoil(server)
        with made(server, tmp_path) as site:
            answer = site.is_in("server takes nothing", f"needs you: {site.key} has taken nothing for", *text)
    assert "link" not in answer["sentence"]


def test_a_finished_file_that_somebody_removes_is_never_called_delivered(server, tmp_path):
    with made(server, tmp_path, queue_size=1) as site:
        site.uploader.execute(PauseServer("plant"))
        site.until_said("the outbox accepts no file", f"in {tmp_path / 'records'}")
        next((site.records / "ready").iterdir()).unlink()
        site.uploader.execute(ResumeServer("plant"))
        answer = site.is_in("files removed", "1 finished file was removed from")
    assert "every" not in answer["sentence"]


def left_by_an_earlier_run(tmp_path):
    recorder = Recorder(tmp_path / "records" / "line", "line", "model", "00000001", RotationLimits())
    recorder.append([HeartbeatRow(1)], 0.0, 0.0, now_s=0.0)
    return recorder.close().path


def replaced_by_a_link(path):
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def spoiled(path):
    path.write_bytes(b"dear diary\n")


def without_its_folder(path):
    shutil.rmtree(path.parent)
    path.parent.symlink_to(path.parent)  # it leads nowhere, for root, too


@pytest.mark.parametrize("spoil", [replaced_by_a_link, spoiled, without_its_folder])
@pytest.mark.parametrize("camera", [OFF, SLOW_LINE], ids=["camera off", "camera on"])
def test_a_file_of_an_earlier_run_that_cannot_be_read_is_never_called_delivered(
    server, tmp_path, caplog, spoil, camera
):
    caplog.set_level(logging.INFO)
    spoil(left_by_an_earlier_run(tmp_path))
    with made(server, tmp_path, camera=camera) as site:
        answer = site.is_in("files left behind", "camera line: what earlier runs left is not delivered: ", "start Iris")
        assert "every" not in answer["sentence"]
        site.app.request_stop()
    assert "every" not in caplog.messages[-1]
    assert "what earlier runs left is not delivered" in caplog.messages[-1]
    assert "Traceback" not in caplog.text


def test_foreign_files_beside_the_records_do_no_harm(server, tmp_path):
    path = left_by_an_earlier_run(tmp_path)
    path.with_name("notes.txt").write_text("mine")
    with made(server, tmp_path) as site:
        site.until_said("Iris works: every finished file is delivered")
    assert not path.exists()


def test_files_that_cannot_be_kept_are_reported_and_keep_no_earlier_ones_from_delivery(server, tmp_path):
    path = left_by_an_earlier_run(tmp_path)
    (tmp_path / "records" / "line" / "kept").write_text("in the way")
    with made(server, tmp_path, keep_bytes_max=10**6) as site:
        site.is_in("records not kept", "camera line: files are not kept in ", "kept: File exists")
    assert not path.exists()


FULL = """
import os
from tests.integration.health_site import Site
from tests.servers.asyncssh_server import AsyncSshServer

def disk(name, options):
    (folder / name).mkdir(parents=True)
    mount(folder / name, "-t", "tmpfs", "-o", options, "tmpfs")
    return folder / name

def fill(place):
    with open(place / "fills", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass

def made(kind, name, *parts):
    found = site.is_in(kind, *parts)
    report(**{name: found["sentence"]})

with AsyncSshServer(folder / "server") as server:
    roomy = "size=300m,nr_inodes=4000,mode=700"
    records, outbox = disk("site/records", roomy), disk("site/outbox", roomy)
    with Site(folder / "site", server=server, host_key=server.host_key) as site:
        site.until_said("Iris works")
        mount(records, "-o", "remount,size=150m")
        made("disk low", "low", "the disk of the records has only")
        mount(records, "-o", "remount,size=18m")
        made("disk nearly full", "nearly", "the disk of the records is nearly full")
        fill(records)
        made("disk full", "full", "the disk of the records is full")
        (records / "fills").unlink()
        mount(records, "-o", "remount,size=300m,nr_inodes=1000")
        made("inodes low", "few", "the disk of the records has room for only")
        spare = [records / f"spare{number}" for number in range(os.statvfs(records).f_favail)]
        for number, each in enumerate(spare):
            try:
                each.touch()
            except OSError:
                break
        made("no inodes", "none", "the disk of the records has room for")
        for each in spare:
            each.unlink(missing_ok=True)
        mount(records, "-o", "remount,size=300m,nr_inodes=4000")
        fill(outbox)
        made("outbox refuses", "refuses", "the outbox accepts no file")
        (outbox / "fills").unlink()
        site.until_said("Iris works")
"""


def test_disks_that_fill_up_are_reported_by_the_page_the_api_and_the_log_of_a_running_line(tmp_path):
    said, log = run_with_disks_of_its_own(FULL, tmp_path)
    assert list(said) == ["low", "nearly", "full", "few", "none", "refuses"]
    assert not any("delivered" in sentence for sentence in said.values()), said
    for text in ("is nearly full", "is full", "more files (inodes)", "the outbox accepts no file"):
        assert text in log


READ_ONLY = """
from tests.integration.health_site import OFF, Site

(folder / "records").mkdir()
mount(folder / "records", "-t", "tmpfs", "tmpfs")
with Site(folder, camera=OFF) as site:
    mount(folder / "records", "-o", "remount,ro")
    found = site.is_in("folder not writable", "nothing can be written into the folder of the records")
    report(sentence=found["sentence"])
"""


def test_a_folder_on_a_disk_that_is_read_only_is_a_failure(tmp_path):
    said, log = run_with_disks_of_its_own(READ_ONLY, tmp_path)
    assert "it is on a disk that is mounted read-only" in said["sentence"]
    assert "mounted read-only" in log


CHECK = """
import os
from iris_camera.cli.main import main

os.chdir(folder)

def said_of(name, options, fills=False):
    (folder / name).mkdir()
    mount(folder / name, "-t", "tmpfs", "-o", "mode=700," + options, "tmpfs")
    if fills:
        with open(folder / name / "fills", "wb") as file:
            file.write(bytes(4_900_000))
    if name == "read_only":
        mount(folder / name, "-o", "remount,ro")
    sys.argv = ["iris", "check", "--records", str(folder / name), "--outbox", str(folder / "outbox")]
    status, own = 0, os.dup(2)
    with open(folder / "errors", "w+") as errors:
        os.dup2(errors.fileno(), 2)
        try:
            main()
        except SystemExit as ended:
            status = ended.code
        finally:
            os.dup2(own, 2)
        errors.seek(0)
        report(**{name: [status, errors.read()]})

said_of("full", "size=5m", fills=True)
said_of("inodes", "size=300m,nr_inodes=20")
said_of("read_only", "size=300m")
"""


def test_iris_check_calls_a_disk_that_takes_nothing_a_mistake_and_says_what_is_wrong_with_it(tmp_path):
    said, _ = run_with_disks_of_its_own(CHECK, tmp_path)
    for name, text in (("full", "is full"), ("inodes", "more files"), ("read_only", "mounted read-only")):
        status, errors = said[name]
        assert (status, text in errors) == (2, True), errors
