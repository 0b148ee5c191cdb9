"""docs/shutdown.md lists the steps of the shutdown as the application takes them."""

import re
from pathlib import Path

from iris_camera.application import Application
from iris_camera.config import Config, OutboxSettings
from iris_camera.shutdown import TOTAL_S

PAGE = Path(__file__).resolve().parents[2] / "docs" / "shutdown.md"


class NoUploader:
    """Is never called: the test only reads the steps."""

    owed_names = close = None


def test_the_page_has_each_step_with_its_limit(tmp_path):
    application = Application(Config(outbox=OutboxSettings(folder=tmp_path)), uploader=NoUploader())
    steps = re.findall(r"^\| ([^|(;]+?)(?:[(;][^|]*)? \| ([\d.]+) s \|$", PAGE.read_text(), re.MULTILINE)
    assert [(text.strip(), float(limit)) for text, limit in steps] == [
        (step.text, step.limit_s) for step in application._steps()
    ]


def test_the_page_has_the_limit_of_the_whole():
    assert f"within {TOTAL_S:.0f} seconds" in " ".join(PAGE.read_text().split())
