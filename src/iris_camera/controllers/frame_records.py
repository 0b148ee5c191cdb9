"""What one inspected frame becomes in the records: detections in the one file, verdicts in the other.

Records that cannot be written are told, not raised: one file's trouble must not cost the other its rows.
"""

from collections.abc import Callable
from pathlib import Path

from iris_camera.camera.frame import Frame
from iris_camera.inspection.inspector import Inspected
from iris_camera.records.csv_file import ClassifierRow, FinishedCsv, ModelRow, PictureRow
from iris_camera.records.heartbeats import Heartbeats
from iris_camera.records.recorder import Recorder, RecordsError
from iris_camera.records.settings import RecordSettings

_Step = Callable[[], FinishedCsv | None]


class FrameRecords:
    """The model and the classifier file of one camera, in the camera's own folder; belongs to one thread. Each method
    returns the files that were thereby finished."""

    def __init__(
        self,
        folder: Path,
        camera: str,
        run: str,
        settings: RecordSettings,
        on_error: Callable[[str], None],
    ) -> None:
        self._model = Recorder(folder, camera, "model", run, settings.limits)
        self._classifier = Recorder(folder, camera, "classifier", run, settings.limits)
        self._heartbeats = Heartbeats(settings.heartbeat_s)
        self._on_error = on_error

    def record(self, frame: Frame, inspected: Inspected) -> list[FinishedCsv]:
        seen = [
            ModelRow(frame.number, p.part_id, p.box.x, p.box.y, p.box.width, p.box.height, p.score, p.label)
            for p in inspected.parts
        ]
        rows = self._heartbeats.rows(seen, frame.number, frame.monotonic_s)
        judged: list[ClassifierRow | PictureRow] = [
            ClassifierRow(frame.number, p.part_id, v.label, v.score) for p, v in inspected.verdicts
        ]
        if inspected.picture is not None:
            score = inspected.picture.score if inspected.parts else None
            judged.append(PictureRow(frame.number, inspected.picture.label, score))
        return self._each(
            lambda: self._model.append(rows, frame.wall_s, frame.monotonic_s, frame.file),
            lambda: self._classifier.append(judged, frame.wall_s, frame.monotonic_s, frame.file),
        )

    def rotate(self, monotonic_s: float) -> list[FinishedCsv]:
        """Age rotates too, without a new row."""
        return self._each(
            lambda: self._model.rotate_if_due(monotonic_s), lambda: self._classifier.rotate_if_due(monotonic_s)
        )

    def close(self) -> list[FinishedCsv]:
        """What cannot be finished lies whole in its folder, for the next start."""
        return self._each(self._model.close, self._classifier.close)

    def _each(self, *steps: _Step) -> list[FinishedCsv]:
        finished = []
        for step in steps:
            try:
                finished.append(step())
            except RecordsError as error:
                self._on_error(f"{error} ({error.rows_lost} rows lost)")
        return [each for each in finished if each is not None]
