"""One browser for all tests of the page; each test serves its own line and opens its own page."""

import time

import pytest

from iris_camera.web.server import WebServer
from tests.browser.chromium import Chromium
from tests.servers.held_port import held_port
from tests.unit.iris_camera.web.fake_line import FakeLine

# Where it is noon now: some minutes ago were the same day, at whatever hour the tests run. A GMT+1 lies west of GMT.
NOON = f"Etc/GMT{time.gmtime().tm_hour - 12:+d}"


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    monkeypatch.setenv("TZ", NOON)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="session")
def one_browser(need_program):
    program = need_program("chromium", "chromium-browser", "google-chrome", hint="make system-packages")
    with Chromium(str(program), NOON) as browser:
        yield browser


@pytest.fixture
def browser(one_browser):
    one_browser.console.clear()
    one_browser.size(1280, 800)
    one_browser.theme("light")
    yield one_browser
    one_browser.open("about:blank")


@pytest.fixture
def line():
    """A line whose clock is the real one: the page compares it with its own."""
    line = FakeLine(period_s=0.05, wall=time.time)
    line.uploader.link("up", since_s=time.time() - 754)
    return line


class Serving:
    """Serves lines until it is stopped: one after another on one port, several at a time on free ones."""

    def __init__(self, port):
        self._port = port
        self._served = []

    def __call__(self, line):
        server = WebServer(line.app, port=0 if self._served else self._port)
        server.start()
        self._served.append((line, server))
        return server

    def end(self):
        while self._served:
            line, server = self._served.pop()
            line.live.stop()
            server.stop()


@pytest.fixture
def serve():
    with held_port() as port:
        serving = Serving(port)
        yield serving
        serving.end()
