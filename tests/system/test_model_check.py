"""`iris model check` as a user runs it: a process of its own, a film, a model, a picture with boxes."""

import os
import re
import shutil

import cv2
import numpy as np
import pytest
from onnx import TensorProto

from tests.footage import footage
from tests.system import forked_iris
from tests.unit.iris_camera.inspection.made_models import answering, rectangle_finder

CARPHONE = str(footage("carphone_pristine.mp4"))


@pytest.fixture
def check(tmp_path):
    def run(*arguments):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("IRIS_")}
        return forked_iris.run("model", "check", *arguments, cwd=tmp_path, env=clean, text=True)

    return run


@pytest.fixture
def rectangle(tmp_path):
    """A picture of 128x64 with a red rectangle from (32, 16) to (64, 48)."""
    image = np.full((64, 128, 3), 40, np.uint8)
    image[16:48, 32:64] = (20, 30, 250)
    path = tmp_path / "rectangle.png"
    cv2.imwrite(str(path), image)
    return path


def fits(ended):
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def does_not_fit(ended):
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("iris model check: ")
    return ended.stderr


def test_a_face_in_a_film_is_found_and_drawn(check, tmp_path):
    said = fits(check("haar:frontalface_default", "--picture", CARPHONE, "--frame", 5, "--output", "boxes.jpg"))
    assert "picture     " in said
    assert "176x144" in said
    assert re.search(r"^found       1\n  frontalface +0\.\d{3}  x 5\d\.\d y 3\d\.\d width 6\d\.\d", said, re.MULTILINE)
    assert re.search(r"^time        \d+\.\d\d ms a picture, median of 20", said, re.MULTILINE)
    assert said.endswith("written     boxes.jpg\n")
    drawn = cv2.imread(str(tmp_path / "boxes.jpg")).astype(int)
    film = cv2.VideoCapture(CARPHONE)
    frame = [film.read()[1] for _ in range(6)][5].astype(int)
    changed = np.abs(drawn - frame).max(axis=2) > 60
    assert drawn.shape == frame.shape
    assert changed[50:80, 54:62].any(axis=1).all()  # the box's left edge, at x 58, all along the face
    assert not changed[110:, :30].any()


def test_a_yolo_is_described_by_what_it_takes_answers_and_finds(check, tmp_path, rectangle):
    rectangle_finder(tmp_path / "nuts.onnx", "yolov8", metadata={"names": "{0: 'nut', 1: 'bolt'}"})
    said = fits(check("nuts.onnx", "--picture", rectangle, "--runs", 3))
    assert "input       picture tensor(float) (1, 3, 64, 64)" in said
    assert "output      output0 tensor(float) (1, 6, 84)" in said
    assert "takes       NCHW float32, 64x64 (letterbox), rgb, values 0-1" in said
    assert "answers     yolov8 (guessed from the shape of output0 tensor(float) (1, 6, 84))" in said
    assert "labels      2 from nuts.onnx, entry names: nut, bolt" in said
    assert "runs on     CPUExecutionProvider, 1 thread\n" in said
    assert re.search(r"  bolt +0\.900  x 32\.0 y 16\.0 width 32\.0 height 32\.0\n  nut +0\.700", said)
    assert "median of 3," in said


def test_everything_may_be_declared(check, tmp_path, rectangle):
    rectangle_finder(tmp_path / "ssd.onnx", "ssd-tensorflow", layout="NHWC", dtype="uint8", brightest=255)
    (tmp_path / "labels.txt").write_text("nut\nbolt\n")
    options = ["--style", "ssd-tensorflow", "--box-order", "y1x1y2x2", "--box-units", "normalised", "--first-class", 1]
    names = ["--outputs", "detection_boxes,detection_scores,detection_classes,num_detections", "--layout", "NHWC"]
    picture = ["--picture", rectangle, "--fit", "stretch", "--labels", "labels.txt", "--score-min", "0.8"]
    said = fits(check("ssd.onnx", *options, *names, *picture, "--threads", 2))
    assert "answers     ssd-tensorflow (declared): " in said
    assert "2 threads" in said
    assert re.search(r"found       1\n  bolt +0\.900  x 32\.0 y 16\.0 width 32\.0 height 32\.0\n", said)


def test_a_model_is_checked_without_a_picture_too(check, tmp_path):
    rectangle_finder(tmp_path / "nuts.onnx", "yolov5")
    said = fits(check("nuts.onnx"))
    assert "an empty grey one of 1280x720: give --picture to see what it finds" in said


def test_boxes_of_0_to_1_taken_for_pixels_are_reported(check, tmp_path, rectangle):
    answer = np.zeros((1, 10, 6))
    answer[0, 0] = (0.25, 0.5, 0.5, 0.75, 0.9, 0)
    answering(tmp_path / "small.onnx", {"images": (TensorProto.FLOAT, [1, 3, 64, 64])}, {"output0": answer})
    said = fits(check("small.onnx", "--picture", rectangle))
    assert "every box ends before pixel 2: if they are 0 to 1, give --box-units normalised" in said
    said = fits(check("small.onnx", "--picture", rectangle, "--box-units", "normalised"))
    assert "x 32.0 y 32.0 width 32.0 height 32.0" in said


def test_a_file_that_is_no_model_ends_with_status_2_and_a_sentence(check, tmp_path):
    (tmp_path / "garbage.onnx").write_text("not a model\n")
    said = does_not_fit(check("garbage.onnx"))
    assert "garbage.onnx is not a model that onnxruntime can load: " in said


def test_a_model_that_does_not_fit_is_reported_with_expected_and_found(check, tmp_path):
    answering(tmp_path / "heat.onnx", {"images": (TensorProto.FLOAT, [1, 3, 64, 64])}, {"heat": np.zeros((1, 9, 9, 9))})
    ended = check("heat.onnx")
    assert "output      heat tensor(float) (1, 9, 9, 9)" in ended.stdout  # the keys that can be declared
    said = does_not_fit(ended)
    assert "heat.onnx does not fit: expected outputs of a known style, or a declared one" in said
    assert "yolov8 (1, 4 + classes, 84)" in said
    assert "; found heat tensor(float) (1, 9, 9, 9)" in said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("missing.onnx",), "there is no model at missing.onnx"),
        (("haar:frontalfaces",), "OpenCV has no cascade frontalfaces: did you mean frontal"),
        (("hog", "--picture", "missing.mp4"), "there is no picture or video at missing.mp4"),
        (("hog", "--picture", CARPHONE, "--frame", "120"), "or has no frame 120"),
        (("hog", "--picture", CARPHONE, "--output", "no/such/folder.jpg"), "No such file or directory"),
        (("hog", "--score-min", "50"), "score_min is 50.0: give 0 to 1"),
    ],
)
def test_an_impossible_check_is_a_sentence_and_status_2(check, arguments, text):
    assert text in does_not_fit(check(*arguments))


def test_a_film_whose_name_is_not_utf_8_is_refused_and_ends_no_process(check, tmp_path):
    name = os.fsdecode(b"\xff.mp4")
    shutil.copy(CARPHONE, tmp_path / name)
    assert "is not UTF-8: rename it" in does_not_fit(check("hog", "--picture", name))


def test_a_provider_that_is_not_there_is_reported_with_those_that_are(check, tmp_path):
    rectangle_finder(tmp_path / "nuts.onnx", "yolov5")
    said = does_not_fit(check("nuts.onnx", "--provider", "cuda"))
    assert "the installed onnxruntime has no provider cuda: it has " in said
    assert "CPUExecutionProvider" in said


def test_a_picture_of_16_bits_is_scaled_by_what_it_really_has(check, tmp_path, rectangle):
    cv2.imwrite(str(tmp_path / "deep.png"), cv2.imread(str(rectangle)).astype(np.uint16) << 4)
    rectangle_finder(tmp_path / "nuts.onnx", "yolov8")
    assert re.search(r"found       2\n", fits(check("nuts.onnx", "--picture", "deep.png")))


@pytest.mark.parametrize("before", [0, 40], ids=["at once", "behind large notes"])
def test_a_picture_that_announces_a_billion_pixels_is_refused(check, tmp_path, before):
    jpeg = bytes(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1])
    size = jpeg.index(b"\xff\xc0") + 5
    jpeg = jpeg[:size] + (30_000).to_bytes(2) * 2 + jpeg[size + 4 :]
    notes = (b"\xff\xe4" + (65_535).to_bytes(2) + bytes(65_533)) * before
    (tmp_path / "bomb.jpg").write_bytes(jpeg[:2] + notes + jpeg[2:])
    rectangle_finder(tmp_path / "nuts.onnx", "yolov8")
    said = does_not_fit(check("nuts.onnx", "--picture", "bomb.jpg"))
    assert "a picture of 30000 x 30000 pixels: more than 100,000,000" in said
