"""The order parts start and end in, with parts that only write down what they were told."""

import dataclasses
import logging

import pytest

from iris_camera import app, logs
from iris_camera.app import Application
from iris_camera.config import Config
from iris_camera.web.server import CannotServe
from iris_communication.errors import OutboxInUse


class Told:
    """Stands for a part: writes down each call with its arguments."""

    def __init__(self, name, calls, **answers):
        self._name, self._calls, self._answers = name, calls, answers

    def __getattr__(self, method):
        def call(*arguments, **named):
            self._calls.append((f"{self._name}.{method}", *arguments, *named.values()))
            answer = self._answers.get(method)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class NoSource:
    name, live, frame_rate = "line-1", True, 25.0


@pytest.fixture
def calls():
    return []


@pytest.fixture
def application(tmp_path, calls, monkeypatch):
    config = Config(tmp_path / "records", tmp_path / "outbox", server_info={"host": "h", "username": "u"}, port=0)
    made = Application(config, NoSource(), uploader=Told("uploader", calls, get_details={"state": "new"}))
    made.camera = Told("camera", calls, quiesce=True, picture=None)
    made.camera.name = "line-1"
    made.health = Told("health", calls, snapshot={})
    made.sockets = Told("sockets", calls)
    made.web = Told("web", calls)
    monkeypatch.setattr(logs, "stop_logging", lambda: calls.append(("logging.stop",)))
    return made


def test_the_end_is_records_uploader_camera_sockets_page_health_logging(application, calls):
    application.cleanup_threads()
    assert calls == [
        ("camera.quiesce", 2.0),
        ("uploader.stop", 15.0),
        ("camera.stop",),
        ("sockets.stop",),
        ("web.stop",),
        ("health.stop",),
        ("uploader.close",),
        ("logging.stop",),
    ]


def test_ending_twice_ends_once(application, calls):
    application.cleanup_threads()
    before = list(calls)
    application.cleanup_threads()
    application.cleanup_on_exit()
    assert calls == before


def test_the_end_in_a_hurry_takes_five_seconds_and_opens_no_connection(application, calls):
    application.cleanup_on_exit()
    application.cleanup_on_exit()
    assert calls == [("camera.quiesce", 1.0), ("uploader.stop", 5.0, False), ("uploader.close",)]


def test_the_clean_up_functions_end_the_application_that_was_started(application, calls, monkeypatch):
    monkeypatch.setattr(application, "start", lambda: None)
    monkeypatch.setattr(app, "_current", None)
    app.cleanup_threads()
    app.cleanup_on_exit()
    assert calls == []
    app.start(application)
    app.cleanup_threads()
    assert ("uploader.stop", 15.0) in calls


def test_the_uploader_starts_before_the_camera(application, calls, monkeypatch):
    monkeypatch.setattr(app, "WebServer", lambda *_, **__: Told("web", calls))
    monkeypatch.setattr(app, "bind", lambda **_: None)
    monkeypatch.setattr(app, "create_app", lambda **_: None)
    application.start()
    order = [name for name, *_ in calls if name.endswith(".start")]
    assert order == ["uploader.start", "camera.start", "health.start", "web.start"]


def test_an_outbox_that_is_in_use_stops_no_camera(application, calls, monkeypatch, caplog):
    monkeypatch.setattr(app, "WebServer", lambda *_, **__: Told("web", calls))
    monkeypatch.setattr(app, "bind", lambda **_: None)
    monkeypatch.setattr(app, "create_app", lambda **_: None)
    application.uploader = Told("uploader", calls, start=OutboxInUse("the outbox /o is in use by process 7"))
    with caplog.at_level(logging.ERROR):
        application.start()
    assert ("camera.start",) in calls
    assert "in use by process 7" in caplog.text
    assert "stop the other process" in caplog.text


def refusing_port(**_):
    raise CannotServe("cannot serve the page on 127.0.0.1 port 5000: the port is in use; stop the program that has it")


def test_a_taken_port_costs_the_page_and_nothing_else(application, calls, monkeypatch, caplog):
    monkeypatch.setattr(app, "bind", refusing_port)
    with caplog.at_level(logging.ERROR):
        application.start()
    assert ("camera.start",) in calls
    assert ("uploader.start",) in calls
    assert "port 5000: the port is in use; stop the program that has it" in caplog.text
    assert application.web_address == ""


def test_where_the_page_is_required_a_taken_port_starts_nothing(application, calls, monkeypatch):
    monkeypatch.setattr(app, "bind", refusing_port)
    application._config = dataclasses.replace(application._config, page_required=True)
    with pytest.raises(CannotServe):
        application.start()
    assert calls == []


def test_a_server_configured_before_the_start_is_known_to_the_uploader(application, calls, monkeypatch):
    monkeypatch.setattr(app, "WebServer", lambda *_, **__: Told("web", calls))
    monkeypatch.setattr(app, "bind", lambda **_: None)
    monkeypatch.setattr(app, "create_app", lambda **_: None)
    application.start()
    assert ("uploader.configure_server", "default", {"host": "h", "username": "u"}) in calls
