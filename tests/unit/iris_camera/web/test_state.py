import json

import pytest
from websockets.sync.client import connect

from iris_camera import logs
from iris_camera.web.live import SocketManager
from iris_camera.web.server import WebServer, create_app
from iris_camera.web.state import DEAD_SHOWN, whole_snapshot
from tests.unit.iris_camera.web.fake_line import NOW_S, SERVER, FakeCamera, FakeLine, get

SECRET = "kiln-5583-pass"


class MuteCamera(FakeCamera):
    """A camera that raises when it is asked."""

    def snapshot(self):
        raise RuntimeError(f"no answer from rtsp://operator:{SECRET}@10.0.0.9/stream")


def test_the_whole_snapshot_holds_time_version_cameras_uploader_health_and_records():
    line = FakeLine("line-1", "line-2")
    assert line.snapshot() == {
        "at_s": NOW_S,
        "version": "0.1.0",
        "cameras": [camera.snapshot() for camera in line.cameras],
        "uploader": line.uploader.get_details(),
        "health": line.health,
        "records": line.records,
    }


def test_the_snapshot_without_records_leaves_them_out():
    line = FakeLine()
    snapshot = whole_snapshot(
        cameras=lambda: line.cameras, uploader=line.uploader, health=lambda: line.health, version="0.1.0"
    )
    assert "records" not in snapshot()


def test_a_notice_stands_in_the_snapshot_where_there_is_one():
    line, text = FakeLine(), ["the calm line"]
    snapshot = whole_snapshot(
        cameras=lambda: line.cameras,
        uploader=line.uploader,
        health=lambda: line.health,
        version="0.1.0",
        notice=lambda: text[-1],
    )
    assert snapshot()["notice"] == "the calm line"
    text.append("the end")
    assert snapshot()["notice"] == "the end"
    assert "notice" not in line.snapshot()


def test_cameras_that_come_and_go_are_seen_in_the_next_snapshot():
    line = FakeLine("line-1")
    line.cameras.append(FakeCamera("line-2"))
    assert [camera["name"] for camera in line.snapshot()["cameras"]] == ["line-1", "line-2"]
    del line.cameras[0]
    assert [camera["name"] for camera in line.snapshot()["cameras"]] == ["line-2"]


def test_one_camera_that_cannot_be_asked_is_shown_as_offline_beside_the_others(caplog):
    line = FakeLine("line-1", "line-3")
    line.cameras.insert(1, MuteCamera("line-2"))
    for _ in range(3):
        one, mute, three = line.snapshot()["cameras"]
    assert (one["state"], three["state"]) == ("online", "online")
    assert (mute["name"], mute["state"]) == ("line-2", "offline")
    assert mute["reason"].startswith("it could not be asked: RuntimeError: no answer from rtsp://")
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_thousands_of_dead_files_do_not_swell_the_snapshot():
    line = FakeLine()
    line.uploader.dead = [{"id": number} for number in range(5000)]
    assert len(line.snapshot()["uploader"]["dead"]) == DEAD_SHOWN
    assert len(line.uploader.get_details()["dead"]) == 5000


def talkative(secret):
    """A line in which every foreign text holds the secret."""
    line = FakeLine("line-1")
    line.camera.turn("offline", f"401 for {secret}", at_s=NOW_S)
    line.camera.seen |= {
        "source": f"source {secret}",
        "password": secret,
        "inspection": {**line.camera.seen["inspection"], "state": "stopped", "reason": f"no model at {secret}"},
    }
    line.cameras.append(MuteCamera("line-2"))
    line.uploader.link("down", since_s=NOW_S, reason=f"refused {secret}", hint=f"look at {secret}")
    line.uploader.dead = [{"id": 1, "error": f"gave up: {secret}", "at": [f"at {secret}"]}]
    line.health |= {"sentence": f"camera line-1 is offline ({secret})", "reasons": [f"offline ({secret})"]}
    line.records["last_removed"] = {"at_s": NOW_S, "files": 1, "bytes": 1, "why": f"because of {secret}"}
    return line


@pytest.mark.parametrize("secret", [SECRET, f"rtsp://operator:{SECRET}@10.0.0.9:554/stream", f"password={SECRET}"])
def test_no_credential_of_a_camera_stands_in_any_answer(secret):
    logs.hide(SECRET)
    line = talkative(secret)
    paths = ["/", "/api/state", "/api/health", "/api/camera/line-1.jpg", "/api/camera/line-9.jpg"]
    for answer in get(line.app, *paths, "/sftp-uploader-stats", "/nowhere"):
        assert SECRET not in answer.text, answer.url
        assert SECRET not in str(answer.headers)
    shown = json.dumps(line.snapshot())
    assert SECRET not in shown
    assert shown.count("***") >= 10
    assert SERVER in shown


def test_a_credential_in_an_address_is_removed_even_if_it_was_not_registered_as_a_secret():
    line = talkative("rtsp://operator:never-told-about@10.0.0.9:554/stream")
    assert "never-told-about" not in json.dumps(
        {key: value for key, value in line.snapshot()["cameras"][0].items() if key != "password"}
    )


def test_the_live_socket_sends_no_credential_either():
    logs.hide(SECRET)
    line = talkative(SECRET)
    live = SocketManager(line.snapshot)
    app = create_app(snapshot=line.snapshot, health=lambda: line.health, pictures=dict, live=live)
    server = WebServer(app, port=0)
    server.start()
    try:
        with connect(server.address.replace("http:", "ws:") + "live", compression=None, max_size=None) as page:
            assert SECRET not in page.recv(timeout=60)
    finally:
        live.stop()
        server.stop()
