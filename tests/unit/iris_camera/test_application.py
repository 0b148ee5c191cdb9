"""The order in which parts start, change and end, with parts that only record their calls."""

import dataclasses
import logging
from pathlib import Path

import pytest

from iris_camera import app, application, logs
from iris_camera.application import Application, camera_setups
from iris_camera.config import CameraSettings, Config, ConfigError, Problem, ServerSettings, WebSettings
from iris_camera.config.problem import NOWHERE
from iris_camera.config.sections import OUTBOX_RESERVE_BYTES, LogSettings, OutboxSettings
from iris_camera.controllers.handing_over import Counts
from iris_camera.controllers.lineup import Exchanged
from iris_camera.records.settings import RecordSettings
from iris_camera.web.server import CannotServe
from iris_communication.errors import OutboxInUse
from iris_communication.settings import Limits
from tests.fresh_copy import fresh_copy


class CallLog:
    """Stands for a part: records each call with its arguments."""

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


class RecordingLineup(CallLog):
    cameras = ()
    ended = False


class RecordingHealth(CallLog):
    """In reach: the function that it asks for what is around the cameras and the uploader."""

    def __init__(self, calls, around):
        super().__init__("health", calls, snapshot={})
        self.around = around


NEW = {"state": "new", "running": False, "servers": {}, "oldest_waiting_s": None, "dead": []}
STATS = {"total_queued": 5, "total_uploaded": 2, "total_failed": 0, "queue_size": 3}


@pytest.fixture
def calls():
    return []


@pytest.fixture
def config(tmp_path):
    return Config(
        cameras={"line-1": CameraSettings(), "line-2": CameraSettings(project="hall", enabled=False)},
        records=RecordSettings(folder=tmp_path / "records"),
        servers={"plant": ServerSettings("h", "u", password="secret-word")},
        outbox=OutboxSettings(folder=tmp_path / "outbox"),
        web=WebSettings(port=0),
    )


@pytest.fixture
def make(calls, monkeypatch):
    """Makes an application of parts that only record their calls."""

    def make(config, **options):
        uploader = CallLog("uploader", calls, get_details=NEW | {"stats": STATS}, get_stats=STATS)
        made = Application(config, uploader=uploader, **options)
        made.lineup = RecordingLineup("lineup", calls, quiesce=True, stop=True, exchange=Exchanged((), (), (), {}))
        made.sockets = CallLog("sockets", calls)
        made.kept = CallLog("kept", calls)
        made.web = CallLog("web", calls)
        return made

    monkeypatch.setattr(application, "HealthService", lambda *, around, **_: RecordingHealth(calls, around))
    monkeypatch.setattr(logs, "stop_logging", lambda: calls.append(("logging.stop",)))
    monkeypatch.setattr(logs, "start_logging", lambda level: calls.append(("logging.level", level)))
    monkeypatch.setattr(application, "WebServer", lambda *_, **__: CallLog("web", calls))
    monkeypatch.setattr(application, "bind", lambda **_: None)
    monkeypatch.setattr(application, "create_app", lambda **_: None)
    return make


@pytest.fixture
def made(make, config):
    return make(config)


def test_the_end_is_records_uploader_cameras_sockets_page_health_outbox_logging(made, calls):
    made.cleanup_threads()
    recorded = [call for call in calls if call[0] not in ("uploader.get_stats", "uploader.get_details")]
    assert [name for name, *_ in recorded] == [
        "lineup.quiesce",
        "uploader.stop",
        "kept.close",
        "lineup.stop",
        "sockets.stop",
        "web.stop",
        "health.stop",
        "uploader.close",
        "logging.stop",
    ]
    assert ("uploader.stop", 15.0) in recorded
    assert ("lineup.quiesce", 2.0) in recorded


def test_the_steps_of_the_end_fit_into_its_whole_time(made, monkeypatch):
    steps = []
    monkeypatch.setattr(application, "carry_out", steps.extend)
    made.cleanup_threads()
    assert 0.0 < sum(step.limit_s for step in steps) <= 25.0


def test_ending_twice_ends_once(made, calls):
    made.cleanup_threads()
    before = list(calls)
    made.cleanup_threads()
    made.cleanup_on_exit()
    assert calls == before


def test_the_end_says_what_is_left_for_the_next_start(made, caplog, tmp_path):
    (tmp_path / "outbox").mkdir(exist_ok=True)
    with caplog.at_level(logging.INFO):
        made.cleanup_threads()
    assert f"3 files wait in {tmp_path / 'outbox'}, for the next start" in caplog.text


def test_the_quick_end_takes_five_seconds_and_opens_no_connection(made, calls):
    made.cleanup_on_exit()
    made.cleanup_on_exit()
    assert calls == [("lineup.quiesce", 1.0), ("uploader.stop", 5.0, False), ("uploader.close",)]


def test_the_clean_up_functions_end_the_application_that_was_started(made, calls, monkeypatch):
    monkeypatch.setattr(made, "start", lambda: None)
    new_app = fresh_copy(app, monkeypatch)
    new_app.cleanup_threads()
    new_app.cleanup_on_exit()
    assert calls == []
    new_app.start(made)
    new_app.cleanup_threads()
    assert ("uploader.stop", 15.0) in calls


def test_the_uploader_starts_before_the_cameras_and_knows_the_servers(made, calls):
    made.start()
    order = [name for name, *_ in calls if name.endswith((".start", ".configure_server"))]
    assert order[:3] == ["uploader.start", "uploader.configure_server", "lineup.start"]
    assert order[-2:] == ["health.start", "web.start"]


def test_an_outbox_that_is_in_use_stops_no_camera(made, calls, caplog):
    made.uploader = CallLog("uploader", calls, start=OutboxInUse("the outbox /o is in use by process 7"))
    with caplog.at_level(logging.ERROR):
        made.start()
    assert ("lineup.start",) in calls
    assert "in use by process 7" in caplog.text
    assert "stop the other process" in caplog.text


def refusing_port(**_):
    raise CannotServe("cannot serve the page on 127.0.0.1 port 5000: the port is in use; stop the program that has it")


def test_a_taken_port_costs_the_page_and_nothing_else(made, calls, monkeypatch, caplog):
    monkeypatch.setattr(application, "bind", refusing_port)
    with caplog.at_level(logging.ERROR):
        made.start()
    assert ("lineup.start",) in calls
    assert ("uploader.start",) in calls
    assert "port 5000: the port is in use; stop the program that has it" in caplog.text
    assert made.web_address == ""


def test_a_taken_port_starts_no_part_where_the_page_is_required(make, calls, config, monkeypatch):
    monkeypatch.setattr(application, "bind", refusing_port)
    made = make(dataclasses.replace(config, web=WebSettings(port=0, page_required=True)))
    with pytest.raises(CannotServe):
        made.start()
    assert calls == []


def test_each_camera_is_made_of_its_own_settings(config):
    first, second = camera_setups(config)
    assert (first.name, first.enabled, second.enabled) == ("line-1", True, False)
    assert first.folder == config.records_dir / "line-1"
    assert first.destination.project_settings == {"project": "line-1"}
    assert second.destination.project_settings == {"project": "hall"}
    assert {setup.destination.sftp_server_info for setup in (first, second)} == {"plant"}


def test_a_camera_of_several_servers_has_a_destination_of_several(config):
    servers = {**config.servers, "office": ServerSettings("o", "u")}
    both = CameraSettings(server=("office", "plant"))
    (setup,) = camera_setups(dataclasses.replace(config, cameras={"line-1": both}, servers=servers))
    assert setup.destination.sftp_server_info == ("office", "plant")


def test_the_uploader_is_made_with_the_outboxs_limits_and_the_rules(config, monkeypatch):
    given = {}
    monkeypatch.setattr(application, "get_sftp_uploader", lambda **options: given.update(options) or CallLog("u", []))
    outbox = dataclasses.replace(config.outbox, bytes_max=5000, when_full="drop_lowest", max_queue_size=7)
    Application(dataclasses.replace(config, outbox=outbox))
    assert given["limits"] == Limits(5000, OUTBOX_RESERVE_BYTES, "drop_lowest")
    assert given["max_queue_size"] == 7
    assert given["settings"].rules["evidence-first"].priority == 5


def test_a_reload_takes_effect_where_it_can_and_says_where_not(make, calls, config, caplog):
    changed = dataclasses.replace(
        config,
        log=LogSettings("DEBUG"),
        servers={"plant": ServerSettings("h2", "u", password="other-word")},
        web=WebSettings(port=5001),
        records=RecordSettings(folder=Path("/elsewhere")),
    )
    made = make(config, read_again=lambda: changed)
    made.request_reload()
    made.request_stop()
    with caplog.at_level(logging.INFO):
        assert made.wait(30.0)
    assert ("logging.level", logging.DEBUG) in calls
    assert any(call[:2] == ("uploader.configure_server", "plant") and call[2]["host"] == "h2" for call in calls)
    assert any(name == "lineup.exchange" for name, *_ in calls)
    assert ("kept.limit", config.records.keep_limits) in calls
    (setups,) = [call[1] for call in calls if call[0] == "lineup.exchange"]
    assert setups[0].folder == config.records_dir / "line-1", "another folder waits for the next start"
    assert "web.port was 0, is 5001; that takes effect at the next start" in caplog.text
    assert "other-word" not in caplog.text


def test_settings_that_cannot_be_used_change_nothing_and_everything_wrong_is_reported(make, calls, config, caplog):
    def broken():
        raise ConfigError([Problem(NOWHERE, "web.port is 70000"), Problem(NOWHERE, "log.level is LOUD")])

    made = make(config, read_again=broken)
    made.request_reload()
    made.request_stop()
    assert made.wait(30.0)
    assert "everything keeps running with the old ones" in caplog.text
    assert "web.port is 70000" in caplog.text
    assert "log.level is LOUD" in caplog.text
    assert not any(name == "lineup.exchange" for name, *_ in calls)


def test_the_application_is_done_when_every_source_has_ended_and_all_is_delivered(made, calls):
    made.lineup.ended = True
    made.uploader = CallLog(
        "uploader",
        calls,
        get_details={"state": "running", "running": True, "stats": STATS | {"queue_size": 0}, "servers": {}},
    )
    made.wait_until_done()  # returns


def test_a_link_that_is_down_is_not_waited_for_when_every_source_has_ended(made, calls):
    made.lineup.ended = True
    servers = {"u@h:22": {"link": "down"}}
    details = {"state": "running", "running": True, "stats": STATS, "servers": servers}
    made.uploader = CallLog("uploader", calls, get_details=details)
    made.wait_until_done()  # returns


def test_a_file_of_a_camera_that_is_configured_no_more_is_delivered(made, calls, config):
    ready = config.records_dir / "old-line" / "ready"
    ready.mkdir(parents=True)
    left = ready / "old-line_model_20260101T000000.000Z_deadbeef_000003.csv"
    left.write_text(
        "schema_version,frame,utc,monotonic_s,part_id,x_px,y_px,width_px,height_px,score\n"
        "1,0,2026-01-01T00:00:00.000Z,1.000000,1,1.0,1.0,2.0,2.0,0.9000\n"
    )
    made.uploader = CallLog("uploader", calls, queue_upload=True, get_details={"state": "new"}, get_stats=STATS)
    made.start()
    stray = made.strays.of["old-line"]
    stray.close()
    assert stray.join(10.0)
    queued = [call for call in calls if call[0] == "uploader.queue_upload"]
    assert queued == [("uploader.queue_upload", "plant", Path(left), {"project": "old-line"}, "model", "move")]


def test_an_uploader_that_could_not_start_is_tried_again_however_short_the_waits(made, calls, monkeypatch):
    monkeypatch.setattr(application, "UPLOADER_RETRY_S", 0.05)
    for _ in range(20):
        made.wait(0.01)
    assert ("uploader.start",) in calls


def test_files_that_a_stray_camera_left_are_waited_for_too(made, calls):
    class Stray:
        def counts(self):
            return Counts(waiting=4, evidence_files=0, evidence_skipped=0)

    made.strays.of = {"old-line": Stray()}
    assert made.strays.waiting == 4


def test_the_folder_of_a_camera_that_is_switched_on_is_handed_over_by_it_alone(made, calls, config):
    made.strays.of = {"line-2": CallLog("stray", calls, join=True)}
    switched_on = {**config.cameras, "line-2": CameraSettings(project="hall")}
    made.apply(dataclasses.replace(config, cameras=switched_on))
    recorded = [name for name, *_ in calls if name in {"stray.close", "stray.join", "lineup.exchange"}]
    assert recorded == ["stray.close", "stray.join", "lineup.exchange"]
    assert made.strays.of == {}


class Leftovers:
    """Stands for what hands over the files of a camera that does not run."""

    removed, left_behind = 0, None

    def __init__(self, waiting, meanwhile=lambda: None):
        self._waiting, self._meanwhile = waiting, meanwhile

    def counts(self):
        self._meanwhile()
        return Counts(self._waiting, 0, 0)

    def close(self):
        pass

    def join(self, timeout_s):
        return True


def test_leftovers_are_counted_while_sighup_has_their_camera_run(made, config):
    switched_on = dataclasses.replace(config, cameras={**config.cameras, "line-2": CameraSettings(project="hall")})
    made.strays.of = {"line-2": Leftovers(3, lambda: made.apply(switched_on)), "line-3": Leftovers(4)}
    assert made.health.around().to_accept == 7
    assert made.health.around().to_accept == 4
