"""docs/shutdown.md lists the steps of the shutdown as the application takes them."""

import re
from pathlib import Path

from iris_camera import application
from iris_camera.config import Config, OutboxSettings
from iris_camera.shutdown import TOTAL_S
from iris_communication.sftp_uploader_thread import SftpUploaderThread

PAGE = Path(__file__).resolve().parents[2] / "docs" / "shutdown.md"


def test_the_page_has_each_step_with_its_limit(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(application, "carry_out", taken.extend)
    config = Config(outbox=OutboxSettings(folder=tmp_path))
    application.Application(config, uploader=SftpUploaderThread(tmp_path)).cleanup_threads()
    steps = re.findall(r"^\| ([^|(;]+?)(?:[(;][^|]*)? \| ([\d.]+) s \|$", PAGE.read_text(), re.MULTILINE)
    assert [(text.strip(), float(limit)) for text, limit in steps] == [(step.text, step.limit_s) for step in taken]


def test_the_page_has_the_limit_of_the_whole():
    assert f"within {TOTAL_S:.0f} seconds" in " ".join(PAGE.read_text().split())
