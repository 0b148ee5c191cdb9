"""A detector as a user might have exported it: YOLO-style, and it really searches the picture.

It answers with the place that looks most like one patch of a picture, by normalised correlation, in YOLOv8's table:
centre, width and height in the pixels of its input, and one class, whose score is the correlation.
"""

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.footage import footage

STRIDES = (8, 16, 32)


def patch_finder(path, patch, side, name):
    """`patch` is (height, width, 3), red-green-blue, 0 to 1, in the pixels of an input of `side` by `side`."""
    height, width = patch.shape[:2]
    kernel = (patch - patch.mean()).transpose(2, 0, 1)[np.newaxis]
    kernel /= np.linalg.norm(kernel)
    places = sum((side // stride) ** 2 for stride in STRIDES)
    columns = side - width + 1
    node = helper.make_node
    constants = {
        "kernel": kernel.astype(np.float32),
        "ones": np.ones_like(kernel, np.float32),
        "pixels": np.float32(kernel.size),
        "little": np.float32(1e-3),
        "flat": np.array([-1], np.int64),
        "columns": np.array([columns], np.int64),
        "half": np.array([width / 2, height / 2], np.float32),
        "extent": np.array([width, height], np.float32),
        "table_shape": np.array([1, 5, 1], np.int64),
        "padding": np.array([0, 0, 0, 0, 0, places - 1], np.int64),
    }
    nodes = [
        node("Conv", ["images", "kernel"], ["likeness"]),
        node("Mul", ["images", "images"], ["squares"]),
        node("Conv", ["squares", "ones"], ["energy"]),
        node("Conv", ["images", "ones"], ["sum"]),
        node("Mul", ["sum", "sum"], ["sum_squared"]),
        node("Div", ["sum_squared", "pixels"], ["energy_of_mean"]),
        node("Sub", ["energy", "energy_of_mean"], ["contrast_squared"]),
        node("Max", ["contrast_squared", "little"], ["some_contrast"]),
        node("Sqrt", ["some_contrast"], ["contrast"]),
        node("Div", ["likeness", "contrast"], ["correlation"]),
        node("Reshape", ["correlation", "flat"], ["places"]),
        node("ArgMax", ["places"], ["best"], axis=0, keepdims=1),
        node("ReduceMax", ["places"], ["best_score"], axes=[0], keepdims=1),
        node("Clip", ["best_score", "zero", "one"], ["score"]),
        node("Div", ["best", "columns"], ["row"]),
        node("Mod", ["best", "columns"], ["column"]),
        node("Concat", ["column", "row"], ["corner"], axis=0),
        node("Cast", ["corner"], ["corner_pixels"], to=TensorProto.FLOAT),
        node("Add", ["corner_pixels", "half"], ["centre"]),
        node("Concat", ["centre", "extent", "score"], ["candidate"], axis=0),
        node("Reshape", ["candidate", "table_shape"], ["column_of_table"]),
        node("Pad", ["column_of_table", "padding"], ["output0"]),
    ]
    constants |= {"zero": np.float32(0), "one": np.float32(1)}
    graph = helper.make_graph(
        nodes,
        "patch_finder",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 5, places])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": str({0: name})})
    onnx.save(model, path)
    return path


def carphone_patch(number, box, side):
    """What `box` shows in that frame of carphone, in the pixels of an input of `side`, red-green-blue, 0 to 1."""
    film = cv2.VideoCapture(str(footage("carphone_pristine.mp4")))
    image = [film.read()[1] for _ in range(number + 1)][number]
    film.release()
    scale = side / image.shape[1]
    small = cv2.resize(image, (side, round(image.shape[0] * scale)), interpolation=cv2.INTER_LINEAR)
    x, y, right, bottom = (round(edge * scale) for edge in (box.x, box.y, box.right, box.bottom))
    return small[y:bottom, x:right, ::-1].astype(np.float64) / 255
