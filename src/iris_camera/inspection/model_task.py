"""The task of the model in an ONNX file, when it is neither a detector of upright boxes nor a classifier of crops.

Exports look alike: a YOLO of keypoints, masks or turned boxes returns a table like a detector's, only wider, and the
extra columns would be taken for more classes. Some state their task in their metadata; for others the shapes show it.
"""

from pathlib import Path

from iris_camera.inspection.model import Tensor
from iris_camera.inspection.model_error import ModelError

KINDS = {
    "detect": "a detection model",
    "segment": "a segmentation model",
    "semantic": "a segmentation model",
    "pose": "a pose model, which finds keypoints",
    "obb": "a model of oriented boxes (OBB)",
    "classify": "a classification model",
}
_DETECTORS_ONLY = "a detector has to find upright boxes and nothing else; docs/models.md says which outputs fit"
_IS_CLASSIFIER = "give it as model of [inspection.classifier], and as detector one that finds the parts"
_IS_DETECTOR = "a classifier answers with one number a class; give this as model of [inspection.detector]"
_BOX_COLUMNS = {4, 5, 6, 7}  # of an open number of boxes
_MASK_NUMBERS = 32  # a YOLO of masks has so many for each box


def check_detects(outputs: tuple[Tensor, ...], metadata: dict[str, str], declared: bool, path: Path) -> None:
    """Raises ModelError for a model that is certainly no detector; its shapes are not examined where its style is
    `declared`."""
    task = metadata.get("task", "detect")
    how_known = "as its entry task says"
    if task == "detect" and not declared:
        task, how_known = _task_by_shapes(outputs), "by the shapes of its outputs"
    if task in KINDS and task != "detect":
        what_to_do = _IS_CLASSIFIER if task == "classify" else _DETECTORS_ONLY
        raise ModelError(f"{path} is {KINDS[task]}, {how_known}: {what_to_do}")


def check_classifies(metadata: dict[str, str], path: Path) -> None:
    """Raises ModelError for a model that is certainly no classifier."""
    task = metadata.get("task")
    if task in KINDS and task != "classify":
        raise ModelError(f"{path} is {KINDS[task]}, as its entry task says: {_IS_DETECTOR}")


def unlike_a_detector(outputs: tuple[Tensor, ...]) -> str:
    """What a model with unknown outputs may be; empty when that is not known."""
    maps = len(outputs) == 1 and len(outputs[0].shape) == 4
    return f"; it may be {KINDS['semantic']}: {_DETECTORS_ONLY}" if maps else ""


def unlike_a_classifier(outputs: tuple[Tensor, ...]) -> str:
    """What a model without a classifier's output may be; empty when that is not known."""
    task = _task_by_shapes(outputs)
    if task != "detect":
        return f"; it may be {KINDS[task]}" if task != "classify" else ""
    if any(len(each.shape) == 3 for each in outputs):
        return f"; it may be {KINDS[task]}: {_IS_DETECTOR}"
    return f"; it may be {KINDS['semantic']}" if any(len(each.shape) == 4 for each in outputs) else ""


def likely_kind(numbers_more: int) -> str:
    """What a model with so many more numbers for each box than labels may be; empty when that is not known."""
    if numbers_more == _MASK_NUMBERS:
        task = "segment"
    elif numbers_more == 1:
        task = "obb"
    elif numbers_more > 0 and (numbers_more % 3 == 0 or numbers_more % 2 == 0):
        task = "pose"
    else:
        return ""
    return f"; it may be {KINDS[task]}: {_DETECTORS_ONLY}"


def _task_by_shapes(outputs: tuple[Tensor, ...]) -> str:
    tables = [each.shape for each in outputs if len(each.shape) == 3]
    masks = [each.shape for each in outputs if len(each.shape) == 4]
    if len(masks) == 1 and len(tables) == 1 and masks[0][1] is not None:
        numbers = [size for size in tables[0][1:] if size is not None]
        if any(size >= 4 + masks[0][1] for size in numbers):
            return "segment"
    if len(outputs) == 1 and len(outputs[0].shape) in {1, 2}:
        rows = 1 if len(outputs[0].shape) == 1 else outputs[0].shape[0]
        return "classify" if rows == 1 or (rows is None and outputs[0].shape[-1] not in _BOX_COLUMNS) else "detect"
    return "detect"
