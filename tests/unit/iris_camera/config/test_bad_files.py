"""Bad settings files, each as a person might really write it: the error, and its line."""

from pathlib import Path

import pytest

from iris_camera.config import ConfigError, Flags, read


def test_a_misspelt_key_is_reported_with_what_was_meant(errors_in):
    assert errors_in("[web]\n\nprot = 5001\n") == ['3 web.prot is no setting; did you mean "port"?']


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5_000, "{a=" * 10_000], ids=["lists", "digits", "tables"])
def test_a_value_beyond_every_reader_is_reported_as_a_sentence(errors_in, value):
    (only,) = errors_in(f"a = {value}")
    assert only.startswith("1 this is no TOML")


def test_a_byte_order_mark_is_passed_over(errors_in):
    assert errors_in("\ufeff[web]\n\nprot = 5001\n") == ['3 web.prot is no setting; did you mean "port"?']


def test_a_misspelt_section_is_reported_with_what_was_meant(errors_in):
    assert errors_in("[camera.line-1]\nsource = 'synthetic'\n") == ['1 camera is no setting; did you mean "cameras"?']


def test_a_key_in_the_wrong_section_is_reported_with_where_it_belongs(errors_in):
    assert errors_in("[log]\nrows_max = 5\n") == ["2 log.rows_max is no setting; it belongs in [records]"]


def test_a_key_before_any_section_is_reported_with_where_it_belongs(errors_in):
    assert errors_in("source = 'synthetic'\n") == ["1 source is no setting; it belongs in [cameras.NAME]"]


def test_a_key_of_an_inner_table_is_reported_with_where_it_belongs(errors_in):
    text = "[inspection]\nkind = 'haar'\n[cameras.a.inspection.classifier]\ncolour = 'bgr'\n"
    assert errors_in(text) == [
        "2 inspection.kind is no setting; it belongs in [inspection.detector] or [inspection.classifier]",
        "4 cameras.a.inspection.classifier.colour is no setting; it belongs in [cameras.a.inspection.classifier.input]",
    ]


def test_cameras_written_as_a_list_are_reported_with_how_they_are_written(errors_in):
    assert errors_in("[[cameras]]\nsource = 'synthetic'\n") == ["1 cameras is a list: expected a table, [cameras.NAME]"]


def test_a_detector_given_as_a_text_is_reported_with_how_it_is_written(errors_in):
    assert errors_in("[cameras.a.inspection]\ndetector = 'haar'\n") == [
        '2 cameras.a.inspection.detector is "haar": expected a table, [cameras.a.inspection.detector]'
    ]


def test_a_camera_without_a_name_is_reported_with_how_it_is_written(errors_in):
    (only,) = errors_in("[cameras]\nsource = 'synthetic'\n")
    assert only.startswith('2 cameras.source is "synthetic": expected a table, [cameras.NAME]')


def test_a_word_where_a_number_belongs_is_shown(errors_in):
    assert errors_in('[records]\nrows_max = "many"\n') == ['2 records.rows_max is "many": expected a whole number']


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[cameras.a]\nsource = "file:a\\u0000b.mp4"', "cameras.a.source"),
        ('[outbox]\nfolder = "a\\u0000b"', "outbox.folder"),
        ('[records]\nfolder = "a\\u0000b"', "records.folder"),
        ('[inspection.detector]\nlabels = "a\\u0000b.txt"', "inspection.detector.labels"),
        ('[inspection]\ndefect_labels = ["a", "b\\u0000"]', "inspection.defect_labels"),
        ("[servers.a]\nhost = \"h\\u0000\"\nusername = 'u'\npassword = 'p'", "servers.a.host"),
    ],
)
def test_a_text_with_a_zero_byte_is_reported_by_its_key_alone(errors_in, text, key):
    assert errors_in(text + "\n") == [f"2 {key} holds a zero byte, or bytes that are not UTF-8"]


def test_a_flag_that_is_not_utf_8_is_reported_as_a_sentence(tmp_path):
    with pytest.raises(ConfigError) as raised:
        read(None, {}, Flags(source="file:\udcff.mp4"))
    assert [problem.text for problem in raised.value.problems] == [
        "cameras.line-1.source holds a zero byte, or bytes that are not UTF-8"
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("port = '5000'", '2 web.port is "5000": expected a whole number'),
        ("port = 50.5", "2 web.port is 50.5: expected a whole number"),
        ("port = true", "2 web.port is true: expected a whole number"),
        ("port = [5000]", "2 web.port is a list: expected a whole number"),
        ("port = 2026-11-24", "2 web.port"),
        ("port_falls_back = 1", "2 web.port_falls_back is 1: expected true or false"),
        ("port = 70000", "2 web.port is 70000: expected 0 (any free one) to 65535"),
    ],
)
def test_a_value_of_another_kind_is_reported_with_what_was_expected(errors_in, line, message):
    (only,) = errors_in(f"[web]\n{line}\n")
    assert only.startswith(message)


def test_an_unknown_choice_is_reported_with_the_choices_and_what_was_meant(errors_in):
    assert errors_in('[inspection]\nthreads = 1\n[inspection.detector]\nkind = "har"\n') == [
        '4 inspection.detector.kind is "har": expected "onnx", "haar" or "hog"; did you mean "haar"?'
    ]


def test_impossible_limits_are_reported(errors_in):
    assert errors_in("[outbox]\nbytes_max = 0\ndisk_reserve_bytes = -5\nwhen_full = 'drop'\n") == [
        "2 outbox.bytes_max is 0: expected a number above 0",
        "3 outbox.disk_reserve_bytes is -5: expected 0 or more",
        '4 outbox.when_full is "drop": expected "reject", "drop_oldest" or "drop_lowest"',
    ]


def test_a_key_that_has_to_be_there_is_reported_with_its_table(errors_in):
    assert errors_in('[web]\n[servers.plant]\nusername = "u"\n') == [
        "2 servers.plant.host is missing: expected name or address of the server"
    ]


def test_a_key_that_is_there_but_misspelt_is_reported_once(errors_in):
    assert errors_in('[servers.plant]\nhots = "h"\nusername = "u"\n') == [
        '2 servers.plant.hots is no setting; did you mean "host"?'
    ]


def test_an_element_of_a_list_is_reported_on_its_own_line(errors_in):
    text = '[inspection]\ndefect_labels = [\n  "scratch",\n  7,\n]\n'
    assert errors_in(text) == ["4 inspection.defect_labels holds 7: expected a list of strings"]


@pytest.mark.parametrize(("numbers", "count"), [("[]", 0), ("[1.0, 2.0]", 2), ("[1.0, 2.0, 3.0, 4.0]", 4)])
def test_a_list_with_too_few_or_too_many_numbers_is_reported_once_with_how_many_there_are(errors_in, numbers, count):
    assert errors_in(f"[inspection.detector.input]\nmean = {numbers}\n") == [
        f"2 inspection.detector.input.mean is a list of {count}: expected a list of 3 numbers"
    ]


def test_a_packages_own_refusal_points_at_the_key_it_names(errors_in):
    text = (
        '[cameras.a]\nrepeat = true\ninspection.threads = 1\ninspection.detector = { kind = "haar",\n model = "m" }\n'
    )
    (only,) = errors_in(text.replace(",\n model", ", model"))
    assert only.startswith("4 cameras.a.inspection.detector.model")
    assert 'kind is "haar"' in only


def test_a_source_of_an_unknown_kind_is_reported_with_what_was_meant(errors_in):
    (only,) = errors_in('[cameras.a]\nproject = "p"\nsource = "flie:belt.mp4"\n')
    assert only.startswith("3 cameras.a.source: ")
    assert only.endswith('did you mean "file"?')


def test_credentials_in_an_address_are_refused_on_its_line_and_not_shown(errors_in):
    (only,) = errors_in('[cameras.a]\nsource = "rtsp://me:hunter22@camera/stream"\n')
    assert only.startswith("2 cameras.a.source: ")
    assert "username and password" in only
    assert "hunter22" not in only


def test_a_camera_name_that_cannot_be_in_a_file_name_is_reported(errors_in):
    (only,) = errors_in('[cameras.a]\n[cameras."line 2/b"]\n')
    assert only.startswith('2 [cameras."line 2/b"]')
    assert "digits" in only


def test_a_project_that_climbs_out_of_its_folder_is_refused(errors_in):
    assert errors_in('[cameras.a]\nproject = "../b"\n') == [
        '2 cameras.a.project is "../b": expected one path component, without "/" and not ".."'
    ]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(errors_in):
    text = """\
[cameras.line-1]
sever = "plant"
frame_rate = "fast"
stalled_after_s = -1
[records]
size_bytes_max = "1 MB"
age_s_max = -5
[servers.plant]
port = 99999
pasword = "hunter22"
[web]
port = 99999
host = 5
"""
    assert [line.split(":")[0] for line in errors_in(text)] == [
        '2 cameras.line-1.sever is no setting; did you mean "server"?',
        '3 cameras.line-1.frame_rate is "fast"',
        "4 cameras.line-1.stalled_after_s is -1",
        '6 records.size_bytes_max is "1 MB"',
        "7 records.age_s_max",
        "8 servers.plant.host is missing",
        "8 servers.plant.username is missing",
        "9 servers.plant.port is 99999",
        '10 servers.plant.pasword is no setting; did you mean "password"?',
        "12 web.port is 99999",
        "13 web.host is 5",
    ]


def test_the_consequence_of_a_mistake_is_not_reported_besides(errors_in):
    """keep_age_s_max alone would be a mistake of its own: here it only looks so, because its companion is wrong."""
    text = '[records]\nkeep_bytes_max = "1 GB"\nkeep_age_s_max = 5.0\n'
    assert errors_in(text) == ['2 records.keep_bytes_max is "1 GB": expected a whole number']


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[cameras.a]\nsource = file:belt.mp4\n", 2, "a value is a string in quotes"),
        ("[web]\nport = 1\n\nport = 2\n", 4, "this key stands there already"),
        ("[web]\n[log]\n[web]\n", 3, "this table stands there already"),
        ('[cameras.a]\nsource = "file:C:\\video.mp4"\n', 2, "single quotes"),
        ('[cameras.a]\nsource = "file:belt.mp4\nrepeat = true\n', 2, "the closing quote is missing"),
        ("[web]\nport 5000\n", 2, "key = value"),
        ("[web\nport = 5000\n", 1, "this is no TOML"),
        ('[web]\nhost = """\n', 2, "this is no TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_reported_with_its_line_and_what_to_do(errors_in, text, line, message):
    (only,) = errors_in(text)
    assert only.startswith(f"{line} this is no TOML")
    assert message in only


def test_a_file_in_another_encoding_is_reported_with_its_line(tmp_path):
    file = tmp_path / "iris.toml"
    file.write_bytes('[cameras.a]\nproject = "Prüfstand"\n'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"iris\.toml:2: .*UTF-8"):
        read(file, {})


def test_a_file_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.toml: the settings file cannot be read: No such file"):
        read(tmp_path / "missing.toml", {})


SECRETS_IN_EVERY_WRONG_PLACE = """\
[cameras.a]
server = "plant"
source = "rtsp://me:sesame-1@host/x"
[cameras.b]
server = "sesame-6"
pasword = "sesame-2"
password = ["sesame-3"]
[servers.plant]
host = "h"
username = "u"
password = { fiel = "sesame-4" }
passphrase = { command = ["echo-sesame", "sesame-5"] }
private_key = { environment = "SESAME" }
[servers.other]
host = "h"
username = "\\u0007 sesame-6"
password = "sesame-6"
host_key_policy = "sesame-6"
passwort = { environment = "sesame-7" }
"""


def test_no_error_shows_a_secret_wherever_it_was_put(errors_in):
    said = errors_in(SECRETS_IN_EVERY_WRONG_PLACE)
    assert [int(line.split()[0]) for line in said] == [3, 5, 6, 7, 11, 12, 13, 16, 18, 19]
    assert "sesame-" not in "\n".join(said)


def test_a_mistake_in_the_environment_names_the_variable(tmp_path):
    environment = {"IRIS_WEB__PORT": "http", "IRIS_RECORDS__AGE_S_MAX": "-1", "IRIS_WEB__PROT": "1"}
    with pytest.raises(ConfigError) as raised:
        read(None, environment)
    assert [str(problem).split(" ")[0] for problem in raised.value.problems] == [
        "IRIS_RECORDS__AGE_S_MAX:",
        "IRIS_WEB__PORT:",
        "IRIS_WEB__PROT:",
    ]
    assert 'did you mean "IRIS_WEB__PORT"' in str(raised.value)


@pytest.mark.parametrize("port", ["http", "-1", "65536"])
def test_a_text_in_the_environment_that_is_no_port_is_named(port):
    with pytest.raises(ConfigError, match=r"IRIS_PORT: web\.port is .*: expected"):
        read(None, {"IRIS_PORT": port})


def test_a_mistake_in_a_flag_names_the_flag():
    with pytest.raises(ConfigError) as raised:
        read(None, {}, Flags(source="flie:x.mp4", detector="harr", port=70000))
    assert [problem.origin.place for problem in raised.value.problems] == ["--detector", "--port", "--source"]
    assert 'did you mean "haar"' in str(raised.value)


def test_a_flag_that_does_not_say_of_which_camera_is_refused(tmp_path):
    file = tmp_path / "iris.toml"
    file.write_text("[cameras.a]\n[cameras.b]\n")
    with pytest.raises(ConfigError, match=r"--source: .*there are a, b"):
        read(file, {}, Flags(source="synthetic"))


@pytest.mark.parametrize("named", ["settings", "server"])
def test_a_file_without_end_is_refused_and_not_read_into_memory(named):
    environment = {"IRIS_SERVER": "/dev/zero"} if named == "server" else {}
    with pytest.raises(ConfigError, match=f"the {named} file is larger than 1 MB: is it the right one"):
        read(None if named == "server" else Path("/dev/zero"), environment)
