"""Settings that can be used and are cautioned against."""

import os

import pytest

from iris_camera.config.cautions import cautions
from iris_camera.config.over_the_file import Flags
from iris_camera.config.reading import read_with_origins
from iris_communication.sftp_uploader_thread import SftpUploaderThread
from tests.unit.iris_camera.config.server_text import server


def cautions_of(reading):
    return [f"{problem.origin.line} {problem.text}" for problem in cautions(reading)]


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


def test_a_host_key_that_is_not_checked_is_always_reported(reading_of):
    (only,) = cautions_of(reading_of(server(host_key=None, host_key_policy="off")))
    assert only.startswith('5 servers.plant.host_key_policy is "off"')
    assert cautions_of(reading_of(server(host_key_policy="off"))) == []


def test_a_page_without_a_login_on_every_network_is_reported(reading_of):
    (only,) = cautions_of(reading_of(server() + '[web]\nhost = "0.0.0.0"\n'))
    assert only.startswith('7 web.host is "0.0.0.0"')


def test_no_server_and_no_file_are_reported():
    reading = read_with_origins(None, {"IRIS_OUTBOX": "/o/outbox"})
    said = "\n".join(map(str, cautions(reading)))
    assert "so records wait in /o/records" in said
    assert "the made-up line runs" in said
    with_source = read_with_origins(None, {}, Flags(source="usb:0", detector="haar"))
    assert "made-up" not in "\n".join(map(str, cautions(with_source)))


def test_the_demos_detector_on_ones_own_film_is_reported(reading_of):
    (only,) = cautions_of(reading_of(server() + '[cameras.a]\nsource = "usb:0"\n'))
    assert only.startswith("7 cameras.a is looked at by the demo's own detector")


def test_a_folder_without_a_picture_in_it_is_reported_with_the_reason(reading_of, tmp_path):
    (tmp_path / "shots" / "2026-11-01").mkdir(parents=True)
    text = server() + '[inspection.detector]\nkind = "haar"\n[cameras.a]\nsource = "dir:shots"\n'
    assert cautions_of(reading_of(text)) == [
        (
            f"9 cameras.a: nothing in {tmp_path / 'shots'} is a picture that can be read: it holds 1 folder; "
            f'"dir:{tmp_path / "shots"}/**" looks into its folders too'
        )
    ]
    text = text.replace("dir:shots", "dir:shots/**")
    assert cautions_of(reading_of(text)) == []  # an empty folder is waited for
    (tmp_path / "shots" / "2026-11-01" / "a.heic").write_bytes(b"x")
    (only,) = cautions_of(reading_of(text))
    assert only.endswith("it holds 1 file ending in .heic")
    (tmp_path / "shots" / "2026-11-01" / "a.jpg").write_bytes(b"x")
    assert cautions_of(reading_of(text)) == []


def test_two_names_of_one_account_with_different_passwords_are_reported(reading_of):
    text = server() + server(password="hunter23").replace("plant", "other") + '[cameras.a]\nserver = "plant"\n'
    (only,) = cautions_of(reading_of(text))
    assert only.startswith(
        "6 servers.other is the account iris@sftp.example:22 of servers.plant with another password;"
    )
    assert "hunter2" not in only


def test_two_names_of_one_account_may_differ_in_the_folder_and_in_nothing_else(reading_of):
    two = server() + server(remote_directory="/other").replace("plant", "other") + '[cameras.a]\nserver = "plant"\n'
    assert cautions_of(reading_of(two)) == []
    (only,) = cautions_of(reading_of(two.replace("remote_directory", 'marker = ".done"\nremote_directory')))
    assert "with another marker; an account has one of each" in only


CSV_TO_ZIP = "[delivery.rules.t]\npattern = '*.csv'\nbatch = 'zip'\n"


@pytest.mark.parametrize(
    ("text", "caution"),
    [
        ("[outbox]\nwhen_full = 'drop_oldest'\n", '7 outbox.when_full is "drop_oldest": when the outbox is full'),
        ("[delivery]\nttl_s = 60\n", "7 delivery.ttl_s is 60: a file that is not delivered by then is given up"),
        ("[delivery.rules.r]\nttl_s = 60\n", "7 delivery.rules.r.ttl_s is 60: a file that is not"),
        (
            "[delivery.rules.all]\npriority = 3\n",
            "6 delivery.rules.all: pictures of defects (evidence) do not go before",
        ),
        ("[delivery.rules.m]\nfolder_type = 'model'\npriority = 6\n", "6 delivery.rules.m: pictures of defects"),
        ("[delivery.rules.evidence-first]\n", "6 delivery.rules.evidence-first: pictures of defects (evidence) do not"),
        ("[delivery.rules.b]\nbatch = 'zip'\n", "7 delivery.rules.b puts pictures of defects (evidence) into archives"),
        (
            "[delivery.rules.d]\nfolder_type = 'model'\nafter_delivery = 'delete'\n",
            '8 delivery.rules.d.after_delivery is "delete", which says nothing of the cameras\' own files',
        ),
        ("[delivery.rules.s]\nfolder_type = 'sent-by-hand'\nafter_delivery = 'delete'\n", None),
        ("[delivery.rules.e]\nfolder_type = 'evidence'\npriority = 1\n", None),
        (CSV_TO_ZIP, None),
    ],
)
def test_a_setting_that_gives_up_drops_or_delays_files_is_reported(reading_of, text, caution):
    found = cautions_of(reading_of(server() + text))
    assert len(found) == (caution is not None)
    assert not found or found[0].startswith(caution)


@pytest.mark.parametrize("conflict", ["overwrite", "keep"])
def test_a_conflict_in_which_a_file_is_lost_is_reported(reading_of, conflict):
    (only,) = cautions_of(reading_of(server(conflict=conflict)))
    assert only.startswith(f'6 servers.plant.conflict is "{conflict}": ')
    assert cautions_of(reading_of(server(conflict="fail"))) == []


def test_files_that_expire_while_their_server_may_not_be_sent_anything_are_reported(reading_of):
    closed = server() + 'windows = ["22:00-06:00"]\n'
    (only,) = cautions_of(reading_of(closed + "[delivery]\nttl_s = 3600\n"))
    assert only.endswith("is given up, also while plant may not be sent anything (windows)")


def test_one_folder_that_is_named_twice_is_reported(reading_of):
    text = server() + server().replace("plant", "twin") + '[cameras.a]\nserver = ["plant", "twin"]\n'
    (only,) = cautions_of(reading_of(text))
    assert only.startswith("12 cameras.a.server names plant and twin, which are one folder of one account")


def test_no_camera_that_is_enabled_is_reported(reading_of):
    (only,) = cautions_of(reading_of(server() + "[cameras.a]\nenabled = false\n"))
    assert "no camera is enabled" in only


def test_an_outbox_that_is_owned_is_a_caution_with_its_owner_and_nothing_is_touched(reading_of, tmp_path):
    folder = tmp_path / "state" / "outbox"
    reading = reading_of(server())
    uploader = SftpUploaderThread(folder)
    uploader.open()
    try:
        (only,) = cautions_of(reading)
        assert f"the outbox {folder} is in use by process {os.getpid()}, since" in only
        uploader.get_stats()
    finally:
        uploader.close()
    assert cautions_of(reading) == []
