"""The detector: fitted on patches of pictures averaged to 16-pixel cells, then run over all cells at once."""

import numpy as np
import numpy.typing as npt
import onnx
from demo_models.network import Floats, Layer, Network, batches, exported, sigmoid
from demo_models.scenes import PICTURE, TRAINING_SEEDS, Scene, scenes, share_visible
from onnx import TensorProto, helper

STRIDE = 4  # every fourth row and column is read ...
POOL = 4  # ... and 4x4 of them are averaged to one cell
CELL = STRIDE * POOL
FIELD = 13  # cells on a side that decide about the one in their middle: 208 pixels
CELL_MEAN, CELL_DEVIATION = 75.0, 40.0
SIZE_UNIT = 2.0 * CELL  # pixels; what the detector counts width and height in
CANDIDATES = 32


def cells(image: npt.NDArray[np.uint8]) -> Floats:
    """The picture as the detector's first nodes see it: cells of 16 pixels, (45, 80, 4), and a margin of zeros.

    The fourth value is 1 in the picture, so that its edge is not taken for a part's.
    """
    thinned = image[::STRIDE, ::STRIDE].astype(np.float32)
    rows, columns = thinned.shape[0] // POOL, thinned.shape[1] // POOL
    pooled = thinned.reshape(rows, POOL, columns, POOL, 3).mean((1, 3))
    margin = FIELD // 2
    values = np.dstack([(pooled - CELL_MEAN) / CELL_DEVIATION, np.ones((rows, columns, 1), np.float32)])
    return np.pad(values, ((margin, margin), (margin, margin), (0, 0)))


def patches(scene: Scene, random: np.random.Generator, mistaken: Network | None) -> tuple[Floats, Floats]:
    """Cells to learn from: their surroundings, and (is a part's middle, x, y, width, height) of each.

    x and y are from the cell's middle to the part's, in cells. Cells without a part are drawn at random, and with
    them those that `mistaken` takes for one.
    """
    field = cells(scene.image)
    rows, columns = PICTURE[0] // CELL, PICTURE[1] // CELL
    target = np.zeros((rows, columns, 5), np.float32)
    weight: Floats = np.full((rows, columns), 0.012, np.float32)  # far from parts: about 40 of 3,600 cells
    weight[:, :4], weight[:, -4:] = 0.08, 0.08
    if mistaken is not None:
        weight = np.maximum(weight, 2 * sigmoid(mistaken.forward(field[None])[0, :, :, 0]))
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) + 0.5
    for part in scene.truth:
        box = part.box
        away_x, away_y = (box.x + box.width / 2) / CELL - x, (box.y + box.height / 2) / CELL - y
        distance = np.maximum(abs(away_x), abs(away_y))
        weight[distance < 5] = np.maximum(weight[distance < 5], 0.22)
        weight[distance < 2] = np.maximum(weight[distance < 2], 0.6)
        visible = share_visible(scene, part)
        if visible < 0.4:
            weight[distance < 2] *= visible < 0.25  # in between it is too little of it to say either way
            continue
        near = distance < 0.75
        weight[(distance >= 0.75) & (distance < 1.2)] = 0.0
        weight[near] = 1.0
        sizes = np.broadcast_to(np.array([box.width, box.height], np.float32) / SIZE_UNIT, (*x.shape, 2))
        facts = np.dstack([np.ones_like(x), away_x, away_y, sizes])
        target[near] = facts[near]
    rows_chosen, columns_chosen = np.nonzero(random.random(weight.shape) < weight)
    windows = np.lib.stride_tricks.sliding_window_view(field, (FIELD, FIELD), (0, 1))
    return windows[rows_chosen, columns_chosen].transpose(0, 2, 3, 1), target[rows_chosen, columns_chosen]


def train_detector(random: np.random.Generator) -> Network:
    """Fitted twice: the second time also on what the first one took for parts and was none."""
    network = None
    for epochs in (6, 14):
        drawn = [patches(scene, random, network) for scene in scenes(TRAINING_SEEDS, 30)]
        inputs = np.concatenate([each[0] for each in drawn]).astype(np.float32)
        targets = np.concatenate([each[1] for each in drawn])
        print(f"detector: {len(inputs)} patches, {int(targets[:, 0].sum())} of them on a part's middle")
        network = Network([Layer(random, 4, 40, FIELD), Layer(random, 40, 40, 1), Layer(random, 40, 5, 1, ramp=False)])
        for chosen, rate in batches(random, len(inputs), 256, epochs, 3e-3):
            wanted = targets[chosen]
            output = network.forward(inputs[chosen]).reshape(-1, 5)
            slope = np.empty_like(output)
            slope[:, 0] = sigmoid(output[:, 0]) - wanted[:, 0]
            slope[:, 1:] = 2.0 * np.clip(output[:, 1:] - wanted[:, 1:], -0.5, 0.5) * wanted[:, :1]
            network.learn(slope.reshape(-1, 1, 1, 5) / len(chosen), rate)
    assert network is not None
    return network


def detector_model(network: Network) -> onnx.ModelProto:
    """The picture to its cells, the network over all of them, and the best peaks as boxes in pixels."""
    chain, weights = network.nodes("cells", "said", FIELD // 2)
    return exported(
        [*_to_cells(), *chain, *_to_peaks(), *_to_boxes()],
        weights,
        _constants(),
        helper.make_tensor_value_info("image", TensorProto.UINT8, [*PICTURE, 3]),
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [CANDIDATES, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [CANDIDATES]),
        ],
    )


def _constants() -> dict[str, npt.NDArray[np.generic]]:
    rows, columns = PICTURE[0] // CELL, PICTURE[1] // CELL
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * CELL + CELL / 2
    return {
        "zero": np.array([0, 0], np.int64),
        "whole": np.array(PICTURE, np.int64),
        "axes": np.array([0, 1], np.int64),
        "strides": np.array([STRIDE, STRIDE], np.int64),
        "front": np.array([0], np.int64),
        "mean": np.array(CELL_MEAN, np.float32),
        "deviation": np.array(CELL_DEVIATION, np.float32),
        "inside": np.ones((1, 1, rows, columns), np.float32),
        "middles": np.stack([x.ravel(), y.ravel()], 1),
        "flat": np.array([5, rows * columns], np.int64),
        "line": np.array([rows * columns], np.int64),
        "parts": np.array([1, 2, 2], np.int64),
        "map_shape": np.array([1, 1, rows, columns], np.int64),
        "candidates": np.array([CANDIDATES], np.int64),
        "cell": np.array(CELL, np.float32),
        "size_unit": np.array(SIZE_UNIT, np.float32),
        "half": np.array(0.5, np.float32),
        "tolerance": np.array(1e-6, np.float32),
    }


def _to_cells() -> list[onnx.NodeProto]:
    make = helper.make_node
    return [
        make("Slice", ["image", "zero", "whole", "axes", "strides"], ["thinned"]),
        make("Cast", ["thinned"], ["floats"], to=TensorProto.FLOAT),
        make("Transpose", ["floats"], ["channels"], perm=[2, 0, 1]),
        make("Unsqueeze", ["channels", "front"], ["batch"]),
        make("AveragePool", ["batch"], ["pooled"], kernel_shape=[POOL] * 2, strides=[POOL] * 2),
        make("Sub", ["pooled", "mean"], ["centred"]),
        make("Div", ["centred", "deviation"], ["colours"]),
        make("Concat", ["colours", "inside"], ["cells"], axis=1),
    ]


def _to_peaks() -> list[onnx.NodeProto]:
    """Cells that are as likely a part's middle as the likeliest of their neighbours, the best ones."""
    make = helper.make_node
    return [
        make("Reshape", ["said", "flat"], ["listed"]),
        make("Split", ["listed", "parts"], ["logit", "away", "sizes"], axis=0),
        make("Sigmoid", ["logit"], ["chance"]),
        make("Reshape", ["chance", "map_shape"], ["map"]),
        make("MaxPool", ["map"], ["highest"], kernel_shape=[3, 3], pads=[1] * 4),
        make("Sub", ["highest", "map"], ["below"]),
        make("LessOrEqual", ["below", "tolerance"], ["is_peak"]),
        make("Cast", ["is_peak"], ["peak"], to=TensorProto.FLOAT),
        make("Mul", ["map", "peak"], ["peaks"]),
        make("Reshape", ["peaks", "line"], ["scored"]),
        make("TopK", ["scored", "candidates"], ["scores", "where"]),
    ]


def _to_boxes() -> list[onnx.NodeProto]:
    make = helper.make_node
    return [
        make("Transpose", ["away"], ["away_rows"], perm=[1, 0]),
        make("Transpose", ["sizes"], ["sizes_rows"], perm=[1, 0]),
        make("Gather", ["away_rows", "where"], ["away_best"], axis=0),
        make("Gather", ["sizes_rows", "where"], ["sizes_best"], axis=0),
        make("Gather", ["middles", "where"], ["middles_best"], axis=0),
        make("Mul", ["away_best", "cell"], ["away_pixels"]),
        make("Add", ["middles_best", "away_pixels"], ["centres"]),
        make("Mul", ["sizes_best", "size_unit"], ["sizes_pixels"]),
        make("Mul", ["sizes_pixels", "half"], ["halves"]),
        make("Sub", ["centres", "halves"], ["corners"]),
        make("Concat", ["corners", "sizes_pixels"], ["boxes"], axis=1),
    ]
