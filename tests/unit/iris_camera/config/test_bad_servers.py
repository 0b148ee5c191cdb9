"""Bad settings of servers, their files and delivery: the error, its line, and no password in it."""

import pytest

from iris_camera.config import ConfigError, Flags, read


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5_000])
def test_a_server_file_beyond_every_reader_is_reported_as_a_sentence(tmp_path, value):
    (tmp_path / "s.json").write_text(value)
    with pytest.raises(ConfigError, match="the server file is no JSON that can be read"):
        read(None, {}, Flags(server=tmp_path / "s.json"))


def test_a_server_that_is_not_there_is_reported_with_those_that_are(errors_in):
    text = """\
[servers.plant]
host = "h"
username = "u"
[servers.office]
host = "h2"
username = "u"
[cameras.a]
server = "plnt"
[cameras.b]
"""
    assert errors_in(text) == [
        '8 cameras.a.server is "plnt": expected "plant" or "office"; did you mean "plant"?',
        '9 cameras.b.server is not given, and there are several: expected "plant" or "office"',
    ]


def test_a_server_where_there_are_none_is_reported(errors_in):
    assert errors_in('[cameras.a]\nserver = "plant"\n') == ['2 cameras.a.server is "plant": there is no [servers.*]']


SEVERAL = """\
[servers.plant]
host = "h"
username = "u"
[servers.office]
host = "h2"
username = "u"
[cameras.a]
"""


@pytest.mark.parametrize(
    ("server", "message"),
    [
        ('["plant", "ofice"]', 'holds "ofice": expected "plant" or "office"; did you mean "office"?'),
        ('["plant", 5]', "holds 5: expected a string in quotes or a list of strings"),
        ("5", "is 5: expected a string in quotes or a list of strings"),
        ('["plant", "plant"]', 'names "plant" twice: a file goes to each server once'),
        ("[]", 'is not given, and there are several: expected "plant" or "office"'),
    ],
)
def test_impossible_servers_are_reported_once(errors_in, server, message):
    assert errors_in(f"{SEVERAL}server = {server}\n") == [f"8 cameras.a.server {message}"]


ACCOUNT = '[servers.plant]\nhost = "h"\nusername = "u"\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'conflict = "overwrit"',
            'conflict is "overwrit": expected "rename", "overwrite", "fail" or "keep"; did you mean "overwrite"?',
        ),
        ('marker = ".ok"', 'marker is ".ok": expected "", ".done" or ".sha256"'),
        ("atempts_max = 3", 'atempts_max is no setting; did you mean "attempts_max"?'),
        ("attempts_max = 0", "attempts_max is 0: expected a number of at least 1"),
        ("bandwidth_bytes_per_s = -5", "bandwidth_bytes_per_s is -5.0: expected a number of at least 0"),
        ("windows = '22:00-06:00'", 'windows is "22:00-06:00": expected a list of strings'),
        (
            "windows = ['Sat', '25:00-26:00']",
            (
                "windows cannot be used: '25:00-26:00' is not a delivery window: 25:00 is not a time of day; "
                'write "22:00-06:00", "Mon-Fri 18:00-06:00" or "Sat,Sun", in local time'
            ),
        ),
        ("health_round_trip = 'yes'", 'health_round_trip is "yes": expected true or false'),
    ],
)
def test_an_impossible_delivery_setting_of_a_server_is_reported_on_its_line(errors_in, line, message):
    assert errors_in(f"{ACCOUNT}{line}\n") == [f"4 servers.plant.{message}"]


def test_everything_wrong_with_delivery_and_its_rules_is_reported_at_once(errors_in):
    text = """\
[delivery]
priority = 3
lower_share = 0.7
[delivery.rules.pictures]
folder_type = "evidence"
priority = 11
prio = 5
after_delivery = "move"
[delivery.rules.tables]
pattern = 5
priority = 12
batch = "rar"
[delivery.rules]
other = 7
"""
    assert errors_in(text) == [
        "2 delivery.priority is no setting; it belongs in [delivery.rules.NAME]",
        "3 delivery.lower_share is 0.7: expected a number from 0 to 0.5",
        "6 delivery.rules.pictures.priority is 11: expected a whole number from -9 (last) to 9 (first)",
        '7 delivery.rules.pictures.prio is no setting; did you mean "priority"?',
        '8 delivery.rules.pictures.after_delivery is "move", so move_to has to name a folder',
        "10 delivery.rules.tables.pattern is 5: expected a string in quotes",
        "11 delivery.rules.tables.priority is 12: expected a whole number from -9 (last) to 9 (first)",
        '12 delivery.rules.tables.batch is "rar": expected "zip" or "tar.gz"',
        "14 delivery.rules.other is 7: expected a table, [delivery.rules.NAME]",
    ]


def test_a_variable_of_a_server_is_reported_like_its_key(tmp_path):
    file = tmp_path / "iris.toml"
    file.write_text(ACCOUNT)
    environment = {
        "IRIS_SERVERS__PLANT__CONFLICT": "kep",
        "IRIS_SERVERS__PLANT__CONFLCT": "keep",
        "IRIS_SERVERS__OTHER__CONFLICT": "keep",
        "IRIS_SERVERS__PLANT__PASSWORD": "hunter22",
    }
    with pytest.raises(ConfigError) as raised:
        read(file, environment)
    said = {problem.origin.place: problem.text for problem in raised.value.problems}
    assert said.keys() == environment.keys()
    assert 'did you mean "keep"?' in said["IRIS_SERVERS__PLANT__CONFLICT"]
    assert 'did you mean "IRIS_SERVERS__PLANT__CONFLICT"?' in said["IRIS_SERVERS__PLANT__CONFLCT"]
    assert "is no setting" in said["IRIS_SERVERS__OTHER__CONFLICT"]
    assert "hunter22" not in str(raised.value)


def test_a_variable_that_two_servers_may_mean_is_refused(tmp_path):
    file = tmp_path / "iris.toml"
    file.write_text("".join(f"[servers.{name}]\nhost = 'h'\nusername = 'u'\n" for name in ("a-b", "a_b")))
    with pytest.raises(ConfigError, match=r"IRIS_SERVERS__A_B__PORT may be servers\.a-b\.port or servers\.a_b\.port"):
        read(file, {"IRIS_SERVERS__A_B__PORT": "2222"})


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("{", 1, "is not JSON"),
        ('["h"]', 1, "holds no object"),
        ('{"host": "h"}', 1, "servers.default.username is missing"),
        ('{"host": "h",\n "username": "u",\n "pasword": "sesame"}', 3, 'did you mean "password"'),
        ('{"host": "h",\n "username": "u",\n "port": 0}', 3, "expected a number from 1 to 65535"),
    ],
)
def test_a_server_file_that_cannot_be_used_is_reported_with_its_line(tmp_path, content, line, message):
    file = tmp_path / "server.json"
    file.write_text(content)
    with pytest.raises(ConfigError) as raised:
        read(None, {"IRIS_SERVER": str(file)})
    (problem,) = raised.value.problems
    assert str(problem).startswith(f"{file}:{line}: ")
    assert message in problem.text
    assert "sesame" not in str(problem)


def test_a_server_file_that_is_missing_is_reported_where_it_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"IRIS_SERVER: the server file .*missing\.json cannot be read"):
        read(None, {"IRIS_SERVER": str(tmp_path / "missing.json")})
    with pytest.raises(ConfigError, match=r"--server: the server file .*missing\.json cannot be read"):
        read(None, {}, Flags(server=tmp_path / "missing.json"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{remote_dir}/{file}", "but there is no {remote_dir}; did you mean {remote_directory}?"),
        ("{remote_directory}/{camera}/{file_name}", "but there is no {camera}; known are {remote_directory}"),
        ("{remote_directory}/{file_name", "which is not a template: expected '}' before end of string"),
        ("{remote_directory}/{project}/", "which names no file"),
    ],
)
def test_a_remote_path_that_cannot_be_filled_is_reported_on_its_line(errors_in, template, message):
    (only,) = errors_in(f'[servers.plant]\nhost = "h"\nusername = "u"\nremote_path = "{template}"\n')
    assert only.startswith(f"4 servers.plant.remote_path is '{template}'")
    assert message in only


@pytest.mark.parametrize(
    "text", ['{"host": "h", "password": "hunter22"', "{'password':'hunter22'}", "sftp://iris:hunter22@h"]
)
def test_a_server_that_is_given_in_place_of_its_file_has_its_password_shown_nowhere(tmp_path, text):
    (tmp_path / "iris.toml").write_text("")
    with pytest.raises(ConfigError, match=r"IRIS_SERVER: the server file .* cannot be read") as raised:
        read(tmp_path / "iris.toml", {"IRIS_SERVER": text})
    assert "hunter22" not in str(raised.value)
