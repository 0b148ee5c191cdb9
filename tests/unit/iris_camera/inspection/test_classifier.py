"""Verdicts by real models whose answers are known: probabilities or logits, labels, crops, and what does not fit."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from iris_camera.inspection.classifier import CONTEXT, SHIPPED, OnnxClassifier, model_crop
from iris_camera.inspection.findings import Box, Verdict
from iris_camera.inspection.model import CPU
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.settings import ClassifierSettings, PictureInputSettings
from tests.unit.iris_camera.inspection.made_models import answering, constant, save

PICTURE = np.zeros((48, 64, 3), np.uint8)
CROP = (TensorProto.UINT8, [16, 16, 3])
BOX = Box(5, 5, 20, 20)
NAMED = {"labels": "good,defect"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "classifier.onnx"


def answers(path, numbers, metadata=NAMED, crop=CROP):
    return answering(path, {"crop": crop}, {"probabilities": np.array(numbers, float)}, metadata)


def verdict(path, numbers, metadata=NAMED, **settings):
    return OnnxClassifier(answers(path, numbers, metadata), ClassifierSettings(**settings)).classify(PICTURE, BOX)


def test_the_verdict_is_the_likelier_label(path):
    assert verdict(path, [0.25, 0.75]) == Verdict("defect", 0.75)
    assert verdict(path, [[0.75, 0.25]]) == Verdict("good", 0.75)


@pytest.mark.parametrize("scores", ["auto", "logits"])
@pytest.mark.parametrize("logits", [[1.0, 3.0], [-3.0, -1.0], [1000.0, 1002.0]])
def test_logits_go_through_softmax(path, scores, logits):
    found = verdict(path, logits, scores=scores)
    assert (found.label, found.score) == ("defect", pytest.approx(1 / (1 + np.exp(-2))))


def test_numbers_of_0_to_1_whose_sum_is_not_1_are_logits_unless_declared(path):
    """One sigmoid a class answers so, and only who exported it knows."""
    assert verdict(path, [0.9, 0.8]).score == pytest.approx(1 / (1 + np.exp(-0.1)))
    assert verdict(path, [0.9, 0.8], scores="probabilities") == Verdict("good", pytest.approx(0.9))


def test_declared_probabilities_outside_0_to_1_are_reported(path):
    with pytest.raises(
        ModelError, match=r'expected probabilities of 0 to 1, or scores = "logits"; found \[-3.0, 5.0\]'
    ):
        verdict(path, [-3.0, 5.0], scores="probabilities")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_reported(path, number):
    with pytest.raises(ModelError, match="expected a number for each class; found"):
        verdict(path, [0.5, number])


def test_labels_come_from_a_file_or_are_the_classs_number(path, tmp_path):
    file = tmp_path / "labels.txt"
    file.write_text("whole\nbroken\n")
    assert verdict(path, [0.25, 0.75], labels=file).label == "broken"
    assert verdict(path, [0.25, 0.75], metadata=None).label == "class 1"


def test_labels_have_to_be_as_many_as_the_classes(path):
    with pytest.raises(ModelError, match=r"expected 2 classes, one for each label of .*entry labels; found 3 classes"):
        OnnxClassifier(answers(path, [0.25, 0.5, 0.25]))


def test_an_open_number_of_classes_is_compared_with_the_labels_once_it_is_known(path):
    nodes = [
        constant("three", [0.25, 0.5, 0.25]),
        helper.make_node("Cast", ["crop"], ["lit"], to=TensorProto.BOOL),
        helper.make_node("Not", ["lit"], ["dark"]),
        helper.make_node("Constant", [], ["flat"], value_ints=[-1]),
        helper.make_node("Reshape", ["dark", "flat"], ["pixels"]),
        helper.make_node("Constant", [], ["from"], value_ints=[0]),
        helper.make_node("Constant", [], ["to"], value_ints=[3]),
        helper.make_node("Slice", ["pixels", "from", "to"], ["chosen"]),
        helper.make_node("Compress", ["three", "chosen"], ["probabilities"]),  # as many as the picture makes it
    ]
    save(path, nodes, {"crop": CROP}, {"probabilities": (TensorProto.FLOAT, ["classes"])}, NAMED)
    with pytest.raises(ModelError, match=r"expected 2 classes, as labels; found \(3\)"):
        OnnxClassifier(path).classify(PICTURE, BOX)


def test_a_crop_of_any_size_has_to_be_declared(path):
    answers(path, [0.25, 0.75], crop=(TensorProto.UINT8, ["side", "side", 3]))
    with pytest.raises(ModelError, match=r"a crop of fixed size, or a declared width and height; found crop"):
        OnnxClassifier(path)
    declared = ClassifierSettings(input=PictureInputSettings(width=16, height=16, fit="stretch"))
    assert OnnxClassifier(path, declared).classify(PICTURE, BOX).label == "defect"


@pytest.mark.parametrize(
    "outputs", [{"a": [0.5], "b": [0.5]}, {"heat": np.zeros((2, 3))}, {"heat": np.zeros((1, 2, 3))}]
)
def test_outputs_that_are_no_verdict_are_reported(path, outputs):
    answering(path, {"crop": CROP}, outputs)
    with pytest.raises(ModelError, match=r"expected one output of \(classes\) or \(1, classes\); found "):
        OnnxClassifier(path)


def test_a_missing_classifier_is_named(path):
    with pytest.raises(ModelError, match=rf"no model at {path}"):
        OnnxClassifier(path)


def mean_brightness(path):
    """Answers with the crop's mean, 0 to 1, and the rest to 1."""
    nodes = [
        helper.make_node("ReduceMean", ["crop"], ["bright"], axes=[1, 2, 3], keepdims=0),
        constant("one", [1.0]),
        helper.make_node("Sub", ["one", "bright"], ["dark"]),
        helper.make_node("Concat", ["dark", "bright"], ["probabilities"], axis=0),
    ]
    crop = {"crop": (TensorProto.FLOAT, [1, 3, 16, 16])}
    return save(path, nodes, crop, {"probabilities": (TensorProto.FLOAT, [2])}, {"labels": "dark,bright"})


@pytest.mark.parametrize(("context", "share"), [(None, 1.0), (1.0, 0.25)])
def test_the_classifier_sees_the_part_and_as_much_about_it_as_is_declared(path, context, share):
    image = PICTURE.copy()
    image[10:30, 20:40] = 255
    settings = ClassifierSettings(context=context)
    found = OnnxClassifier(mean_brightness(path), settings).classify(image, Box(20, 10, 20, 20))
    bright = found.score if found.label == "bright" else 1 - found.score
    assert bright == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("box", [Box(0, 0, 20, 20), Box(50, 40, 14, 8), Box(0, 20, 64, 3)])
def test_a_part_at_the_pictures_edge_can_be_judged(path, box):
    assert OnnxClassifier(answers(path, [0.75, 0.25])).classify(PICTURE, box).label == "good"


def test_the_demos_classifier_sees_more_than_the_box_and_has_its_two_labels():
    classifier = OnnxClassifier()
    assert classifier.labels.names == ("good", "defect")
    assert classifier.provider == CPU
    assert SHIPPED.is_file()
    size = classifier.input.size
    assert model_crop(PICTURE, BOX, size, CONTEXT).shape == (size[1], size[0], 3)
