"""What the models are worth: measured on lines neither was trained on."""

import time
from collections import Counter

import numpy as np
from demo_models.scenes import HELD_OUT_SEEDS, PICTURE, matched, scenes, share_visible

from iris_camera.camera.synthetic import SyntheticLine
from iris_camera.inspection.classifier import LABELS, OnnxClassifier
from iris_camera.inspection.findings import Box
from iris_camera.inspection.onnx import OnnxDetector
from iris_camera.inspection.tracker import Tracker


def measure_pictures(detector: OnnxDetector, classifier: OnnxClassifier) -> None:
    """Each model by itself, on frames that have no part in common."""
    tally: Counter[str] = Counter()
    overlaps: list[float] = []
    verdicts: Counter[tuple[str, str, str]] = Counter()
    for scene in scenes(HELD_OUT_SEEDS, 40):
        detections = detector.detect(scene.image)
        pairs = matched(scene, detections)
        tally["frames"] += 1
        tally["false"] += len(detections) - len(pairs)
        for part in scene.truth:
            tally["whole"] += part.fully_visible
            tally["half"] += share_visible(scene, part) >= 0.5 and not part.fully_visible
        for part, detection in pairs:
            tally["half found"] += share_visible(scene, part) >= 0.5 and not part.fully_visible
            if part.fully_visible:
                tally["found"] += 1
                overlaps.append(Box(*part.box).iou(detection.box))
                verdicts[part.label, part.flaw, classifier.classify(scene.image, detection.box).label] += 1
    print(f"held out: {len(HELD_OUT_SEEDS)} seeds, {tally['frames']} frames without a part in common")
    print(
        f"detector, of {tally['whole']} whole parts at IoU 0.5: recall {tally['found'] / tally['whole']:.4f}, ",
        end="",
    )
    print(f"mean IoU {np.mean(overlaps):.3f}")
    print(f"  of {tally['half']} parts at least half in the picture: recall {tally['half found'] / tally['half']:.4f}")
    print(f"  false positives a frame: {tally['false'] / tally['frames']:.4f}")
    print_verdicts(verdicts)


def print_verdicts(verdicts: Counter[tuple[str, str, str]]) -> None:
    """Accuracy, confusion, and how each flaw fares, from counts of (true label, flaw, label given)."""
    counts: Counter[tuple[str, str]] = Counter()
    flaws: Counter[tuple[str, bool]] = Counter()
    for (truth, flaw, label), count in verdicts.items():
        counts[truth, label] += count
        flaws[flaw, truth == label] += count
    right = sum(counts[label, label] for label in LABELS)
    good = sum(counts["good", label] for label in LABELS)
    print(f"classifier, of {counts.total()} whole parts: accuracy {right / counts.total():.4f}")
    print(f"  saying good of each: {good / counts.total():.4f}")
    for truth in LABELS:
        print(f"  truly {truth}:", ", ".join(f"{counts[truth, label]} called {label}" for label in LABELS))
    for flaw in sorted({flaw for flaw, _ in flaws}):
        print(f"  flaw {flaw}: right in {flaws[flaw, True] / (flaws[flaw, True] + flaws[flaw, False]):.4f}")


def measure_lines(detector: OnnxDetector, classifier: OnnxClassifier, frames: int = 500) -> None:
    """All of it as the camera runs it: detector, tracker, one verdict a part, over eight lines of 20 seconds."""
    tally: Counter[str] = Counter()
    for seed in HELD_OUT_SEEDS[:8]:
        line, tracker = SyntheticLine(seed), Tracker(PICTURE[1], PICTURE[0])
        whole: Counter[int] = Counter()
        judged: Counter[int] = Counter()
        for number in range(frames):
            image, truth = line.picture(number), line.truth(number)
            whole.update(part.part_id for part in truth if part.fully_visible)
            for part in tracker.update(detector.detect(image), number).ready:
                true = max(truth, key=lambda each: Box(*each.box).iou(part.box))
                if Box(*true.box).iou(part.box) < 0.3:
                    tally["ghosts"] += 1
                    continue
                judged[true.part_id] += 1
                tally["right"] += classifier.classify(image, part.box).label == true.label
        tally["parts"] += sum(count > 3 for count in whole.values())
        tally["forgotten"] += sum(count > 3 and part_id not in judged for part_id, count in whole.items())
        tally["judged"] += judged.total()
        tally["twice"] += judged.total() - len(judged)
    print(f"tracked, 8 lines of {frames} frames: {tally['parts']} parts wholly in the picture for 4 frames or more")
    print(f"  without a verdict: {tally['forgotten']}, with two: {tally['twice']}, of nothing: {tally['ghosts']}")
    print(f"  accuracy of {tally['judged']} verdicts: {tally['right'] / tally['judged']:.4f}")


def measure_costs(detector: OnnxDetector, classifier: OnnxClassifier) -> None:
    """The median milliseconds of one call, on one thread."""
    line = SyntheticLine(HELD_OUT_SEEDS[0])
    costs: dict[str, list[float]] = {"picture": [], "detect": [], "classify": []}
    for number in range(200):
        start = time.perf_counter()
        image = line.picture(number)
        drawn = time.perf_counter()
        found = detector.detect(image)
        detected = time.perf_counter()
        classifier.classify(image, found[0].box)
        ended = time.perf_counter()
        for name, cost in zip(costs, (drawn - start, detected - drawn, ended - detected), strict=True):
            costs[name].append(cost * 1000)
    print("median ms a call: ", ", ".join(f"{name} {np.median(values):.2f}" for name, values in costs.items()))
