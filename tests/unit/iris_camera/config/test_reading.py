"""Flags over environment over file over defaults, and every path from where it was written."""

import dataclasses
from pathlib import Path

import pytest

from iris_camera.config import CameraSettings, Config, Flags, ServerSettings, find_file, read
from iris_camera.config.given import Given
from iris_camera.config.over_the_file import variables
from iris_camera.config.reading import read_with_origins
from iris_camera.inspection.settings import DetectorSettings
from iris_communication.server.facts import parse_server
from iris_communication.settings import Limits, Rule, Server


@pytest.fixture
def written(tmp_path):
    def write(text):
        file = tmp_path / "iris.toml"
        file.write_text(text)
        return file

    return write


def test_the_made_up_line_runs_without_any_setting_with_folders_in_the_users_state_directory():
    config = read(None, {"XDG_STATE_HOME": "/state"})
    assert config.cameras == {"line-1": CameraSettings()}
    assert config.outbox_dir == Path("/state/iris/outbox")
    assert config.records_dir == Path("/state/iris/records")
    assert config.servers == {}
    assert (config.web.port, config.outbox.max_queue_size) == (5000, 100_000)


def test_a_file_without_a_camera_is_one_with_the_made_up_line(written):
    assert list(read(written("[log]\nlevel = 'DEBUG'\n"), {}).cameras) == ["line-1"]


def test_a_whole_file_is_read(written):
    config = read(
        written("""
[cameras.line-1]
source = "rtsp://camera.local/stream"
username = "viewer"
password = "hunter22"
frame_rate = 10
[cameras.line-2]
enabled = false
server = "office"
project = "second"
[cameras.line-2.inspection.detector]
kind = "hog"
[inspection]
defect_labels = ["scratch", "no-hole"]
detector.kind = "haar"
[servers.default]
host = "a.example"
username = "iris"
[servers.office]
host = "b.example"
username = "iris"
port = 2222
host_key_policy = "accept-new"
"""),
        {},
    )
    first, second = config.cameras["line-1"], config.cameras["line-2"]
    assert (first.username, first.password, first.frame_rate, first.enabled) == ("viewer", "hunter22", 10.0, True)
    assert [config.servers_of(name) for name in config.cameras] == [("default",), ("office",)]
    assert [config.project_of(name) for name in config.cameras] == ["line-1", "second"]
    assert [config.inspection_of(name).detector.kind for name in config.cameras] == ["haar", "hog"]
    assert config.inspection.defect_labels == ("scratch", "no-hole")
    assert second.enabled is False
    assert config.servers["office"].info()["host_key_policy"] == "accept-new"
    assert config.servers["office"].info()["port"] == 2222


def test_a_table_within_another_begins_with_what_that_one_says(written):
    """A classifier's crop is stretched and a detector's picture is not, and naming another key changes neither."""
    text = "[inspection.classifier.input]\ncolour = 'bgr'\n[inspection.detector.input]\ncolour = 'bgr'\n"
    inspection = read(written(text), {}).inspection
    assert (inspection.classifier.input.fit, inspection.classifier.input.colour) == ("stretch", "bgr")
    assert (inspection.detector.input.fit, inspection.detector.input.colour) == ("letterbox", "bgr")


def test_secrets_are_in_no_repr(written):
    text = '[servers.a]\nhost = "h"\nusername = "u"\npassword = "hunter22"\npassphrase = "hunter23"\n'
    config = read(written(text), {})
    assert config.servers["a"].info()["password"] == "hunter22"
    assert "hunter2" not in repr(config)
    assert config.secrets == ("hunter22", "hunter23")


def test_the_environment_overrides_the_file_and_flags_override_both(written):
    file = written("[web]\nport = 1\nport_falls_back = true\n[records]\nfolder = '/file'\nage_s_max = 1\n")
    environment = {"IRIS_PORT": "2", "IRIS_RECORDS": "/environment", "IRIS_RECORDS__AGE_S_MAX": "30"}
    assert read(file, {}).web.port == 1
    over = read(file, environment)
    assert (over.web.port, over.records.folder, over.records.age_s_max) == (2, Path("/environment"), 30.0)
    assert over.web.port_falls_back is True
    assert read(file, environment, Flags(port=0, records=Path("/flag"))).web.port == 0
    assert read(file, environment, Flags(records=Path("/flag"))).records_dir == Path("/flag")


@pytest.mark.parametrize(
    ("name", "text", "look"),
    [
        ("IRIS_WEB__PORT", "5001", lambda config: config.web.port == 5001),
        ("IRIS_WEB__PORT_FALLS_BACK", "true", lambda config: config.web.port_falls_back is True),
        ("IRIS_WEB__PAGE_REQUIRED", "0", lambda config: config.web.page_required is False),
        ("IRIS_RECORDS__HEARTBEAT_S", "2.5", lambda config: config.records.heartbeat_s == 2.5),
        ("IRIS_DELIVERY__RETRY_CAP_S", "60", lambda config: config.delivery.retry_cap_s == 60.0),
        ("IRIS_INSPECTION__DEFECT_LABELS", "a, b", lambda config: config.inspection.defect_labels == ("a", "b")),
        ("IRIS_INSPECTION__DETECTOR__KIND", "hog", lambda config: config.inspection.detector.kind == "hog"),
        ("IRIS_LOG__LEVEL", "DEBUG", lambda config: config.log.level == "DEBUG"),
        ("IRIS_OUTBOX__FOLDER", "/o", lambda config: config.outbox_dir == Path("/o")),
        ("IRIS_WEB__PORT", "", lambda config: config.web.port == 5000),
        ("IRIS_SEED", "of another program", lambda config: True),
    ],
)
def test_a_variable_is_named_after_its_key(name, text, look):
    assert look(read(None, {name: text}))


def test_every_variable_is_of_one_key_and_none_of_them_is_a_secret():
    given = Given()
    given.tree = {"servers": {"plant": {}}, "cameras": {"line-1": {}}}
    found = variables(given)
    assert {"IRIS_DELIVERY__ATTEMPTS_MAX", "IRIS_SERVERS__PLANT__PORT", "IRIS_CAMERAS__LINE_1__SOURCE"} <= found.keys()
    assert all(len(keys) == 1 for keys in found.values())
    assert not [name for name in found if "PASSWORD" in name or "PRIVATE_KEY" in name or "NAME" in name.split("__")]


NAMED = """
[cameras.line-1]
[servers.plant-2]
host = "h"
username = "u"
conflict = "fail"
[delivery.rules.tables]
pattern = "*.csv"
"""


@pytest.mark.parametrize(
    ("name", "text", "look"),
    [
        ("IRIS_SERVERS__PLANT_2__CONFLICT", "keep", lambda config: config.servers["plant-2"].conflict == "keep"),
        ("IRIS_SERVERS__PLANT_2__MARKER", ".done", lambda config: config.servers["plant-2"].marker == ".done"),
        ("IRIS_SERVERS__PLANT_2__ATTEMPTS_MAX", "3", lambda config: config.servers["plant-2"].attempts_max == 3),
        (
            "IRIS_SERVERS__PLANT_2__WINDOWS",
            "Mon,Wed 22:00-06:00; Sat",
            lambda config: config.servers["plant-2"].windows == ("Mon,Wed 22:00-06:00", "Sat"),
        ),
        ("IRIS_CAMERAS__LINE_1__PROJECT", "hall", lambda config: config.project_of("line-1") == "hall"),
        ("IRIS_CAMERAS__LINE_1__SERVER", "plant-2", lambda config: config.servers_of("line-1") == ("plant-2",)),
        ("IRIS_DELIVERY__RULES__TABLES__PRIORITY", "-3", lambda config: config.delivery.rules["tables"].priority == -3),
        ("IRIS_DELIVERY__NEW_SHARE", "0.5", lambda config: config.delivery.new_share == 0.5),
        ("IRIS_OUTBOX__WHEN_FULL", "drop_oldest", lambda config: config.outbox.limits.when_full == "drop_oldest"),
        ("IRIS_OUTBOX__BYTES_MAX", "5000", lambda config: config.outbox.limits.bytes_max == 5000),
    ],
)
def test_a_variable_may_be_of_a_camera_a_server_or_a_rule_that_the_file_names(written, name, text, look):
    assert look(read(written(NAMED), {name: text}))


def test_the_variable_of_one_camera_overrides_that_of_all(written):
    config = read(written(NAMED + "[cameras.b]\n"), {"IRIS_PROJECT": "all", "IRIS_CAMERAS__B__PROJECT": "own"})
    assert [config.project_of(name) for name in ("line-1", "b")] == ["all", "own"]


def test_a_server_that_a_variable_gives_may_have_more_variables(tmp_path):
    file = tmp_path / "server.json"
    file.write_text('{"host": "h", "username": "u"}')
    config = read(None, {"IRIS_SERVER": str(file), "IRIS_SERVERS__DEFAULT__BANDWIDTH_BYTES_PER_S": "1e6"})
    assert config.servers["default"].info()["bandwidth_bytes_per_s"] == 1e6


def test_the_project_variable_is_for_every_camera(written):
    config = read(written("[cameras.a]\nproject = 'x'\n[cameras.b]\n"), {"IRIS_PROJECT": "plant"})
    assert [config.project_of(name) for name in config.cameras] == ["plant", "plant"]


def test_a_server_file_becomes_the_server_called_default(written, tmp_path):
    file = tmp_path / "server.json"
    file.write_text('{"host": "h", "username": "u", "password": "hunter22", "host_key": null}')
    toml = written('[servers.plant]\nhost = "p"\nusername = "u"\n[cameras.a]\n[cameras.b]\nserver = "plant"\n')
    for config in (read(toml, {"IRIS_SERVER": str(file)}), read(toml, {}, Flags(server=file))):
        info = config.servers["default"].info()
        assert (info["host"], info["username"], info["password"]) == ("h", "u", "hunter22")
        assert "host_key" not in info
        assert [config.servers_of(name) for name in config.cameras] == [("default",), ("plant",)]


def test_the_source_flag_changes_the_one_camera_and_forgets_the_old_ones_login(written):
    file = written("[cameras.a]\nsource = 'rtsp://h/x'\nusername = 'u'\npassword = 'p'\nproject = 'kept'\n")
    camera = read(file, {}, Flags(source="file:belt.mp4")).cameras["a"]
    assert (camera.source, camera.username, camera.project) == ("file:belt.mp4", "", "kept")
    assert read(None, {}, Flags(source="usb:0")).cameras["line-1"].source == "usb:0"


def test_the_detector_flag_is_for_every_camera_and_keeps_the_settings_of_its_kind(written):
    file = written("""
[inspection.detector]
kind = "haar"
neighbours_min = 5
[cameras.a]
[cameras.b.inspection.detector]
model = "b.onnx"
""")
    haar = read(file, {}, Flags(detector="haar"))
    assert haar.inspection_of("a").detector == DetectorSettings(kind="haar", neighbours_min=5)
    assert haar.inspection_of("b").detector == DetectorSettings(kind="haar")
    own = read(file, {}, Flags(detector="mine.onnx"))
    assert own.inspection_of("a").detector == DetectorSettings(model=Path("mine.onnx"))
    assert own.inspection_of("b").detector == DetectorSettings(model=Path("mine.onnx"))
    assert read(None, {}, Flags(detector="hog")).inspection.detector.kind == "hog"


def test_paths_in_the_file_are_relative_to_the_file(written, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/srv/ann")
    config = read(
        written("""
[cameras.a]
source = "file:belt.mp4"
[cameras.b]
source = "dir:/pictures"
inspection.detector.model = "models/own.onnx"
[inspection.detector]
kind = "haar"
cascade = "own.xml"
[records]
folder = "records"
[outbox]
folder = "~/outbox"
[servers.plant]
host = "h"
username = "u"
private_key = "key"
[delivery.rules.mine]
move_to = "sent"
"""),
        {},
    )
    assert config.delivery.rules["mine"].move_to == str(tmp_path / "sent")
    assert config.cameras["a"].path == tmp_path / "belt.mp4"
    assert config.cameras["b"].source == "dir:/pictures"
    assert config.inspection_of("b").detector.model == tmp_path / "models/own.onnx"
    assert config.inspection.detector.cascade == str(tmp_path / "own.xml")
    assert (config.records_dir, config.outbox_dir) == (tmp_path / "records", Path("/srv/ann/outbox"))
    assert config.servers["plant"].private_key == str(tmp_path / "key")


def test_a_cascade_by_name_and_a_key_as_text_are_no_paths(written):
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\\nAAAA\\n"
    file = written(
        f'[servers.a]\nhost = "h"\nusername = "u"\nprivate_key = "{text}"\n'
        "[inspection.detector]\nkind = 'haar'\ncascade = 'eye'\n"
    )
    config = read(file, {})
    assert config.inspection.detector.cascade == "eye"
    assert config.servers["a"].private_key.startswith("-----BEGIN")
    assert len(config.secrets) == 1


def test_each_value_carries_where_it_was_given(written):
    file = written("[web]\nport = 1\n[cameras.a]\nsource = 'synthetic'\n")
    reading = read_with_origins(file, {"IRIS_RECORDS": "/r"}, Flags(port=3))
    assert str(reading.origin("cameras", "a", "source")) == f"{file}:4"
    assert str(reading.origin("cameras", "a", "repeat")) == f"{file}:3"
    assert str(reading.origin("records", "folder")) == "IRIS_RECORDS"
    assert str(reading.origin("web", "port")) == "--port"


def test_the_settings_file_is_the_named_one_else_the_variables_else_the_one_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("iris_camera.config.reading.SYSTEM_FILE", tmp_path / "etc" / "iris.toml")
    assert find_file(None, {}) is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "iris.toml").touch()
    assert find_file(None, {}) == tmp_path / "etc" / "iris.toml"
    (tmp_path / "iris.toml").touch()
    assert find_file(None, {}) == Path("iris.toml")
    assert find_file(None, {"IRIS_CONFIG": "/c.toml"}) == Path("/c.toml")
    assert find_file(Path("named.toml"), {"IRIS_CONFIG": "/c.toml"}) == Path("named.toml")


def test_a_config_made_in_code_needs_nothing_and_is_checked_as_well():
    assert Config().servers_of("line-1") == ()
    with pytest.raises(ValueError, match=r"cameras.a.server is \"plant\": there is no \[servers"):
        Config(cameras={"a": CameraSettings(server="plant")})
    with pytest.raises(ValueError, match="cannot be part of a file name"):
        Config(cameras={"a/b": CameraSettings()})


def test_a_camera_may_have_several_servers(written):
    servers = "".join(f'[servers.{name}]\nhost = "{name}"\nusername = "u"\n' for name in "abc")
    config = read(written(servers + '[cameras.one]\nserver = "b"\n[cameras.both]\nserver = ["c", "a"]\n'), {})
    assert config.servers_of("one") == ("b",)
    assert config.servers_of("both") == ("c", "a")
    assert Config(cameras={"x": CameraSettings(server=("a",))}, servers=config.servers).servers_of("x") == ("a",)
    assert read(written(servers + "[cameras.one]\n"), {"IRIS_CAMERAS__ONE__SERVER": "a, b"}).servers_of("one") == (
        "a",
        "b",
    )


def test_rules_are_kept_in_the_order_of_the_file_and_evidence_goes_first_after_them(written):
    text = "[delivery.rules.zebra]\nfolder_type = 'model'\npriority = -1\n[delivery.rules.ant]\nttl_s = 60\n"
    rules = read(written(text), {}).delivery.rules
    assert list(rules) == ["zebra", "ant", "evidence-first"]
    assert (rules["zebra"].priority, rules["ant"].ttl_s) == (-1, 60.0)
    assert rules["evidence-first"] == Rule(folder_type="evidence", priority=5)


def test_a_rule_of_the_built_in_ones_name_takes_its_place(written):
    text = "[delivery.rules.evidence-first]\nfolder_type = 'evidence'\npriority = -5\n[delivery.rules.b]\n"
    rules = read(written(text), {}).delivery.rules
    assert list(rules) == ["evidence-first", "b"]
    assert rules["evidence-first"].priority == -5


def test_a_server_takes_all_that_the_library_takes_with_its_defaults_and_its_messages():
    own = {found.name: found for found in dataclasses.fields(ServerSettings)}
    for found in dataclasses.fields(Server):
        if found.name != "host_key":  # which may be a list here
            assert own[found.name].type == found.type
        assert own[found.name].default == found.default
        assert not found.metadata or own[found.name].metadata == found.metadata


def test_the_delivery_settings_of_a_server_are_handed_on(written):
    text = """[servers.plant]
host = "h"
username = "u"
marker = ".sha256"
windows = ["22:00-06:00", "Sat,Sun"]
health_interval_s = 0
health_round_trip = true
retry_base_s = 1
"""
    server, _ = parse_server(read(written(text), {}).servers["plant"].info())
    assert (server.marker, server.windows) == (".sha256", ("22:00-06:00", "Sat,Sun"))
    assert (server.health_interval_s, server.health_round_trip, server.retry_base_s) == (0.0, True, 1.0)
    assert (server.conflict, server.attempts_max) == ("rename", None)


def test_the_outbox_s_limits_are_handed_on(written):
    limits = read(written("[outbox]\nbytes_max = 10_000\ndisk_reserve_bytes = 0\n"), {}).outbox.limits
    assert limits == Limits(10_000, 0, "reject")
    assert Config().outbox.limits.disk_reserve_bytes < Config().records.disk_reserve_bytes
