"""What is imported when: asyncssh when something is to be sent, the camera's parts when a camera or a model is used."""

import contextlib
import sys

import pytest

from tests.own_process import in_a_process_of_its_own

WHAT_CONNECTS = ("asyncssh", "cryptography")
WHAT_DELIVERS = (
    *WHAT_CONNECTS,
    "iris_communication.delivery",
    "iris_communication.sftp",
    "iris_communication.transport",
)
OF_THE_CAMERA = ("cv2", "numpy", "onnxruntime")


def loaded(names):
    return {name for name in names if name in sys.modules}


@in_a_process_of_its_own
def test_checking_a_request_loads_nothing_of_what_delivers():
    from iris_communication.server.facts import parse_server
    from iris_communication.settings import DeliverySettings
    from iris_communication.upload_request import SftpUploadRequest, accept_message

    server = {"host": "sftp.example", "username": "iris", "host_key": "SHA256:" + "n" * 43, "private_key": "/keys/id"}
    request = SftpUploadRequest(server, "/records/a.csv", "line-1", "model")
    accept_message(request, DeliverySettings(), parse_server)
    assert loaded((*WHAT_DELIVERS, *OF_THE_CAMERA)) == set()


@in_a_process_of_its_own
def test_an_uploader_loads_what_connects_when_it_is_started(tmp_path):
    from iris_communication.sftp_uploader_thread import get_sftp_uploader

    uploader = get_sftp_uploader(outbox_dir=tmp_path / "outbox")
    uploader.open()
    assert loaded((*WHAT_CONNECTS, *OF_THE_CAMERA)) == set()
    uploader.start()
    assert loaded(WHAT_CONNECTS) == set(WHAT_CONNECTS)
    uploader.stop(timeout=5.0)
    uploader.close()


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "queue list",
        "ledger verify",
        "outbox check",
        "server list",
        "example",
        "send --help",
        "watch --help",
        "unpack --help",
        "server test --help",
        "run --help",
        "check --help",
        "demo --help",
        "model check --help",
    ],
)
@in_a_process_of_its_own
def test_a_verb_that_sends_nothing_loads_neither_what_connects_nor_the_camera(command, tmp_path):
    """`tmp_path` holds an outbox in use before, so that a verb has one to look into."""
    import os

    from iris_camera.cli.main import main
    from iris_communication.sftp_uploader_thread import SftpUploaderThread

    uploader = SftpUploaderThread(tmp_path / "outbox")
    uploader.open()
    uploader.close()
    os.environ["IRIS_OUTBOX"] = str(tmp_path / "outbox")
    sys.argv = ["iris", *command.split()]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):
        main()
    assert loaded((*WHAT_CONNECTS, *OF_THE_CAMERA)) == set()


@in_a_process_of_its_own
def test_the_application_loads_the_cameras_parts_only_where_a_camera_is_switched_on(tmp_path):
    from dataclasses import replace

    from iris_camera.application import Application
    from iris_camera.config import CameraSettings, Config, OutboxSettings

    off = CameraSettings(enabled=False)
    config = Config(cameras={"door": off}, outbox=OutboxSettings(folder=tmp_path / "outbox"))
    application = Application(config)
    assert loaded(OF_THE_CAMERA) == set()
    application.apply(replace(config, cameras={"door": CameraSettings()}))
    assert loaded(OF_THE_CAMERA) == set(OF_THE_CAMERA)
    application.cleanup_threads()
