"""Pictures that stand alone, and parts that are judged again: from a folder or a film to rows and evidence."""

import threading

import cv2
import numpy as np
import pytest

from iris_camera.camera.frame import Frame
from iris_camera.camera.settings import SourceSettings
from iris_camera.camera.sources import make_source
from iris_camera.controllers.camera_controller import Camera, CameraSetup
from iris_camera.controllers.handing_over import DeliveryTarget
from iris_camera.controllers.observers import Observers
from iris_camera.inspection.findings import Box, Detection, Verdict
from iris_camera.inspection.inspector import Inspector
from iris_camera.inspection.settings import InspectionSettings
from iris_camera.records.evidence_name import parse_evidence_name
from iris_camera.records.settings import EvidenceSettings, RecordSettings
from tests.unit.iris_camera.controllers.parts import WAIT_S, AcceptingUploader, ListSource


@pytest.fixture
def uploader():
    return AcceptingUploader()


class Inspections:
    """How many frames were inspected."""

    def __init__(self):
        self.frames, self.news = 0, threading.Condition()

    def count(self, frame, inspected):
        with self.news:
            self.frames += 1
            self.news.notify_all()

    def run(self, camera, frames):
        """Run a camera until it has inspected so many frames, and end it in order."""
        camera.start()
        with self.news:
            assert self.news.wait_for(lambda: self.frames == frames, WAIT_S)
        assert camera.quiesce(WAIT_S)


@pytest.fixture
def inspections():
    return Inspections()


class WhereItIsBright:
    """Finds one part, in the same place in every picture."""

    name, provider = "where it is bright", "made up"

    def detect(self, image):
        return [Detection(Box(40.0, 30.0, 60.0, 40.0), 0.9)] if image.max() > 100 else []


class BySight:
    """A dark spot on the part is a defect."""

    def classify(self, image, box):
        part = image[int(box.y) : int(box.bottom), int(box.x) : int(box.right)]
        return Verdict("defect" if part.min() < 100 else "good", 0.9)


def product(scratched=False, shape=(100, 140, 3)):
    image = np.full(shape, 30, np.uint8)
    image[30:70, 40:100] = 220
    if scratched:
        image[45:55, 60:80] = 0
    return image


class Shown(ListSource):
    """A film of these pictures."""

    def __init__(self, *images):
        super().__init__(0)
        for number, image in enumerate(images):
            image.flags.writeable = False
            self.unread.append(Frame(image, number, 1_700_000_000.0 + number, float(number)))


@pytest.fixture
def looking(tmp_path, uploader, inspections):
    """A camera by its settings, with a real source of the kind it names unless one is given."""
    cameras = []

    def make(source=None, settings=None, inspection=None, evidence=None):
        setup = CameraSetup(
            "line-1",
            settings or SourceSettings(f"dir:{tmp_path / 'shots'}"),
            inspection or InspectionSettings(),
            RecordSettings(folder=tmp_path / "records"),
            evidence or EvidenceSettings(),
            DeliveryTarget("plant", {"project": "p"}),
            tmp_path / "records" / "line-1",
        )
        camera = Camera(
            setup,
            uploader,
            observers=Observers(on_inspected=inspections.count),
            make=make_source if source is None else lambda name, settings: source,
            inspector=lambda settings, stills: Inspector(WhereItIsBright(), BySight(), settings, stills=stills),
        )
        cameras.append(camera)
        return camera

    yield make
    for camera in cameras:
        assert camera.stop(WAIT_S)


def shots(folder, *scratched, shapes=()):
    folder.mkdir()
    for number, is_scratched in enumerate(scratched):
        shape = shapes[number] if shapes else (100, 140, 3)
        (folder / f"{number}.png").write_bytes(bytes(cv2.imencode(".png", product(is_scratched, shape))[1]))


@pytest.mark.parametrize(
    "shapes", [(), [(100 + 10 * number, 140, 3) for number in range(6)]], ids=["one size", "different sizes"]
)
def test_each_picture_of_a_folder_is_judged_and_its_rows_and_evidence_name_it(
    tmp_path, looking, uploader, inspections, shapes
):
    shots(tmp_path / "shots", False, False, False, True, False, False, shapes=shapes)
    inspections.run(looking(), 6)
    parts = [(row["part_id"], row["label"], row["file"]) for row in uploader.rows("classifier") if row["part_id"]]
    assert parts == [(str(n + 1), "defect" if n == 3 else "good", f"{n}.png") for n in range(6)]
    pictures = [(row["label"], row["file"]) for row in uploader.rows("classifier") if not row["part_id"]]
    assert pictures == [("defect" if n == 3 else "good", f"{n}.png") for n in range(6)]
    assert [row["file"] for row in uploader.rows("model")] == [f"{n}.png" for n in range(6)]
    names = [parse_evidence_name(name) for kind, name, _ in uploader.queued if kind == "evidence"]
    assert [(name.view, name.frame, name.part_id) for name in names] == [("crop", 3, 4), ("frame", 3, 4)]


def test_a_single_picture_is_judged_and_nothing_waits_for_another(tmp_path, looking, uploader, inspections):
    shots(tmp_path / "shots", True)
    inspections.run(looking(), 1)
    assert [row["label"] for row in uploader.rows("classifier")] == ["defect", "defect"]
    assert [kind for kind, _, _ in uploader.queued].count("evidence") == 2


def test_a_picture_in_which_nothing_is_found_has_a_verdict_too(tmp_path, looking, uploader, inspections):
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "0.png").write_bytes(bytes(cv2.imencode(".png", np.zeros((100, 140), np.uint8))[1]))
    inspections.run(looking(), 1)
    (row,) = uploader.rows("classifier")
    assert (row["part_id"], row["label"], row["score"], row["file"]) == ("", "nothing", "", "0.png")


def test_every_defect_of_a_folder_has_its_pictures_though_they_come_faster_than_they_are_written(
    tmp_path, looking, uploader, inspections
):
    shots(tmp_path / "shots", *[True] * 30)
    camera = looking(evidence=EvidenceSettings(crop=False, frames_held_max=1))
    inspections.run(camera, 30)
    assert [kind for kind, _, _ in uploader.queued].count("evidence") == 30
    assert camera.snapshot()["evidence_skipped"] == 0


def test_the_pictures_of_a_folder_may_be_frames_of_one_film(tmp_path, looking, uploader, inspections):
    shots(tmp_path / "shots", *[False] * 6)
    inspections.run(looking(settings=SourceSettings(f"dir:{tmp_path / 'shots'}", stills=False)), 6)
    assert [(row["part_id"], row["label"]) for row in uploader.rows("classifier")] == [("1", "good")]


@pytest.mark.parametrize("source", ["http://camera/mjpeg", "rtsp://camera/h264", "usb:0", "file:a.mp4", "synthetic"])
def test_pictures_stand_alone_in_a_folder_and_elsewhere_where_that_is_set(source):
    assert SourceSettings("dir:shots").are_stills
    assert not SourceSettings(source).are_stills
    assert SourceSettings(source, stills=True).are_stills


def test_a_triggered_camera_may_give_stills_too(looking, uploader, inspections):
    film = Shown(*(product(scratched) for scratched in (False, False, True, False)))
    camera = looking(film, SourceSettings("file:a.mp4", stills=True))
    inspections.run(camera, 4)
    labels = [row["label"] for row in uploader.rows("classifier") if row["part_id"]]
    assert labels == ["good", "good", "defect", "good"]


def test_a_part_that_shows_a_scratch_later_is_a_defect_with_evidence_once(looking, uploader, inspections):
    film = Shown(*(product(scratched) for scratched in (False, False, False, True, True, False, True)))
    camera = looking(film, SourceSettings("file:a.mp4"))
    inspections.run(camera, 7)
    rows = [(row["frame"], row["part_id"], row["label"]) for row in uploader.rows("classifier")]
    assert rows == [("1", "1", "good"), ("3", "1", "defect")]
    names = [parse_evidence_name(name) for kind, name, _ in uploader.queued if kind == "evidence"]
    assert [(name.view, name.frame, name.part_id) for name in names] == [("crop", 3, 1), ("frame", 3, 1)]
    shown = camera.snapshot()
    assert (shown["parts"], shown["defects"]) == (1, 1)
    assert [mark.alarm for mark in camera.picture().marks] == [True]


def test_a_part_is_judged_once_where_the_first_verdict_counts(looking, uploader, inspections):
    film = Shown(*(product(scratched) for scratched in (False, False, False, True)))
    inspections.run(looking(film, SourceSettings("file:a.mp4"), InspectionSettings(verdict="first")), 4)
    assert [row["label"] for row in uploader.rows("classifier")] == ["good"]
    assert [kind for kind, _, _ in uploader.queued].count("evidence") == 0


def test_each_row_names_its_camera_and_run(looking, uploader, inspections):
    camera = looking(Shown(*(product() for _ in range(3))), SourceSettings("file:a.mp4"))
    inspections.run(camera, 3)
    rows = [*uploader.rows("model"), *uploader.rows("classifier")]
    assert {(row["camera"], row["run"], row["file"]) for row in rows} == {("line-1", camera.run, "")}
