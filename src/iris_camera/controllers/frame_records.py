"""Writes each inspected frame into the records: detections into one file, verdicts into the other.

An error in writing goes to `on_error` and is not raised: one file's trouble must not cost the other its rows. Lost rows
are counted, and the present trouble is kept for `snapshot`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from iris_camera.camera.frame import Frame
from iris_camera.inspection.inspector import Inspected
from iris_camera.records.csv_file import ClassifierRow, FinishedCsv, ModelRow, PictureRow, Rows
from iris_camera.records.heartbeats import Heartbeats
from iris_camera.records.recorder import Recorder, RecordsError
from iris_camera.records.settings import RecordSettings
from iris_communication.runtime.amounts import counted


class _RecordFile:
    """One kind of record, and its trouble: rows that cannot be written are lost, a file that cannot be finished is
    not."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.losing: str | None = None
        self.unfinished: str | None = None

    def append(self, rows: Rows, frame: Frame, now_s: float) -> FinishedCsv | None:
        try:
            finished = self.recorder.append(rows, frame.wall_s, frame.monotonic_s, frame.file, now_s=now_s)
        except RecordsError as error:
            self.losing = str(error) if error.rows_lost else None
            self.unfinished = None if error.rows_lost else str(error)
            raise
        if rows:
            self.losing = None
        self.unfinished = None
        return finished

    def finish(self, step: Callable[[], FinishedCsv | None]) -> FinishedCsv | None:
        try:
            finished = step()
        except RecordsError as error:
            self.unfinished = str(error)
            raise
        self.unfinished = None
        return finished


_Step = Callable[[], FinishedCsv | None]


class FrameRecords:
    """The model and the classifier file of one camera, in the camera's own folder; belongs to one thread. Each method
    returns the files that were thereby finished."""

    def __init__(
        self, folder: Path, camera: str, run: str, settings: RecordSettings, on_error: Callable[[str], None]
    ) -> None:
        self._model = _RecordFile(Recorder(folder, camera, "model", run, settings.limits))
        self._classifier = _RecordFile(Recorder(folder, camera, "classifier", run, settings.limits))
        self._heartbeats = Heartbeats(settings.heartbeat_s)
        self._on_error = on_error
        self._rows_lost = self._errors = 0

    def snapshot(self) -> dict[str, Any]:
        """`{"rows_lost", "errors", "being_written", "trouble", "losing_rows"}`; the first two since the start,
        `trouble` is why rows or files cannot be written just now. From any thread."""
        files = self._files
        losing = next((file.losing for file in files if file.losing), None)
        unfinished = next((file.unfinished for file in files if file.unfinished), None)
        return {
            "rows_lost": self._rows_lost,
            "errors": self._errors,
            "being_written": sum(file.recorder.is_writing for file in files),
            "trouble": losing or unfinished,
            "losing_rows": losing is not None,
        }

    def record(self, frame: Frame, inspected: Inspected, now_s: float) -> list[FinishedCsv]:
        """`now_s`: monotonic, as for `rotate`; the frame's own time may lie far behind it."""
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
            lambda: self._model.append(rows, frame, now_s), lambda: self._classifier.append(judged, frame, now_s)
        )

    def rotate(self, monotonic_s: float) -> list[FinishedCsv]:
        """Finish the files that are due by their age, without a new row."""
        return self._each(
            *(lambda file=file: file.finish(lambda: file.recorder.rotate_if_due(monotonic_s)) for file in self._files)
        )

    def close(self) -> list[FinishedCsv]:
        """A file that cannot be finished lies whole in its folder, for the next start."""
        return self._each(*(lambda file=file: file.finish(file.recorder.close) for file in self._files))

    @property
    def _files(self) -> tuple[_RecordFile, _RecordFile]:
        return self._model, self._classifier

    def _each(self, *steps: _Step) -> list[FinishedCsv]:
        finished = []
        for step in steps:
            try:
                finished.append(step())
            except RecordsError as error:
                self._rows_lost += error.rows_lost
                self._errors += 1
                self._on_error(f"{error} ({counted(error.rows_lost, 'row')} lost)")
        return [each for each in finished if each is not None]
