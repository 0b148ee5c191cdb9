from contextlib import suppress

import pytest

from iris_camera.camera.multipart import LONGEST_PICTURE_BYTES, Multipart, NotMultipart, boundary_of


def jpeg(content, preview=b""):
    """The marks of one, around something in place of compressed data."""
    return b"\xff\xd8\xff\xe1%b%b\xff\xda%b\xff\xd9" % ((2 + len(preview)).to_bytes(2, "big"), preview, content)


PICTURES = [jpeg(b"first"), jpeg(b"sec\r\nond"), jpeg(b"third\n\n")]
MEASURED = b"".join(
    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
    for picture in PICTURES
)
BARE = b"".join(b"--frame\nContent-Type: image/jpeg\n\n%b" % picture for picture in PICTURES) + b"--frame\n"


DETECTIONS = b'--frame\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"boxes": [1]}\r\n'


def around(before, between, after):
    """The pictures, each with this before and after it."""
    return b"".join(before + picture + between for picture in PICTURES) + after


STREAMS = {
    "with lengths": MEASURED,
    "without lengths": BARE,
    "without an empty line between head and picture": MEASURED.replace(b"\r\n\r\n\xff", b"\r\n\xff"),
    "without heads": around(b"--frame\r\n", b"\r\n", b"--frame\r\n"),
    "with empty heads": around(b"--frame\n\n", b"\n", b"--frame\n"),
    "with a length of 0": around(b"--frame\r\nContent-Length: 0\r\n\r\n", b"\r\n", b"--frame--\r\n"),
    "with more dashes": around(b"----frame\r\nContent-Type: image/jpeg\r\n\r\n", b"\r\n", b"----frame\r\n"),
    "with more empty lines": around(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n\r\n", b"\r\n", b"--frame\r\n"),
    "with a preview in each": around(b"--frame\r\n\r\n", b"\r\n", b"--frame\r\n"),
    "with detections behind each": around(
        b"--frame\r\nContent-Type: image/jpeg\r\n\r\n", b"\r\n" + DETECTIONS, b"--frame\r\n"
    ),
    "with detections of no type": around(b"--frame\r\n\r\n", b'\r\n--frame\r\n\r\n{"boxes": []}\r\n', b"--frame\r\n"),
    "with no boundaries at all": around(b"", b"", b""),
    "with a line of its own before": b"\r\nThis is a stream.\r\n" + MEASURED,
}


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 50, 10_000])
@pytest.mark.parametrize(
    "announced", [b"frame", b"", b"another"], ids=["announced", "not announced", "announced as another"]
)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_the_pictures_come_out_however_the_stream_is_cut(stream, piece_bytes, announced):
    parts, pictures = Multipart(announced), []
    for place in range(0, len(stream), piece_bytes):
        pictures += parts.feed(stream[place : place + piece_bytes])
    assert pictures == PICTURES


def test_pictures_that_have_piled_up_come_at_once_oldest_first():
    assert Multipart(b"frame").feed(MEASURED) == PICTURES


def test_text_before_the_first_boundary_is_skipped():
    assert Multipart(b"frame").feed(b"\r\nThis is a stream.\r\n" + MEASURED) == PICTURES


def test_a_boundary_inside_a_picture_of_known_length_is_part_of_it():
    picture = jpeg(b" --frame ")
    part = b"--frame\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
    assert Multipart(b"frame").feed(part) == [picture]


def test_an_empty_part_is_no_picture():
    assert Multipart(b"frame").feed(b"--frame\r\nContent-Length: 0\r\n\r\n\r\n" + MEASURED) == PICTURES


@pytest.mark.parametrize(
    "endless", [b"x", b"--frame\r\nX: ", b"--frame\r\n\r\nx"], ids=["no boundary", "no end of head", "no end of part"]
)
def test_bytes_that_never_become_a_picture_are_not_kept_for_ever(endless):
    parts = Multipart(b"frame")
    parts.feed(endless)
    filling = b"x" * (LONGEST_PICTURE_BYTES // 4)
    with pytest.raises(NotMultipart):
        all(parts.feed(filling) == [] for _ in range(6))


def test_a_part_that_announces_too_much_is_refused():
    with pytest.raises(NotMultipart, match="a part of 99999999999 bytes"):
        Multipart(b"frame").feed(b"--frame\r\nContent-Length: 99999999999\r\n\r\n")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/x-mixed-replace; boundary='frame'",
        'multipart/x-mixed-replace; boundary="--frame"',
        'multipart/x-mixed-replace; boundary="frame',
        "video/x-whatever; boundary=frame",
        "multipart/x-mixed-replace; boundary=frame",
        "multipart/x-mixed-replace;boundary=--frame",
        'Multipart/X-Mixed-Replace; charset=x; Boundary="frame"; q=1',
        "multipart/x-mixed-replace; boundary = frame",
    ],
)
def test_the_boundary_is_found_however_it_is_announced(content_type):
    assert boundary_of(content_type) == b"frame"


@pytest.mark.parametrize(
    "content_type", ["", "multipart/x-mixed-replace", "application/octet-stream", "video/x-motion-jpeg", "boundary="]
)
def test_the_boundary_is_read_from_the_stream_where_none_is_announced(content_type):
    assert boundary_of(content_type) == b""


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/json", "image/jpeg", "Text/XML"])
def test_another_type_is_refused_by_name(content_type):
    with pytest.raises(NotMultipart, match="it is " + content_type.partition(";")[0].lower()):
        boundary_of(content_type)


def test_a_boundary_without_dashes_is_found_at_the_beginning_of_a_line():
    stream = around(b"frame\r\n\r\n", b"\r\n", b"frame\r\n")
    assert Multipart(b"frame").feed(stream) == PICTURES


def test_a_length_that_is_too_short_tears_one_picture_and_not_the_stream():
    torn = b"--frame\r\nContent-Length: 5\r\n\r\n" + jpeg(bytes(100_000)) + b"\r\n"
    parts = Multipart(b"frame")
    first, *others = parts.feed(torn + MEASURED)
    assert len(first) == 5
    assert others == PICTURES


def test_a_preview_inside_a_bare_picture_does_not_end_it():
    pictures = [jpeg(b"large", preview=jpeg(b"small")), jpeg(b"next")]
    assert Multipart(b"").feed(b"".join(pictures)) == pictures


@pytest.mark.parametrize(
    "beginning", [b"", b"--frame\r\n", b"--frame\r\nX: ", b"--frame\r\n\r\n", b"\xff\xd8\xff\xe1\0\2"]
)
@pytest.mark.parametrize(
    "filling", [b"x", b"\n", b"-", b"--", b"\n--", b"a: b\n", b"content-length: \n", b"\xff", b"frame", b"-frame"]
)
def test_no_repetition_takes_long_and_what_is_kept_is_bounded(beginning, filling):
    parts = Multipart(b"frame")
    parts.feed(beginning)
    piece = filling * (65_536 // len(filling))
    with suppress(NotMultipart):
        for _ in range(16):
            assert parts.feed(piece) == []
