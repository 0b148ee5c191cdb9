"""What a changed file means for a line that runs."""

import dataclasses
from pathlib import Path

import pytest

from iris_camera.config import CameraSettings, Config, LogSettings, OutboxSettings, ServerSettings, WebSettings
from iris_camera.config.changes import TABLE, When, changes, what_can_run, when
from iris_camera.config.schema import NAMED, fields_of, keys_below
from iris_camera.inspection.settings import DetectorSettings, InspectionSettings
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from iris_communication.settings import DeliverySettings, Rule

PLANT = ServerSettings("sftp.example", "iris", password="hunter22")
OLD = Config(
    cameras={"a": CameraSettings(), "b": CameraSettings(inspection=InspectionSettings())},
    servers={"plant": PLANT},
)


def changed(**sections):
    return changes(OLD, dataclasses.replace(OLD, **sections))


def test_the_same_settings_are_no_change():
    assert not changes(OLD, dataclasses.replace(OLD))


def test_a_log_level_counts_now_and_touches_no_camera():
    found = changed(log=LogSettings("DEBUG"))
    assert [str(change) for change in found.now] == ['log.level was "INFO", is "DEBUG"']
    assert (found.cameras, found.restart, found.cameras_altered) == ((), (), ())


def test_a_servers_new_password_counts_now_and_is_not_shown():
    found = changed(servers={"plant": dataclasses.replace(PLANT, password="hunter23")})
    assert [str(change) for change in found.now] == ["servers.plant.password changed"]
    assert found.cameras_altered == ()


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"web": WebSettings(port=5001)}, "web.port"),
        ({"outbox": OutboxSettings(folder=Path("/o"))}, "outbox.folder"),
        ({"records": RecordSettings(folder=Path("/r"))}, "records.folder"),
        ({"delivery": DeliverySettings(retry_cap_s=9.0)}, "delivery.retry_cap_s"),
    ],
)
def test_a_change_that_needs_a_restart_is_reported_and_touches_no_camera(sections, key):
    found = changed(**sections)
    assert [".".join(change.path) for change in found.restart] == [key]
    assert (found.now, found.cameras, found.cameras_altered) == ((), (), ())


def test_limits_of_the_outbox_wait_for_a_restart():
    found = changed(outbox=OutboxSettings(bytes_max=10**9, when_full="drop_oldest"))
    assert [str(change) for change in found.restart] == [
        "outbox.bytes_max was not given, is 1_000_000_000",
        'outbox.when_full was "reject", is "drop_oldest"',
    ]


def test_rules_wait_for_a_restart_and_are_reported_key_by_key():
    first, second = Rule(folder_type="model", priority=1), Rule(pattern="*.csv", batch="zip")
    old = dataclasses.replace(OLD, delivery=DeliverySettings(rules={"a": first, "b": second}))
    new = DeliverySettings(rules={"c": second, "a": dataclasses.replace(first, priority=2)})
    found = changes(old, dataclasses.replace(old, delivery=new))
    assert {".".join(change.path): change.text for change in found.restart} == {
        "delivery.rules.a.priority": "was 1, is 2",
        "delivery.rules.b": "is gone",
        "delivery.rules.c": "is new",
    }
    assert found.keys == found.restart
    assert what_can_run(old, dataclasses.replace(old, delivery=new)).delivery == old.delivery


def test_rules_in_another_order_are_a_change():
    one, other = Rule(priority=1), Rule(priority=2)
    old = dataclasses.replace(OLD, delivery=DeliverySettings(rules={"a": one, "b": other}))
    new = dataclasses.replace(OLD, delivery=DeliverySettings(rules={"b": other, "a": one}))
    assert [str(change) for change in changes(old, new).restart] == ["delivery.rules are in another order"]


def test_a_changed_delivery_setting_of_a_server_counts_now():
    treated = dataclasses.replace(PLANT, windows=("22:00-06:00",), conflict="keep")
    found = changed(servers={"plant": treated})
    assert [str(change) for change in found.now] == [
        'servers.plant.conflict was "rename", is "keep"',
        'servers.plant.windows was [], is ["22:00-06:00"]',
    ]
    assert found.cameras_altered == ()


def test_another_destination_concerns_its_camera_alone():
    servers = {"plant": PLANT, "office": ServerSettings("b.example", "iris")}
    cameras = {name: CameraSettings(server="plant") for name in ("a", "b")}
    old = Config(cameras=cameras, servers=servers)
    new = Config(cameras={**cameras, "b": CameraSettings(server=("plant", "office"))}, servers=servers)
    found = changes(old, new)
    assert [str(change) for change in found.cameras] == ['cameras.b.server was "plant", is ["plant", "office"]']
    assert found.cameras_altered == ("b",)


def test_a_camera_that_came_went_or_changed_is_named_and_no_other():
    found = changed(cameras={"b": dataclasses.replace(OLD.cameras["b"], repeat=True), "c": CameraSettings()})
    assert (found.cameras_added, found.cameras_removed, found.cameras_altered) == (("c",), ("a",), ("b",))
    text = {".".join(change.path): change.text for change in found.cameras}
    assert text == {"cameras.a": "is gone", "cameras.b.repeat": "was false, is true", "cameras.c": "is new"}


def test_the_common_inspection_concerns_the_cameras_without_one_of_their_own():
    found = changed(inspection=InspectionSettings(detector=DetectorSettings(kind="haar")))
    assert found.cameras_altered == ("a",)
    assert [str(change) for change in found.cameras] == ['inspection.detector.kind was "onnx", is "haar"']


def test_an_inspection_of_its_own_concerns_that_camera():
    own = dataclasses.replace(OLD.cameras["b"], inspection=InspectionSettings(threads=2))
    assert changed(cameras={**OLD.cameras, "b": own}).cameras_altered == ("b",)
    without = dataclasses.replace(OLD.cameras["b"], inspection=None)
    assert changed(cameras={**OLD.cameras, "b": without}).cameras_altered == ()


def test_a_second_server_concerns_the_cameras_that_named_none():
    other = ServerSettings("b.example", "iris")
    assert changed(servers={"plant": PLANT, "default": other}).cameras_altered == ("a", "b")


@pytest.mark.parametrize(
    "sections", [{"records": RecordSettings(rows_max=5)}, {"evidence": EvidenceSettings(crop=False)}]
)
def test_records_and_evidence_concern_every_camera(sections):
    assert changed(**sections).cameras_altered == ("a", "b")


def test_the_settings_that_can_run_are_the_new_ones_but_for_those_that_wait_for_a_restart():
    new = dataclasses.replace(
        OLD,
        web=WebSettings(port=1),
        log=LogSettings("DEBUG"),
        records=RecordSettings(folder=Path("/r"), rows_max=5),
        outbox=OutboxSettings(folder=Path("/o")),
    )
    runs = what_can_run(OLD, new)
    assert runs == dataclasses.replace(OLD, log=LogSettings("DEBUG"), records=RecordSettings(rows_max=5))
    assert {change.path[0] for change in changes(runs, new).keys} == {"web", "records", "outbox"}


def test_every_key_has_its_effect_on_a_reload():
    for key in keys_below(Config):
        assert isinstance(when(key.path), When)
    assert {path[0] for path in TABLE} == set(fields_of(Config))


def test_names_of_cameras_and_servers_stand_for_any():
    assert when(("servers", "plant", "host")) is when(("servers", NAMED, "host")) is When.NOW
    assert when(("delivery", "rules", "mine", "priority")) is When.RESTART
