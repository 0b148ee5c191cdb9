"""What can be used and is worth a word all the same."""

from iris_camera.config.cautions import cautions
from iris_camera.config.over_the_file import Flags
from iris_camera.config.reading import read_with_origins
from tests.unit.iris_camera.config.server_text import server


def cautions_of(reading):
    return [f"{problem.origin.line} {problem.words}" for problem in cautions(reading)]


def test_a_password_in_a_file_that_others_may_read_is_cautioned_against_and_not_shown(reading_of):
    reading = reading_of(
        server() + '[cameras.a]\nsource = "rtsp://h/x"\nusername = "u"\npassword = "hunter23"\n'
        '[inspection.detector]\nkind = "haar"\n'
    )
    assert cautions_of(reading) == []
    reading.file.chmod(0o644)
    first, second = cautions_of(reading)
    assert first.startswith("5 servers.plant.password stands here as it is")
    assert second.startswith("9 cameras.a.password stands here as it is")
    assert "hunter2" not in first + second


def test_a_password_kept_elsewhere_is_no_reason_for_caution(reading_of):
    text = server(password=None) + 'password = { environment = "PLANT" }\n'
    reading = reading_of(text, {"PLANT": "hunter22"})
    reading.file.chmod(0o644)
    assert cautions_of(reading) == []


def test_a_host_key_that_is_not_checked_is_always_said(reading_of):
    (only,) = cautions_of(reading_of(server(host_key=None, host_key_policy="off")))
    assert only.startswith('5 servers.plant.host_key_policy is "off"')
    assert cautions_of(reading_of(server(host_key_policy="off"))) == []


def test_a_page_without_a_login_on_every_network_is_said(reading_of):
    (only,) = cautions_of(reading_of(server() + '[web]\nhost = "0.0.0.0"\n'))
    assert only.startswith('7 web.host is "0.0.0.0"')


def test_no_server_and_no_file_are_said():
    reading = read_with_origins(None, {"IRIS_OUTBOX": "/o/outbox"})
    said = "\n".join(map(str, cautions(reading)))
    assert "so records wait in /o/records" in said
    assert "the made-up line runs" in said
    with_source = read_with_origins(None, {}, Flags(source="usb:0", detector="haar"))
    assert "made-up" not in "\n".join(map(str, cautions(with_source)))


def test_the_demos_detector_on_ones_own_film_is_said(reading_of):
    (only,) = cautions_of(reading_of(server() + '[cameras.a]\nsource = "usb:0"\n'))
    assert only.startswith("7 cameras.a is looked at by the demo's own detector")


def test_two_names_of_one_account_with_different_passwords_are_said(reading_of):
    text = server() + server(password="hunter23").replace("plant", "other") + '[cameras.a]\nserver = "plant"\n'
    (only,) = cautions_of(reading_of(text))
    assert only.startswith("6 servers.other is the account iris@sftp.example:22 of servers.plant")


def test_no_camera_that_is_enabled_is_said(reading_of):
    (only,) = cautions_of(reading_of(server() + "[cameras.a]\nenabled = false\n"))
    assert "no camera is enabled" in only
