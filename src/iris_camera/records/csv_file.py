"""What a record file holds: its columns, its rows as text, and how far a file on disk can be believed.

Every file has a header line, and every row carries the version of the schema, so that a row that was copied
out of its file can still be read. Lines end in one newline; fields are quoted as the csv module does.
New columns come at the end, so that a reader by position still finds what it knew: version 2 added `label` to model
rows, version 3 `camera`, `run` and `file` to both kinds. docs/records.md says what each column holds.

A heartbeat is a model row that says: at this time a frame was inspected, and nothing was found on it. Its `part_id`,
box and score are empty and its label is `heartbeat`; the empty `part_id` distinguishes it from a detection, whose
class may have the same name. Likewise a classifier row without a `part_id` is the verdict on a whole picture that
stands alone; its score is empty where nothing was found.

A file on disk is believed row by row, from the start: a row is whole when its line is complete, is text,
and has as many fields as the header. What follows the first row that is not whole is what a crash or a
power cut left (half a row, half a character, zero bytes where data never reached the disk) and is worth
nothing. The columns are read from the file's own header, so that a file written by another version of the
program is checked against its own columns.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from iris_camera.records.csv_name import Kind
from iris_camera.records.text_cell import text_cell

SCHEMA_VERSION = 3
OPEN_FOLDER = "open"
READY_FOLDER = "ready"
KEPT_FOLDER = "kept"
LINE_BYTES_MAX = 1 << 20
HEARTBEAT = "heartbeat"

_FIRST_COLUMNS = ("schema_version", "frame", "utc", "monotonic_s", "part_id")
_LAST_COLUMNS = ("camera", "run", "file")
COLUMNS: dict[Kind, tuple[str, ...]] = {
    "model": (*_FIRST_COLUMNS, "x_px", "y_px", "width_px", "height_px", "score", "label", *_LAST_COLUMNS),
    "classifier": (*_FIRST_COLUMNS, "label", "score", *_LAST_COLUMNS),
}


class ModelRow(NamedTuple):
    """One detection: the frame's number, the part it belongs to, its box in pixels, its score from 0 to 1, and the
    detector's class."""

    frame: int
    part_id: int
    x: float
    y: float
    width: float
    height: float
    score: float
    label: str = "part"


class HeartbeatRow(NamedTuple):
    """A frame that was inspected and showed nothing; among the model rows."""

    frame: int


class ClassifierRow(NamedTuple):
    """One part that was judged: the frame's number, the part, the label, its score from 0 to 1."""

    frame: int
    part_id: int
    label: str
    score: float


class PictureRow(NamedTuple):
    """The verdict on a picture that stands alone; among the classifier rows. `score` None: nothing was found in it."""

    frame: int
    label: str
    score: float | None


class RowOrigin(NamedTuple):
    """Where rows are from: the camera, the number of its run, and the file of the picture if it came in one of its
    own."""

    camera: str = ""
    run: str = ""
    file: str = ""


Rows = Sequence[ModelRow | HeartbeatRow] | Sequence[ClassifierRow | PictureRow]


_NOWHERE = RowOrigin()


class FinishedCsv(NamedTuple):
    """A closed file in the folder `ready`, as the outbox wants to know it; `rows` without the header."""

    path: Path
    kind: Kind
    rows: int
    size_bytes: int
    sha256: str


class WholeRows(NamedTuple):
    """What of a file can be believed: its whole rows; size and SHA-256 of these with the header."""

    rows: int
    size_bytes: int
    sha256: str


class NotARecordError(ValueError):
    """The content does not begin as a record file does."""


def utc_time(wall_s: float) -> datetime:
    """The Unix time `wall_s` as a time in UTC, to the millisecond, never rounded up."""
    time = datetime.fromtimestamp(wall_s, UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def header(kind: Kind) -> bytes:
    """The first line of a file of this kind."""
    return (",".join(COLUMNS[kind]) + "\n").encode()


def encode(rows: Rows, wall_s: float, monotonic_s: float, origin: RowOrigin = _NOWHERE) -> bytes:
    """The rows of one frame, captured at `wall_s` (Unix time) and `monotonic_s`, as the lines of a file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    utc = utc_time(wall_s).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    monotonic = f"{monotonic_s:.6f}"
    last = (origin.camera, origin.run, text_cell(origin.file))
    for row in rows:
        writer.writerow((SCHEMA_VERSION, row.frame, utc, monotonic, *_own_cells(row), *last))
    # Labels and names of files are untrusted texts: half a surrogate pair in one must not stop the recording.
    return text.getvalue().encode("utf-8", "backslashreplace")


def _own_cells(row: ModelRow | HeartbeatRow | ClassifierRow | PictureRow) -> tuple[object, ...]:
    if isinstance(row, HeartbeatRow):
        return ("", "", "", "", "", "", HEARTBEAT)
    if isinstance(row, ModelRow):
        box = (f"{row.x:.2f}", f"{row.y:.2f}", f"{row.width:.2f}", f"{row.height:.2f}")
        return (row.part_id, *box, f"{row.score:.4f}", text_cell(row.label))
    if isinstance(row, PictureRow):
        return ("", text_cell(row.label), "" if row.score is None else f"{row.score:.4f}")
    return (row.part_id, text_cell(row.label), f"{row.score:.4f}")


def whole_rows(file: BinaryIO) -> WholeRows:
    """Read a file from its start and say how much of it can be believed.

    A file that ends within its header, or holds zero bytes from there on, has no rows. Raises
    NotARecordError if it begins with anything else.
    """
    first = file.readline(LINE_BYTES_MAX)
    if not _is_line(first):
        _check_torn_header(first)
        return WholeRows(0, 0, hashlib.sha256().hexdigest())
    columns = first.count(b",") + 1
    if not first.startswith(b"schema_version,"):
        raise NotARecordError("it does not begin with the header of a record file")
    digest = hashlib.sha256(first)
    rows, size_bytes = 0, len(first)
    while row := _next_row(file):
        if not _is_line(row) or _field_count(row) != columns:
            break
        digest.update(row)
        rows, size_bytes = rows + 1, size_bytes + len(row)
    return WholeRows(rows, size_bytes, digest.hexdigest())


def _next_row(file: BinaryIO) -> bytes:
    """The next row. A field in quotes may hold newlines, so lines are joined until the quotes pair."""
    row = file.readline(LINE_BYTES_MAX)
    while row.count(b'"') % 2 and len(row) < LINE_BYTES_MAX:
        line = file.readline(LINE_BYTES_MAX)
        if not line:
            break
        row += line
    return row


def _is_line(row: bytes) -> bool:
    """True for a complete line of text: ended, without zero bytes, in UTF-8."""
    if not row.endswith(b"\n") or b"\0" in row:
        return False
    try:
        row.decode()
    except UnicodeDecodeError:
        return False
    return row.count(b'"') % 2 == 0


def _field_count(row: bytes) -> int:
    if b'"' not in row:
        return row.count(b",") + 1
    fields = list(csv.reader(io.StringIO(row.decode(), newline="")))
    return len(fields[0]) if len(fields) == 1 else 0


def _check_torn_header(first: bytes) -> None:
    """Raise NotARecordError unless the bytes are the beginning of a header, then nothing or zero bytes."""
    text = first.rstrip(b"\0")
    if not any(header(kind).startswith(text) for kind in COLUMNS):
        raise NotARecordError("it does not begin with the header of a record file")
