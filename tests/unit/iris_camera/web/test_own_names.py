import json
import socket

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from iris_camera.web.own_names import asked_name, is_own
from iris_camera.web.server import WebServer
from tests.unit.iris_camera.web.fake_line import FakeLine, get

PATHS = ["/", "/page.js", "/api/state", "/api/health", "/api/camera/line-1.jpg", "/nowhere", "/live"]
WAIT_S = 20.0


@pytest.fixture
def served():
    line = FakeLine(own_names=["Plant-PC"])
    server = WebServer(line.app, port=0)
    server.start()
    yield server
    line.live.stop()
    server.stop()


def look(server, host):
    """The live socket of that server, asked for under another host name."""
    there = socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S)
    return connect(f"ws://{host}:{server.port}/live", sock=there, open_timeout=WAIT_S, compression=None)


@pytest.mark.parametrize("path", PATHS)
def test_a_name_that_was_turned_to_this_machine_gets_no_answer(path):
    answer = get(FakeLine().app, path, host="evil.example:5000")
    assert answer.status_code == 421
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("This is Iris, and it was asked for by the name evil.example. Open it as localhost")
    assert "names under [web]" in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1", "127.0.0.1:5000", "10.0.0.7:80", "[::1]:5000", "[::1]"],
)
def test_localhost_and_addresses_are_own_whatever_the_port(host):
    assert get(FakeLine().app, "/api/state", host=host).status_code == 200


def test_a_name_that_was_configured_is_own_in_any_case():
    line = FakeLine(own_names=["Plant-PC"])
    assert get(line.app, "/", host="plant-pc:5000").status_code == 200
    assert get(line.app, "/", host="PLANT-PC").status_code == 200
    assert get(line.app, "/", host="plant-pc.evil.example").status_code == 421


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1, evil.example",
        "127.0.0.1/evil",
        "[::1]evil.example",
        "[::1",
        "0x7f000001",
        "localhost:port",
    ],
)
def test_a_name_that_only_looks_like_an_own_one_is_none(host):
    assert not is_own(host, frozenset({"plant-pc"}))


def test_markup_in_a_host_header_is_not_repeated():
    assert asked_name("<script>alert(1)</script>") is None
    assert "script" not in get(FakeLine().app, "/", host="<script>alert(1)</script>").text


@pytest.mark.parametrize("host", ["evil.example", "monitoring.plant.example:5000", "", "10.0.0.7"])
def test_the_fixed_endpoint_answers_under_every_host_name_as_before(host):
    answer = get(FakeLine().app, "/sftp-uploader-stats", host=host)
    assert answer.status_code == 200
    assert answer.json()["stats"]["total_queued"] == 150


def test_the_live_socket_is_refused_to_a_foreign_name_with_the_same_sentence(served):
    with pytest.raises(InvalidStatus, match="421") as refused:
        look(served, "evil.example")
    assert b"asked for by the name evil.example" in refused.value.response.body


def test_the_live_socket_is_open_to_an_own_name(served):
    with look(served, "plant-pc") as page:
        assert json.loads(page.recv(timeout=WAIT_S))["version"] == "0.1.0"
