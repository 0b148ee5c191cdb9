"""What a model file declares, on which provider it runs, and the error of a bad one, with real onnxruntime."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from iris_camera.inspection.model import CPU, Model, Running, available_provider, session_options
from iris_camera.inspection.model_error import ModelError
from tests.own_process import in_a_process_of_its_own
from tests.unit.iris_camera.inspection.made_models import answering, save

PICTURE = {"image": (TensorProto.UINT8, [48, 64, 3])}
OPEN = {"image": (TensorProto.UINT8, ["rows", "columns", 3])}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


def test_names_types_and_sizes_are_read_from_the_file_and_an_open_size_is_any(path):
    answering(path, OPEN, {"boxes": [[0, 0, 1, 1.0]], "classes": [3]}, {"made by": "a test"})
    model = Model(path)
    assert str(model.input) == "image tensor(uint8) (any, any, 3)"
    assert [str(each) for each in model.outputs] == ["boxes tensor(float) (1, 4)", "classes tensor(int64) (1)"]
    assert model.metadata() == {"made by": "a test"}


def test_the_outputs_asked_for_come_in_the_order_asked_for(path):
    model = Model(answering(path, PICTURE, {"a": [1.0], "b": [2.0], "c": [3.0]}))
    third, first = model.run(["c", "a"], np.zeros((48, 64, 3), np.uint8))
    assert (third.tolist(), first.tolist()) == ([3.0], [1.0])


def test_a_missing_model_is_named(path):
    with pytest.raises(ModelError, match=rf"^there is no model at {path}: give the path of an \.onnx file$"):
        Model(path)


def test_a_folder_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="no model at"):
        Model(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(1000)], ids=["empty", "text", "zeros"])
def test_a_file_that_is_no_model_is_named_and_the_runtimes_message_is_kept(path, content):
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"{path} is not a model that onnxruntime can load: .") as raised:
        Model(path)
    assert raised.value.__cause__ is not None


def test_a_torn_model_is_named(path):
    whole = answering(path, PICTURE, {"a": [1.0]}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=rf"{path} is not a model"):
        Model(path)


def test_a_model_that_wants_more_than_the_picture_is_reported_with_what_it_wants(path):
    answering(path, PICTURE | {"scale": (TensorProto.FLOAT, [2])}, {"a": [1.0]})
    with pytest.raises(
        ModelError, match=r"expected one input, the picture; found image .*, scale tensor\(float\) \(2\)"
    ):
        Model(path)


@pytest.mark.parametrize("wanted", ["CPUExecutionProvider", "cpu", "CPU", "cpuexecutionprovider"])
def test_a_provider_is_known_by_its_short_name_too(path, wanted):
    assert Model(answering(path, PICTURE, {"a": [1.0]}), Running(wanted)).provider == CPU


def test_an_unknown_provider_is_reported_with_those_there_are():
    with pytest.raises(ModelError, match=r"onnxruntime has no provider CUDAExecutionProvider: it has .*CPUExecution"):
        available_provider("CUDAExecutionProvider")


class PretendsToHaveCuda:
    """Lists a provider whose library is not on the machine: onnxruntime warns and runs on the CPU."""

    @staticmethod
    def get_available_providers():
        return ["CUDAExecutionProvider", CPU]


def test_the_provider_that_really_runs_is_reported_when_the_wanted_one_cannot_be_had(path, monkeypatch):
    answering(path, PICTURE, {"a": [1.0]})
    monkeypatch.setattr(onnxruntime, "get_available_providers", PretendsToHaveCuda.get_available_providers)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        model = Model(path, Running("cuda"))
    assert model.provider == CPU


def only_for_48x64(path):
    """A model whose file says any size, and whose graph takes but one: a common flaw of exports."""
    nodes = [
        helper.make_node("Constant", [], ["wanted"], value_ints=[48, 64, 3]),
        helper.make_node("Reshape", ["image", "wanted"], ["copy"]),
    ]
    return save(path, nodes, OPEN, {"copy": (TensorProto.UINT8, [48, 64, 3])})


def test_a_failure_of_the_runtime_is_a_model_error_with_its_cause(path):
    model = Model(only_for_48x64(path))
    with pytest.raises(ModelError, match=rf"{path} failed on an input of \(10, 64, 3\) uint8: .*Reshape") as raised:
        model.run(["copy"], np.zeros((10, 64, 3), np.uint8))
    assert type(raised.value.__cause__).__module__.startswith("onnxruntime")
    assert model.run(["copy"], np.zeros((48, 64, 3), np.uint8))[0].shape == (48, 64, 3)


def test_lack_of_memory_is_a_model_error_too(path):
    """The graph asks for 4 petabytes."""
    nodes = [
        helper.make_node("Constant", [], ["wanted"], value_ints=[1 << 26, 1 << 26, 1]),
        helper.make_node("Constant", [], ["corner"], value_ints=[0, 0, 0]),
        helper.make_node("Constant", [], ["one"], value_ints=[1, 1, 1]),
        helper.make_node("Slice", ["image", "corner", "one"], ["pixel"]),
        helper.make_node("Expand", ["pixel", "wanted"], ["huge"]),
    ]
    model = Model(save(path, nodes, PICTURE, {"huge": (TensorProto.UINT8, ["a", "b", "c"])}))
    with pytest.raises(ModelError, match=rf"{path} failed on an input .*: .*"):
        model.run(["huge"], np.zeros((48, 64, 3), np.uint8))


def threads_of_this_process():
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("threads", [1, 3])
@in_a_process_of_its_own  # in which no thread of another test comes or goes
def test_a_model_gets_no_more_threads_than_it_is_given(path, threads):
    answering(path, PICTURE, {"a": [1.0]})
    Model(path)  # what the runtime starts once
    before = threads_of_this_process()
    model = Model(path, Running(threads=threads))
    model.run(["a"], np.zeros((48, 64, 3), np.uint8))
    assert threads_of_this_process() - before == threads - 1  # the caller's own is the first


def test_the_threads_of_a_model_sleep_when_there_is_nothing_to_do():
    options = session_options(3)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert options.get_session_config_entry("session.inter_op.allow_spinning") == "0"
