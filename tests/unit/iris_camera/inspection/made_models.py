"""Models made in the test, small enough that what they answer is known exactly.

`rectangle_finder` looks: it answers with the bounds of what is bright in the first channel it is given, so a right
box in the picture's pixels says that colour, scaling, layout, fitting, decoding and mapping back are all right.
`answering` answers the same whatever it is shown.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
CELLS = 8 * 8 + 4 * 4 + 2 * 2  # a YOLO's places in an input of 64x64
TYPES = {"uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT}

# What the finder says of the rectangle, a row each: how far the box is moved, its score, its class.
ROWS = [(0.0, 0.9, 1), (1.0, 0.8, 1), (0.0, 0.7, 0), (0.0, 0.1, 1)]


def save(path, nodes, inputs, outputs, metadata=None):
    """`inputs` and `outputs`: (element type, shape) by name."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


def constant(name, value, dtype=np.float32):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value, dtype)))


def answering(path, inputs, answers, metadata=None):
    """A model that takes `inputs` and answers with the arrays `answers`, float unless they are integers."""
    arrays = {name: np.asarray(value) for name, value in answers.items()}
    kinds = {name: np.int64 if value.dtype.kind == "i" else np.float32 for name, value in arrays.items()}
    nodes = [constant(name, value, kinds[name]) for name, value in arrays.items()]
    outputs = {
        name: (TensorProto.INT64 if kinds[name] is np.int64 else TensorProto.FLOAT, value.shape)
        for name, value in arrays.items()
    }
    return save(path, nodes, inputs, outputs, metadata)


def rectangle_finder(path, style, *, layout="NCHW", dtype="float32", brightest=1.0, side=SIDE, metadata=None):
    """A detector of two classes in one of the output styles.

    Bright is above 0.6 of `brightest`, the value it takes for white. `side` is its input's height and width, or a
    name where they are open.
    """
    shape = {"NCHW": [1, 3, side, side], "NHWC": [1, side, side, 3], "HWC": [side, side, 3]}[layout]
    nodes = [*_bounds(layout, brightest), *_rows(_ROWS_MIN.get(style, len(ROWS))), *_ANSWERS[style]()]
    outputs = dict.fromkeys(_OUTPUTS[style], None)
    outputs = {name: (TensorProto.FLOAT, _OUTPUTS[style][name]) for name in outputs}
    return save(path, nodes, {"picture": (TYPES[dtype], shape)}, outputs, metadata)


def _bounds(layout, brightest):
    """x1, y1, x2, y2 of what is bright in the first channel, as `bounds` (1, 4)."""
    node = helper.make_node
    rank4 = [node("Cast", ["picture"], ["numbers"], to=TensorProto.FLOAT)]
    if layout == "HWC":
        rank4 += [constant("batch", [0], np.int64), node("Unsqueeze", ["numbers", "batch"], ["ranked"])]
    else:
        rank4 += [node("Identity", ["numbers"], ["ranked"])]
    perm = [0, 1, 2, 3] if layout == "NCHW" else [0, 3, 1, 2]
    return [
        *rank4,
        node("Transpose", ["ranked"], ["planes"], perm=perm),
        constant("first", 0, np.int64),
        node("Gather", ["planes", "first"], ["plane"], axis=1),  # (1, rows, columns)
        constant("limit", 0.6 * brightest),
        node("Greater", ["plane", "limit"], ["is_bright"]),
        node("Cast", ["is_bright"], ["bright"], to=TensorProto.FLOAT),
        node("ReduceMax", ["bright"], ["columns"], axes=[1], keepdims=0),
        node("ReduceMax", ["bright"], ["rows"], axes=[2], keepdims=0),
        node("ArgMax", ["columns"], ["left"], axis=1, keepdims=1),
        node("ArgMax", ["rows"], ["top"], axis=1, keepdims=1),
        node("ArgMax", ["columns"], ["last_column"], axis=1, keepdims=1, select_last_index=1),
        node("ArgMax", ["rows"], ["last_row"], axis=1, keepdims=1, select_last_index=1),
        constant("one", [[1]], np.int64),
        node("Add", ["last_column", "one"], ["right"]),
        node("Add", ["last_row", "one"], ["bottom"]),
        node("Concat", ["left", "top", "right", "bottom"], ["whole_bounds"], axis=1),
        node("Cast", ["whole_bounds"], ["bounds"], to=TensorProto.FLOAT),
    ]


_ROWS_MIN = {"yolov5": 3 * CELLS, "yolov8": CELLS, "end-to-end": 10}
_OUTPUTS = {
    "yolov5": {"output0": [1, 3 * CELLS, 7]},
    "yolov8": {"output0": [1, 6, CELLS]},
    "end-to-end": {"output0": [1, 10, 6]},
    "ssd-tensorflow": {
        "detection_boxes": [1, "n", 4],
        "detection_classes": [1, "n"],
        "detection_scores": [1, "n"],
        "num_detections": [1],
        "raw_detection_boxes": [1, "n", 4],
    },
    "ssd": {"bboxes": [1, "n", 4], "labels": [1, "n"], "scores": [1, "n"]},
    "boxes": {"boxes": ["n", 4], "scores": ["n"]},
}


def _rows(count):
    """ROWS as `corners` (count, 4), `scores` (count, 1), `classes` (count, 1), `by_class` (count, 2); filled with 0."""
    empty = count - len(ROWS)
    moved = [[row[0]] * 4 for row in ROWS] + [[0.0] * 4] * empty
    real = [[1.0] * 4] * len(ROWS) + [[0.0] * 4] * empty
    scores = [[row[1]] for row in ROWS] + [[0.0]] * empty
    classes = [[float(row[2])] for row in ROWS] + [[0.0]] * empty
    by_class = [[row[1] if row[2] == index else 0.0 for index in (0, 1)] for row in ROWS] + [[0.0, 0.0]] * empty
    node = helper.make_node
    return [
        constant("moved", moved),
        constant("real", real),
        constant("score_column", scores),
        constant("class_column", classes),
        constant("by_class", by_class),
        node("Mul", ["bounds", "real"], ["unmoved"]),
        node("Add", ["unmoved", "moved"], ["corners"]),
        constant("halves", np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]])),
        node("MatMul", ["corners", "halves"], ["centred"]),  # centre, width, height
        constant("extents", np.array([[1, 0, -1, 0], [0, 1, 0, -1], [0, 0, 1, 0], [0, 0, 0, 1]])),
        node("MatMul", ["corners", "extents"], ["extended"]),  # x, y, width, height
        constant("side", float(SIDE)),
        node("Div", ["corners", "side"], ["normalised"]),
        constant("batch_axis", [0], np.int64),
        constant("column_axis", [1], np.int64),
    ]


def _yolov5():
    """Objectness 1 where there is something, and the class's score besides."""
    node = helper.make_node
    return [
        node("Sign", ["score_column"], ["objectness"]),
        node("Concat", ["centred", "objectness", "by_class"], ["table"], axis=1),
        node("Unsqueeze", ["table", "batch_axis"], ["output0"]),
    ]


def _yolov8():
    node = helper.make_node
    return [
        node("Concat", ["centred", "by_class"], ["upright"], axis=1),
        node("Transpose", ["upright"], ["table"], perm=[1, 0]),
        node("Unsqueeze", ["table", "batch_axis"], ["output0"]),
    ]


def _end_to_end():
    node = helper.make_node
    return [
        node("Concat", ["corners", "score_column", "class_column"], ["table"], axis=1),
        node("Unsqueeze", ["table", "batch_axis"], ["output0"]),
    ]


def _ssd_parts(boxes, classes, scores):
    """Classes are counted from 1, 0 being the background."""
    node = helper.make_node
    return [
        constant("first_class", 1.0),
        node("Add", ["class_column", "first_class"], ["numbered"]),
        node("Squeeze", ["numbered", "column_axis"], ["class_row"]),
        node("Unsqueeze", ["class_row", "batch_axis"], [classes]),
        node("Squeeze", ["score_column", "column_axis"], ["score_row"]),
        node("Unsqueeze", ["score_row", "batch_axis"], [scores]),
        node("Unsqueeze", ["placed", "batch_axis"], [boxes]),
    ]


def _ssd_tensorflow():
    """Three of the four rows count: without the count, the fourth would show at a low threshold."""
    node = helper.make_node
    return [
        constant("swap", [1, 0, 3, 2], np.int64),
        node("Gather", ["normalised", "swap"], ["placed"], axis=1),
        *_ssd_parts("detection_boxes", "detection_classes", "detection_scores"),
        constant("num_detections", [3.0]),
        node("Neg", ["detection_boxes"], ["raw_detection_boxes"]),
    ]


def _ssd():
    node = helper.make_node
    return [node("Identity", ["normalised"], ["placed"]), *_ssd_parts("bboxes", "labels", "scores")]


def _boxes():
    node = helper.make_node
    return [node("Identity", ["extended"], ["boxes"]), node("Squeeze", ["score_column", "column_axis"], ["scores"])]


_ANSWERS = {
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "end-to-end": _end_to_end,
    "ssd-tensorflow": _ssd_tensorflow,
    "ssd": _ssd,
    "boxes": _boxes,
}
STYLES = list(_ANSWERS)
