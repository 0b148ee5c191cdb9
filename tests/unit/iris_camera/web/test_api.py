import cv2
import numpy as np
import pytest

from iris_camera.web.picture import Picture
from tests.unit.iris_camera.web.fake_line import FakeLine, belt, get


def test_the_state_is_the_whole_snapshot():
    line = FakeLine()
    assert get(line.app, "/api/state").json() == line.snapshot()


def test_health_is_200_with_its_sentence_while_iris_is_ready():
    answer = get(FakeLine().app, "/api/health")
    assert answer.status_code == 200
    assert answer.json()["sentence"] == "Iris works: 3 files on the way."


def test_health_is_503_with_sentence_and_reasons_while_iris_is_not_ready():
    line = FakeLine()
    line.health |= {
        "ready": False,
        "state": "unready",
        "sentence": "Iris is not ready: camera line-1 is offline.",
        "reasons": ["camera line-1 is offline"],
    }
    answer = get(line.app, "/api/health")
    assert answer.status_code == 503
    assert answer.json()["sentence"] == "Iris is not ready: camera line-1 is offline."
    assert answer.json()["reasons"] == ["camera line-1 is offline"]


def test_a_picture_is_a_jpeg_of_the_latest_frame():
    line = FakeLine()
    answer = get(line.app, "/api/camera/line-1.jpg")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == line.camera.picture.image.shape


def test_a_small_picture_is_made_on_request():
    line = FakeLine()
    line.camera.picture = Picture(7, belt(1280, 720))
    answer = get(line.app, "/api/camera/line-1.jpg?width=400")
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (270, 480, 3)


def test_no_picture_yet_is_503_with_a_sentence():
    line = FakeLine()
    line.camera.picture = None
    answer = get(line.app, "/api/camera/line-1.jpg")
    assert answer.status_code == 503
    assert answer.json() == {"sentence": "Camera line-1 has no picture yet; ask again in a second."}


def test_an_unknown_camera_is_404_and_names_the_known_ones():
    answer = get(FakeLine().app, "/api/camera/line-9.jpg")
    assert answer.status_code == 404
    assert answer.json() == {"sentence": "There is no camera line-9; there is: line-1."}


@pytest.mark.parametrize("path", ["/", "/api/state", "/api/camera/line-1.jpg", "/nowhere", "/sftp-uploader-stats"])
def test_every_answer_forbids_foreign_scripts_and_caching(path):
    headers = get(FakeLine().app, path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_page_loads_scripts_from_elsewhere(path):
    assert get(FakeLine().app, path).status_code == 404
