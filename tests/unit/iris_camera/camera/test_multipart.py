import pytest

from iris_camera.camera.multipart import LONGEST_PICTURE_BYTES, Multipart, NotMultipart, boundary_of

PICTURES = [b"\xff\xd8first\xff\xd9", b"\xff\xd8sec\r\nond\xff\xd9", b"\xff\xd8third\n\n\xff\xd9"]
MEASURED = b"".join(
    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
    for picture in PICTURES
)
BARE = b"".join(b"--frame\nContent-Type: image/jpeg\n\n%b" % picture for picture in PICTURES) + b"--frame\n"


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 50, 10_000])
@pytest.mark.parametrize("stream", [MEASURED, BARE], ids=["with lengths", "without lengths"])
def test_the_pictures_come_out_however_the_stream_is_cut(stream, piece_bytes):
    parts, pictures = Multipart(b"--frame"), []
    for place in range(0, len(stream), piece_bytes):
        pictures += parts.feed(stream[place : place + piece_bytes])
    assert pictures == PICTURES


def test_pictures_that_have_piled_up_come_at_once_oldest_first():
    assert Multipart(b"--frame").feed(MEASURED) == PICTURES


def test_what_stands_before_the_first_boundary_is_skipped():
    assert Multipart(b"--frame").feed(b"\r\nThis is a stream.\r\n" + MEASURED) == PICTURES


def test_a_boundary_inside_a_picture_of_known_length_is_part_of_it():
    picture = b"\xff\xd8 --frame \xff\xd9"
    part = b"--frame\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(picture), picture)
    assert Multipart(b"--frame").feed(part) == [picture]


def test_an_empty_part_is_no_picture():
    assert Multipart(b"--frame").feed(b"--frame\r\nContent-Length: 0\r\n\r\n\r\n" + MEASURED) == PICTURES


@pytest.mark.parametrize(
    "endless", [b"x", b"--frame\r\nX: ", b"--frame\r\n\r\nx"], ids=["no boundary", "no end of head", "no end of part"]
)
def test_what_never_becomes_a_picture_is_not_kept_for_ever(endless):
    parts = Multipart(b"--frame")
    parts.feed(endless)
    filling = b"x" * (LONGEST_PICTURE_BYTES // 4)
    with pytest.raises(NotMultipart):
        all(parts.feed(filling) == [] for _ in range(6))


def test_a_part_that_announces_too_much_is_refused():
    with pytest.raises(NotMultipart, match="a part of 99999999999 bytes"):
        Multipart(b"--frame").feed(b"--frame\r\nContent-Length: 99999999999\r\n\r\n")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/x-mixed-replace; boundary=frame",
        "multipart/x-mixed-replace;boundary=--frame",
        'Multipart/X-Mixed-Replace; charset=x; Boundary="frame"; q=1',
        "multipart/x-mixed-replace; boundary = frame",
    ],
)
def test_the_boundary_is_found_however_it_is_announced(content_type):
    assert boundary_of(content_type) == b"--frame"


@pytest.mark.parametrize(
    ("content_type", "sentence"),
    [
        ("text/html; charset=utf-8", "it is text/html"),
        ("", "of no type"),
        ("multipart/x-mixed-replace", "no boundary"),
    ],
)
def test_another_type_is_refused_by_name(content_type, sentence):
    with pytest.raises(NotMultipart, match=sentence):
        boundary_of(content_type)
