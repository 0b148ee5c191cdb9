"""The classifier: first what each spot of a crop shows, then what that makes of the part.

Learning "good" or "defect" straight from whole crops takes far longer than the minute this may take: the sign is a few
pixels somewhere. The line knows where it put a hole, a chip, a scratch, so the first half learns to see those, spot by
spot, and the second half to judge what the first one really sees. The crops are cut by the trained detector, with the
errors it makes.
"""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from demo_models.network import Floats, Layer, Network, batches, exported, sigmoid
from demo_models.scenes import TRAINING_SEEDS, matched, scenes
from onnx import TensorProto, helper

from iris_camera.camera.part_plan import PartPlan
from iris_camera.inspection.classifier import CONTEXT, LABELS, model_crop
from iris_camera.inspection.findings import Box
from iris_camera.inspection.onnx import OnnxDetector

CROP = 85
SIGN_FIELD, SIGN_STEP, SIGN_CELLS = (
    25,
    4,
    16,
)  # what one spot of a crop is judged by, and how many spots there are
LEVEL_MEAN, LEVEL_DEVIATION, CONTRAST, BLUR = 110.0, 50.0, 12.0, 7


class Crops(NamedTuple):
    """What the classifier sees of parts: (n, 85, 85) brightness, what is true of them, and where it shows.

    `signs` is (n, 16, 16, 3), a cell for every fourth pixel: 1 where there is a screw hole, a chip, a scratch; 0 where
    there is none; -1 where either would be right.
    """

    pictures: npt.NDArray[np.uint8]
    labels: Floats
    signs: npt.NDArray[np.int8]


def crops(detector: OnnxDetector, seeds: range, frames: int, defect_share: float) -> Crops:
    """The parts that are wholly in the picture, in the boxes the detector gave them."""
    pictures, labels, signs = [], [], []
    for scene in scenes(seeds, frames, defect_share):
        for part, detection in matched(scene, detector.detect(scene.image)):
            plan = scene.line.plan(part.part_id)
            if plan is not None and part.fully_visible:
                picture = model_crop(scene.image, detection.box, (CROP, CROP))
                pictures.append(picture.mean(2).astype(np.uint8))
                labels.append(float(LABELS.index(part.label)))
                signs.append(signs_of(plan, Box(*part.box), detection.box.grown(CONTEXT)))
    return Crops(np.stack(pictures), np.array(labels, np.float32), np.stack(signs))


def signs_of(plan: PartPlan, box: Box, seen: Box) -> npt.NDArray[np.int8]:
    """Where the crop of `seen` shows what, for the part that lies in `box`."""
    angle = np.radians(plan.angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    zoom = CROP / np.array([seen.width, seen.height])
    y, x = np.mgrid[0:SIGN_CELLS, 0:SIGN_CELLS] * SIGN_STEP + SIGN_FIELD // 2
    distances = np.full((SIGN_CELLS, SIGN_CELLS, 3), 99.0)

    def mark(sign: int, point: tuple[float, float], radius: float = 0.0) -> None:
        place = (np.array(box.centre) + turn @ np.array(point) - (seen.x, seen.y)) * zoom
        away = np.hypot(x - place[0], y - place[1]) - radius * zoom.mean()
        distances[:, :, sign] = np.minimum(distances[:, :, sign], np.maximum(away, 0))

    for hole in plan.holes[1:]:
        mark(0, (hole.x, hole.y))
    if plan.chip is not None:
        mark(1, (plan.chip.x, plan.chip.y), plan.chip.radius / 2)
    for first, second in pairwise(np.array(plan.scratch)):
        for share in np.linspace(0, 1, 8):
            mark(2, tuple(first + share * (second - first)))
    return ((distances < 3).astype(np.int8) - ((distances >= 3) & (distances < 5))).astype(np.int8)


def classifier_inputs(pictures: npt.NDArray[np.uint8]) -> Floats:
    """As the classifier's first nodes do it: brightness, and how it differs from its surroundings."""
    values = pictures.astype(np.float32)
    inside = cv2.blur(np.ones(pictures.shape[1:], np.float32), (BLUR, BLUR), borderType=cv2.BORDER_CONSTANT)
    blurred = [cv2.blur(each, (BLUR, BLUR), borderType=cv2.BORDER_CONSTANT) / inside for each in values]
    return np.stack([(values - LEVEL_MEAN) / LEVEL_DEVIATION, (values - np.stack(blurred)) / CONTRAST], 3)


def varied(pictures: Floats, random: np.random.Generator) -> Floats:
    """The same squares mirrored and turned by quarters."""
    if random.random() < 0.5:
        pictures = pictures[:, ::-1]
    if random.random() < 0.5:
        pictures = pictures[:, :, ::-1]
    if random.random() < 0.5:
        pictures = pictures.transpose(0, 2, 1, 3)
    return np.ascontiguousarray(pictures)


def train_signs(random: np.random.Generator, inputs: Floats, signs: npt.NDArray[np.int8]) -> Network:
    """The first half: what a spot of 25x25 pixels shows; fitted on all that show something and some others."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (SIGN_FIELD, SIGN_FIELD), (1, 2))
    windows = windows[:, ::SIGN_STEP, ::SIGN_STEP]
    weight = np.where((signs == -1).any(3), 0.02, 0.05)
    weight[signs[..., 0] == 1] = 0.2
    weight[(signs[..., 1:] == 1).any(3)] = 1.0
    chosen_spots = np.nonzero(random.random(weight.shape) < weight)
    spots, wanted = windows[chosen_spots].transpose(0, 2, 3, 1).copy(), signs[chosen_spots]
    print(f"classifier: {len(spots)} spots; holes, chips, scratches: {(wanted == 1).sum(0).tolist()}")
    network = Network(
        [
            Layer(random, 2, 16, 5, 2),
            Layer(random, 16, 24, 3, 2),
            Layer(random, 24, 32, 3),
            Layer(random, 32, 32, 3),
            Layer(random, 32, 3, 1, ramp=False),
        ]
    )
    for chosen, rate in batches(random, len(spots), 256, 9, 5e-3):
        output = network.forward(varied(spots[chosen], random)).reshape(-1, 3)
        slope = (sigmoid(output) - (wanted[chosen] == 1)) * (wanted[chosen] >= 0) / len(chosen)
        network.learn(slope.astype(np.float32).reshape(-1, 1, 1, 3), rate, 0.02)
    return network


def train_judgement(random: np.random.Generator, seen: Floats, labels: Floats) -> Network:
    """The second half: good or defect, from where the first half saw what."""
    network = Network([Layer(random, 3, 48, SIGN_CELLS), Layer(random, 48, 24, 1), Layer(random, 24, 1, 1, ramp=False)])
    emphasis = np.where(labels == 1, 0.5, 1.0).astype(np.float32)  # half of these are defects, but one in seven later
    for chosen, rate in batches(random, len(seen), 64, 70, 4e-3):
        output = network.forward(varied(seen[chosen], random)).reshape(-1)
        slope = (sigmoid(output) - labels[chosen]) * emphasis[chosen] / len(chosen)
        network.learn(slope.reshape(-1, 1, 1, 1), rate, 0.3)
    return network


def train_classifier(random: np.random.Generator, detector: OnnxDetector) -> tuple[Network, Network]:
    known = crops(detector, TRAINING_SEEDS, 40, 0.5)
    print(f"classifier: {len(known.labels)} crops, {int(known.labels.sum())} of them defects")
    inputs = classifier_inputs(known.pictures)
    signs = train_signs(random, inputs, known.signs)
    seen = [sigmoid(signs.forward(inputs[first : first + 64])) for first in range(0, len(inputs), 64)]
    return signs, train_judgement(random, np.concatenate(seen), known.labels)


def classifier_model(signs: Network, judgement: Network) -> onnx.ModelProto:
    """The crop's brightness through both halves, and the two chances."""
    looking, looking_weights = signs.nodes("values", "signs")
    judging, judging_weights = judgement.nodes("seen", "said")
    make = helper.make_node
    model = exported(
        [
            *_to_values(),
            *looking,
            make("Sigmoid", ["signs"], ["seen"]),
            *judging,
            make("Reshape", ["said", "single"], ["logit"]),
            make("Sigmoid", ["logit"], ["defect"]),
            make("Sub", ["one", "defect"], ["good"]),
            make("Concat", ["good", "defect"], ["probabilities"], axis=0),
        ],
        [*looking_weights, *judging_weights],
        {
            "front": np.array([0, 1], np.int64),
            "mean": np.array(LEVEL_MEAN, np.float32),
            "deviation": np.array(LEVEL_DEVIATION, np.float32),
            "contrast": np.array(CONTRAST, np.float32),
            "one": np.array([1], np.float32),
            "single": np.array([1], np.int64),
        },
        helper.make_tensor_value_info("crop", TensorProto.UINT8, [CROP, CROP, 3]),
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [len(LABELS)])],
    )
    helper.set_model_props(model, {"labels": ",".join(LABELS)})
    return model


def _to_values() -> list[onnx.NodeProto]:
    make = helper.make_node
    return [
        make("Cast", ["crop"], ["floats"], to=TensorProto.FLOAT),
        make("ReduceMean", ["floats"], ["brightness"], axes=[2], keepdims=0),
        make("Unsqueeze", ["brightness", "front"], ["plane"]),
        make("AveragePool", ["plane"], ["blurred"], kernel_shape=[BLUR] * 2, pads=[BLUR // 2] * 4),
        make("Sub", ["plane", "blurred"], ["difference"]),
        make("Div", ["difference", "contrast"], ["sharp"]),
        make("Sub", ["plane", "mean"], ["centred"]),
        make("Div", ["centred", "deviation"], ["level"]),
        make("Concat", ["level", "sharp"], ["values"], axis=1),
    ]
