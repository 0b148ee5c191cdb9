"""Files that were given as models and are none, and models that are cut off or too new: each has a clear error."""

import pickle
import re
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from iris_camera.inspection.model import Model
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.model_file import what_it_is
from tests.unit.iris_camera.inspection.made_models import answering, constant, save

PICTURE = {"image": (TensorProto.FLOAT, [1, 3, 64, 64])}
CPP = re.compile(r"ONNXRuntimeError|onnxruntime_src|\.cc:|\.h:\d|::|[Pp]rotobuf|INVALID")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def refused(path):
    """Why a model is not loaded, after the constant part of the error."""
    with pytest.raises(ModelError) as raised:
        Model(path)
    assert raised.value.__cause__ is not None
    text = str(raised.value).removeprefix(f"{path} is not a model that onnxruntime can load: ")
    assert text != str(raised.value)
    assert not CPP.search(text), text
    assert text.isprintable()
    assert len(text) < 400
    return text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is empty"),
        (bytes(1000), "it is zeros: its bytes were never written"),
        (b"<!DOCTYPE html>\n<html><body>Log in</body></html>", "it is an HTML page"),
        (b"\n  <HTML><head>", "it is an HTML page"),
        (b"\xef\xbb\xbf<html>", "it is an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "it is a pointer of Git LFS"),
        (b'<?xml version="1.0"?><net name="belt" version="11">', "it is XML, as OpenVINO describes its models"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "it is HDF5, as Keras saves models"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "it is a model of TensorFlow Lite"),
        (b"\x1f\x8b\x08" + bytes(100), "it is compressed"),
        (b"ftrt" + bytes(100), "it is an engine of TensorRT"),
        (b"\x7fELF" + bytes(100), "it is a program or library"),
        ((60).to_bytes(8, "little") + b'{"weight":{"dtype":"F32"}}', "it is weights without a model (safetensors)"),
        (b"not a model at all\n", 'it is text, which begins "not a model at all"'),
        (b'{"error": "not found"}', 'it is text, which begins "{"error": "not found"}"'),
        (b"\x1b]0;owned\x07" * 50, "it is "),
        (bytes(range(1, 256)) * 4, "it is no ONNX file"),
        (b"\xff" * 1000, "it is no ONNX file"),
    ],
)
def test_files_that_are_no_models_are_reported_as_what_they_are(path, content, text):
    path.write_bytes(content)
    assert refused(path).startswith(text)


def test_a_file_that_pytorch_saved_is_reported(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
    assert refused(path).startswith("it is a zip archive, as PyTorch and Keras save models: export it to ONNX")
    path.write_bytes(pickle.dumps({"weights": [1.0]}, protocol=2))
    assert refused(path).startswith("it is a Python pickle")


def test_a_model_that_is_cut_off_anywhere_is_reported_as_cut_off(path):
    whole = answering(path, PICTURE, {"a": np.ones((1, 300))}).read_bytes()
    assert what_it_is(path) is None
    for length in range(10, len(whole) - 8, 37):
        path.write_bytes(whole[:length])
        assert re.match(r"it is cut off: \d+ bytes or more are missing", refused(path)), length


def test_a_model_whose_inside_is_damaged_is_reported_as_damaged(path):
    whole = answering(path, PICTURE, {"a": np.ones((1, 300))}).read_bytes()
    path.write_bytes(whole[:40] + b"\xff" * 20 + whole[60:])
    assert refused(path) == "it is damaged, or no ONNX file"


def model_of(path, *, operator="Identity", domain="", opset=17, ir_version=8):
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"}
    node = helper.make_node(operator, ["x"], ["y"], domain=domain)
    graph = helper.make_graph([node], "made", [value["x"]], [value["y"]])
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), path)


def test_a_model_of_a_newer_format_is_reported_with_what_can_be_read(path):
    model_of(path, ir_version=99)
    text = r"it is of ONNX IR version 99, and the installed onnxruntime [\d.]+ reads up to \d+: install a newer"
    assert re.match(text, refused(path))


@pytest.mark.parametrize("opset", [99, 1000])
def test_a_model_of_a_newer_opset_is_reported_with_what_can_be_read(path, opset):
    model_of(path, opset=opset)
    text = rf"it is of ONNX opset {opset}, and the installed onnxruntime [\d.]+ reads up to \d+: install a newer"
    assert re.match(text, refused(path))


@pytest.mark.parametrize(("domain", "operator"), [("", "Frobnicate"), ("com.example", "Turn")])
def test_an_operator_that_is_not_known_is_named(path, domain, operator):
    model_of(path, operator=operator, domain=domain)
    assert re.match(rf"it uses the operator \S*{operator}, which the installed onnxruntime", refused(path))


def test_an_operator_of_a_hostile_name_is_cut_and_harmless(path):
    model_of(path, operator="\x1b[31m" + "A" * 100_000)
    assert "\x1b" not in refused(path)


def test_weights_in_a_file_of_their_own_that_is_missing_are_named(path):
    save(path, [constant("a", np.ones((1, 300)))], PICTURE, {"a": (TensorProto.FLOAT, [1, 300])})
    model = onnx.load(path)
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1, 300], np.ones(300, np.float32).tobytes(), raw=True)
    model.graph.initializer.append(weights)
    model.graph.node.append(helper.make_node("Add", ["a", "w"], ["b"]))
    model.graph.output.append(helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 300]))
    onnx.save(model, path, save_as_external_data=True, location="model.onnx.data", size_threshold=10)
    Model(path)
    path.with_suffix(".onnx.data").unlink()
    assert refused(path).startswith("its weights are in a file of their own, which is not there: ")
    assert "model.onnx.data" in refused(path)


def test_a_model_that_may_not_be_read_is_reported_as_such(path, monkeypatch):
    answering(path, PICTURE, {"a": [1.0]})

    def closed(self, *_):
        raise PermissionError(13, "Permission denied")

    path.write_bytes(b"")
    monkeypatch.setattr(type(path), "open", closed)
    assert refused(path) == "it cannot be read: Permission denied"
