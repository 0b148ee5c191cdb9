"""`iris run` as a user runs it beside a line: films and folders, a real OpenSSH server, settings in a file."""

import csv
import hashlib
import json
import shutil
import signal
from collections import Counter
from itertools import product

import cv2
import pytest

from iris_communication.admin.audit import Audit
from iris_communication.archive.unpack import verify
from tests.footage import footage
from tests.servers.openssh import OpenSshServer
from tests.system.iris_process import IrisProcess


@pytest.fixture
def server(tmp_path, need_program):
    sshd = need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd", sshd=sshd) as server:
        yield server


def server_table(name, server, received):
    """Of one server, with its key beside the settings."""
    key = received.parent / f"key-of-{name}"
    key.write_bytes(server.private_key.read_bytes())
    key.chmod(0o600)
    received.mkdir()
    return f"""
[servers.{name}]
host = "{server.host}"
port = {server.port}
username = "{server.username}"
private_key = "{key.name}"
host_key = "{server.host_key}"
remote_directory = "{received}"
"""


@pytest.fixture
def settings(tmp_path, server):
    """Writes iris.toml with the server and where things lie; the rest is the test's."""
    plant = server_table("plant", server, tmp_path / "received")

    def write(text):
        path = tmp_path / "iris.toml"
        path.write_text(f'{text}\n[outbox]\nfolder = "outbox"\n{plant}')
        return path

    return write


def rows(received, kind):
    found = []
    for path in sorted(received.rglob(f"*_{kind}_*.csv")):
        found += list(csv.DictReader(path.read_text().splitlines()))
    return found


def test_a_film_is_inspected_to_its_end_and_records_and_evidence_arrive(settings, tmp_path):
    config = settings(f"""
[cameras.door]
source = "file:{footage("carphone_pristine.mp4")}"
pace = "fast"
project = "hall"

[inspection]
defect_labels = ["face"]

[inspection.detector]
kind = "haar"
label = "face"

[inspection.classifier]
kind = "none"
""")
    with IrisProcess(["--config", config]) as running:
        assert running.wait(60) == 0, running.text
        assert "every accepted file is delivered" in running.text
    received = tmp_path / "received" / "hall"
    seen = {int(row["frame"]) for row in rows(received / "model", "model")}
    assert 40 <= len(seen) <= 100
    assert {row["label"] for row in rows(received / "model", "model")} == {"face"}
    judged = rows(received / "classifier", "classifier")
    pictures = sorted((received / "evidence").iterdir())
    assert len(pictures) == 2 * len(judged) > 0
    for row in judged:
        named = [path for path in pictures if f"_f{row['frame']}_p{row['part_id']}." in path.name]
        assert len(named) == 2
    assert {cv2.imread(str(path)).shape for path in pictures if "_frame_" in path.name} == {(144, 176, 3)}
    assert list((tmp_path / "records").rglob("ready/*")) == []


def test_a_film_is_inspected_without_a_server_and_its_records_wait(tmp_path):
    film = f"file:{footage('carphone_pristine.mp4')}"
    folders = ["--records", tmp_path / "records", "--outbox", tmp_path / "outbox"]
    with IrisProcess(["--config", "/dev/null", "--source", film, "--detector", "haar", *folders]) as running:
        assert running.wait(60) == 0, running.text
        assert "no server is configured: records wait in" in running.text
        assert 'every verdict is "frontalface", so there is none' in running.text, "what runs is said at the start"
        assert "2 files wait in" in running.text
        assert "ERROR" not in running.text
    assert len(list((tmp_path / "records").glob("*/ready/*.csv"))) == 2


def test_two_cameras_run_side_by_side_and_the_loss_of_one_touches_no_other(settings, tmp_path, free_port):
    (tmp_path / "pictures").mkdir()
    config = settings(f"""
[cameras.line]
source = "synthetic"

[cameras.yard]
source = "rtsp://127.0.0.1:{free_port}/yard"
username = "viewer"
password = "yard-password"
offline_after_s = 0.1

[cameras.shelf]
source = "dir:{tmp_path / "pictures"}"

[cameras.spare]
source = "usb:0"
enabled = false

[records]
age_s_max = 1.0
""")
    with IrisProcess(["--config", config]) as running:
        running.wait_until(lambda: running.cameras()["line"]["frames"] > 50)
        running.wait_until(lambda: "refuses" in running.cameras()["yard"]["reason"])
        assert running.cameras()["yard"]["state"] == "offline"
        assert running.cameras()["spare"]["state"] == "disabled"
        assert running.cameras()["line"]["state"] == "online"
        assert "yard-password" not in json.dumps(running.get("api/state"))
        status, _ = running.end()
        assert status == 0
        assert "yard-password" not in running.text
    assert rows(tmp_path / "received" / "line", "model")
    assert not (tmp_path / "received" / "yard").exists()


@pytest.fixture
def free_port():
    """A port of this machine that refuses connections as long as the test runs."""
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_sighup_takes_over_what_it_can_says_what_it_cannot_and_leaves_the_rest_running(settings, tmp_path):
    config = settings('[cameras.line]\nsource = "synthetic"\n')
    with IrisProcess(["--config", config]) as running:
        running.wait_until(lambda: running.cameras()["line"]["frames"] > 10)
        before = running.cameras()["line"]

        settings(
            '[cameras.line]\nsource = "synthetic"\n[cameras.second]\nsource = "synthetic"\nseed = 2\n'
            "[delivery]\nattempts_max = 3\n"
        )
        running.process.send_signal(signal.SIGHUP)
        running.wait_until(lambda: running.cameras().get("second", {}).get("frames", 0) > 10)
        assert running.cameras()["line"]["frames"] > before["frames"], "the first camera was left alone"
        assert running.logged("(delivery.attempts_max was 8, is 3; that takes effect at the next start)")

        settings('[cameras.line]\nsource = "synthetic"\nframe_rat = 20\n[log]\nlevel = "LOUD"\n')
        running.process.send_signal(signal.SIGHUP)
        running.wait_until(lambda: running.logged("(everything keeps running with the old ones)"))
        assert running.logged('(did you mean "frame_rate")')
        assert running.logged("(log.level)")

        settings('[cameras.second]\nsource = "synthetic"\nseed = 2\n')
        running.process.send_signal(signal.SIGHUP)
        running.wait_until(lambda: set(running.cameras()) == {"second"})
        status, _ = running.end()
        assert status == 0, running.text
    assert rows(tmp_path / "received" / "line", "model"), "what the removed camera saw is delivered"


def test_pictures_are_taken_from_a_folder_as_they_appear(settings, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    config = settings(f"""
[cameras.shelf]
source = "dir:{pictures}"

[inspection.detector]
kind = "haar"

[inspection.classifier]
kind = "none"

[records]
age_s_max = 0.5
""")
    film = cv2.VideoCapture(str(footage("carphone_pristine.mp4")))
    with IrisProcess(["--config", config]) as running:
        running.wait_until(lambda: running.cameras()["shelf"]["state"] == "online")
        for number in range(10):
            assert film.grab()
            _, image = film.retrieve()
            cv2.imwrite(str(tmp_path / "next.png"), image)
            shutil.move(tmp_path / "next.png", pictures / f"{number:03d}.png")
        running.wait_until(lambda: running.cameras()["shelf"]["frames"] == 10)
        status, _ = running.end()
        assert status == 0, running.text
    film.release()
    assert rows(tmp_path / "received" / "shelf", "model")


def test_a_missing_film_beside_one_that_is_there_is_reported_and_awaited(settings, tmp_path):
    config = settings(
        f'[cameras.door]\nsource = "file:{tmp_path / "late.mp4"}"\noffline_after_s = 0.1\n'
        f'[cameras.road]\nsource = "file:{footage("carphone_pristine.mp4")}"\npace = "fast"\n'
    )
    with IrisProcess(["--config", config]) as running:
        running.wait_until(lambda: "late.mp4" in running.cameras()["door"]["reason"])
        assert running.cameras()["door"]["state"] == "offline"
        shutil.copy(footage("carphone_pristine.mp4"), tmp_path / "moving.mp4")
        (tmp_path / "moving.mp4").rename(tmp_path / "late.mp4")
        assert running.wait(60) == 0, running.text
        assert "Traceback" not in running.text


def test_a_file_that_is_no_film_beside_a_film_is_reported_and_the_run_ends_without_success(tmp_path):
    (tmp_path / "empty.mp4").touch()
    config = tmp_path / "iris.toml"
    config.write_text(
        '[cameras.door]\nsource = "file:empty.mp4"\n'
        f'[cameras.road]\nsource = "file:{footage("carphone_pristine.mp4")}"\npace = "fast"\n'
        '[outbox]\nfolder = "outbox"\n[records]\nfolder = "records"\n'
    )
    with IrisProcess(["--config", config]) as running:
        assert running.wait(60) == 1, running.text
        assert running.logged("(camera door: .*empty.mp4 cannot be read as a video: it is empty)"), running.text


def test_a_film_that_breaks_off_is_inspected_as_far_as_it_goes_and_is_no_success(settings, tmp_path):
    whole = footage("carphone_pristine.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole)
    with (tmp_path / "cut.mp4").open("r+b") as film:
        film.seek(len(whole) // 3)
        film.write(bytes(len(whole) // 3))
    config = settings(f"""
[cameras.road]
source = "file:{tmp_path / "cut.mp4"}"
pace = "fast"

[inspection.detector]
kind = "haar"

[inspection.classifier]
kind = "none"

[records]
heartbeat_s = 0.001
""")
    with IrisProcess(["--config", config]) as running:
        assert running.wait(60) == 1, running.text
        assert running.logged(r"(cut.mp4 ended after \d+ frames: it is damaged or cut off)"), running.text
    assert rows(tmp_path / "received" / "road", "model")


def test_a_model_that_does_not_load_starts_nothing(settings, tmp_path):
    (tmp_path / "belt.onnx").write_bytes(b"not a model")
    config = settings(f"""
[cameras.line]
source = "synthetic"

[inspection.detector]
model = "{tmp_path / "belt.onnx"}"
""")
    with IrisProcess(["--config", config]) as running:
        assert running.wait(30) == 2, running.text
        assert "belt.onnx" in running.text
        assert "Traceback" not in running.text
    assert not (tmp_path / "outbox").exists()


@pytest.fixture
def office(tmp_path, need_program):
    sshd = need_program("sshd", "/usr/sbin/sshd", hint="make system-packages")
    with OpenSshServer(tmp_path / "sshd-of-office", sshd=sshd) as server:
        yield server


def delivered_files(received):
    """The SHA-256 of each file by its name, those in archives too."""
    found = {}
    for path in received.rglob("*"):
        if path.name.endswith(".tar.gz"):
            found |= {member.name: member.sha256 for member in verify(path).members}
        elif path.is_file():
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_each_server_is_delivered_to_alone_and_after_an_outage_evidence_goes_first(settings, server, office, tmp_path):
    """The one that was away gets the same files, in other archives."""
    second = server_table("office", office, tmp_path / "office")
    config = settings(f"""
[cameras.line]
source = "synthetic"
server = ["plant", "office"]

[records]
age_s_max = 0.5

[delivery]
lower_share = 0.0
breaker_base_s = 0.1
breaker_cap_s = 0.3

[delivery.rules.models]
folder_type = "model"
batch = "tar.gz"
batch_wait_s = 1.0

[delivery.rules.verdicts]
folder_type = "classifier"
priority = 3
{second}""")
    server.stop()
    with IrisProcess(["--config", config]) as running:
        running.wait_until(lambda: len(list((tmp_path / "office").glob("line/evidence/*.jpg"))) >= 6)
        running.wait_until(lambda: len(list((tmp_path / "office").glob("line/classifier/*.csv"))) >= 5)
        running.wait_until(lambda: list((tmp_path / "office").glob("line/model/*.tar.gz")))
        assert not list((tmp_path / "received").rglob("*.*")), "what goes to one server waits for no other"
        backlog_until = running.stats()["stats"]["total_queued"]
        server.start()
        running.wait_until(lambda: running.logged(r"(the link to \S+ is up)"))
        running.wait_until(lambda: running.stats()["stats"]["total_uploaded"] > backlog_until)
        status, _ = running.end()
        assert status == 0, running.text
    lines = list(Audit(tmp_path / "outbox").ledger())
    assert Counter(line["server"] for line in lines).keys() == {
        f"{each.username}@{each.host}:{each.port}" for each in (server, office)
    }
    assert delivered_files(tmp_path / "received") == delivered_files(tmp_path / "office")
    assert len(delivered_files(tmp_path / "received")) * 2 == len(lines)

    of_plant = [line for line in lines if line["server"].endswith(f":{server.port}")]
    backlog = [line["remote_path"].split("/")[-2] for line in of_plant if line["sequence"] <= backlog_until]
    assert min(Counter(backlog).values()) >= 3
    for first, then in (("evidence", "classifier"), ("classifier", "model")):
        places = {kind: [place for place, each in enumerate(backlog) if each == kind] for kind in (first, then)}
        pairs = [before < after for before, after in product(places[first], places[then])]
        assert sum(pairs) / len(pairs) > 0.9, f"{first} goes before {then}: {backlog}"
    assert list((tmp_path / "received").glob("line/model/*.tar.gz"))


def test_a_disk_with_less_than_its_reserve_keeps_records_in_their_folder_and_delivers_them_later(settings, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    text = '[cameras.line]\nsource = "synthetic"\n[records]\nage_s_max = 0.5\ndisk_reserve_bytes = 0\n'
    config = settings(text)
    full = config.read_text().replace('folder = "outbox"', f'folder = "outbox"\ndisk_reserve_bytes = {2 * free}')
    config.write_text(full)
    ready = tmp_path / "records" / "line" / "ready"
    with IrisProcess(["--config", config]) as running:
        running.wait_until(lambda: running.logged("(the outbox's disk has [\\d.]+ \\w+ free and a reserve of)"))
        running.wait_until(lambda: len(list(ready.glob("*.csv"))) >= 4)
        status, _ = running.end()
        assert status == 0, running.text
    waiting = {path.name for path in ready.iterdir()}
    assert waiting
    config.write_text(full.replace(f"disk_reserve_bytes = {2 * free}", "disk_reserve_bytes = 0"))
    with IrisProcess(["--config", config]) as running:
        running.wait_until(lambda: waiting <= {path.name for path in (tmp_path / "received").rglob("*.*")})
        status, _ = running.end()
        assert status == 0, running.text
    assert not waiting & {path.name for path in ready.iterdir()}
