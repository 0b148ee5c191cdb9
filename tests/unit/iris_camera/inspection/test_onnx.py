import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from iris_camera.inspection import onnx as models
from iris_camera.inspection.classifier import OnnxClassifier
from iris_camera.inspection.findings import Box
from iris_camera.inspection.onnx import ModelError, OnnxDetector

PICTURE = np.zeros((48, 64, 3), np.uint8)


def save(path, inputs, constants, metadata=None):
    """A model that takes `inputs` and answers with `constants`, whatever it is shown."""
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in constants.items()]
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value.astype(np.float32)))
        for name, value in constants.items()
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        outputs,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def detector_that_answers(path, boxes, scores, image=(TensorProto.UINT8, [48, 64, 3])):
    return save(path, {"image": image}, {"boxes": np.array(boxes), "scores": np.array(scores)})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def test_detections_come_best_first_without_the_unlikely_and_the_doubled(path):
    boxes = [[0, 0, 10, 10], [30, 10, 10, 10], [1, 0, 10, 10], [50, 30, 5, 5]]
    detector = OnnxDetector(detector_that_answers(path, boxes, [0.6, 0.9, 0.95, 0.2]))
    found = detector.detect(PICTURE)
    assert [(each.box, round(each.score, 3)) for each in found] == [
        (Box(1, 0, 10, 10), 0.95),
        (Box(30, 10, 10, 10), 0.9),
    ]


def test_a_detection_is_cut_at_the_pictures_edge_and_left_out_beyond_it(path):
    boxes = [[-4, -2, 10, 10], [70, 10, 10, 10], [20, 20, -3, 5]]
    detector = OnnxDetector(detector_that_answers(path, boxes, [0.9, 0.9, 0.9]))
    assert [each.box for each in detector.detect(PICTURE)] == [Box(0, 0, 6, 8)]


def test_a_missing_model_is_named(path):
    with pytest.raises(ModelError, match=rf"no model at {path}"):
        OnnxDetector(path)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="no model at"):
        OnnxDetector(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(1000)])
def test_a_file_that_is_no_model_is_named(path, content):
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{path} is not a model that onnxruntime can load"):
        OnnxDetector(path)


def test_a_torn_model_is_named(path):
    whole = (models.WEIGHTS / "detector.onnx").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=rf"{path} is not a model"):
        OnnxDetector(path)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ((TensorProto.FLOAT, [48, 64, 3]), r"image tensor\(float\) \(48, 64, 3\)"),
        ((TensorProto.UINT8, [1, 3, 48, 64]), r"image tensor\(uint8\) \(1, 3, 48, 64\)"),
        ((TensorProto.UINT8, [48, 64, 1]), r"image tensor\(uint8\) \(48, 64, 1\)"),
    ],
    ids=["another type", "another order", "grey"],
)
def test_an_input_that_does_not_fit_is_told_with_both_sides(path, image, found):
    detector_that_answers(path, [[0, 0, 1, 1]], [0.9], image)
    expected = r"expected input image tensor\(uint8\) \(any, any, 3\)"
    with pytest.raises(ModelError, match=rf"{path} does not fit: {expected}; found {found}"):
        OnnxDetector(path)


def test_outputs_that_do_not_fit_are_told_with_both_sides(path):
    save(path, {"image": (TensorProto.UINT8, [48, 64, 3])}, {"heat": np.zeros((4, 5))})
    with pytest.raises(ModelError, match=r"expected output boxes .*\(any, 4\), scores .*; found heat .*\(4, 5\)"):
        OnnxDetector(path)


def test_a_picture_of_another_size_is_told_with_both_sizes(path):
    detector = OnnxDetector(detector_that_answers(path, [[0, 0, 1, 1]], [0.9]))
    with pytest.raises(ModelError, match=r"expects pictures of \(48, 64, 3\) uint8, .*given \(40, 64, 3\) uint8"):
        detector.detect(PICTURE[:40])


def test_a_model_for_any_size_takes_any_size(path):
    detector_that_answers(path, [[0, 0, 1, 1]], [0.9], (TensorProto.UINT8, ["rows", "columns", 3]))
    assert len(OnnxDetector(path).detect(PICTURE[:40])) == 1


def classifier_that_answers(path, probabilities, labels="good,defect", side=16):
    crop = (TensorProto.UINT8, [side, side, 3])
    return save(path, {"crop": crop}, {"probabilities": np.array(probabilities)}, {"labels": labels})


def test_the_verdict_is_the_likelier_label(path):
    verdict = OnnxClassifier(classifier_that_answers(path, [0.25, 0.75])).classify(PICTURE, Box(5, 5, 20, 20))
    assert (verdict.label, verdict.score) == ("defect", 0.75)


def test_a_part_at_the_pictures_corner_can_be_judged(path):
    classifier = OnnxClassifier(classifier_that_answers(path, [0.75, 0.25]))
    assert classifier.classify(PICTURE, Box(0, 0, 20, 20)).label == "good"
    assert classifier.classify(PICTURE, Box(50, 40, 14, 8)).label == "good"


def test_labels_in_another_order_are_refused(path):
    with pytest.raises(ModelError, match="expected the labels good,defect; found defect,good"):
        OnnxClassifier(classifier_that_answers(path, [0.25, 0.75], "defect,good"))


def test_a_classifier_without_labels_is_refused(path):
    save(path, {"crop": (TensorProto.UINT8, [16, 16, 3])}, {"probabilities": np.array([0.25, 0.75])})
    with pytest.raises(ModelError, match="expected the labels good,defect; found none"):
        OnnxClassifier(path)


def test_a_classifier_with_three_answers_is_refused(path):
    with pytest.raises(ModelError, match=r"expected output probabilities .*\(2\); found .*\(3\)"):
        OnnxClassifier(classifier_that_answers(path, [0.25, 0.5, 0.25]))


def test_a_classifier_for_crops_of_any_size_is_refused(path):
    classifier_that_answers(path, [0.25, 0.75], side="side")
    with pytest.raises(ModelError, match="expected a crop of fixed size; found any size"):
        OnnxClassifier(path)


def test_a_missing_classifier_is_named(path):
    with pytest.raises(ModelError, match=rf"no model at {path}"):
        OnnxClassifier(path)


def test_a_session_has_one_thread_that_does_not_spin():
    options = models.session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("session.inter_op.allow_spinning") == "0"
