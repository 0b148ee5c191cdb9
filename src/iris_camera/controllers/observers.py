"""Callbacks for what a camera does, besides the outbox."""

from collections.abc import Callable
from typing import NamedTuple

from iris_camera.camera.frame import Frame
from iris_camera.inspection.inspector import Inspected
from iris_camera.records.csv_file import FinishedCsv
from iris_camera.records.evidence import FinishedPicture


class Observers(NamedTuple):
    """Called with each inspected frame and each finished record file on the inspection thread, with each picture of a
    defect on the thread that wrote it; they must not block. An exception in one is logged and has no other effect."""

    on_inspected: Callable[[Frame, Inspected], None] = lambda frame, inspected: None
    on_finished: Callable[[FinishedCsv], None] = lambda finished: None
    on_evidence: Callable[[FinishedPicture], None] = lambda finished: None


NOBODY = Observers()
