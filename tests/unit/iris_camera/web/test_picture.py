import asyncio
import threading

import cv2
import numpy as np
import pytest

from iris_camera.web import picture as picture_module
from iris_camera.web.picture import LARGEST_WIDTH, Mark, Picture, PictureDesk, UnknownCamera, encode
from tests.unit.iris_camera.web.fake_line import belt


def decoded(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def ask(desk, name, times=1):
    async def together():
        return await asyncio.gather(*(desk.jpeg(name) for _ in range(times)))

    return asyncio.run(together())


def changed_pixels(marks):
    plain, marked = decoded(encode(Picture(1, belt()))), decoded(encode(Picture(1, belt(), marks)))
    return np.abs(plain.astype(int) - marked.astype(int)).max(axis=2) > 40


@pytest.fixture
def encoded_numbers(monkeypatch):
    """The frame numbers that were really encoded, and the names of the threads that did it."""
    numbers, real = [], picture_module.encode

    def counted(picture):
        numbers.append((picture.number, threading.current_thread().name))
        return real(picture)

    monkeypatch.setattr(picture_module, "encode", counted)
    return numbers


def test_a_box_is_drawn_around_its_part_and_leaves_the_rest():
    changed = changed_pixels((Mark(200, 120, 160, 120, ""),))
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max()) == pytest.approx((200, 360), abs=4)
    assert (rows.min(), rows.max()) == pytest.approx((120, 240), abs=4)
    assert not changed[140:220, 220:340].any()


def test_the_words_stand_above_the_box_or_inside_where_there_is_no_room():
    above = changed_pixels((Mark(200, 120, 160, 120, "defect 0.97"),))
    assert above[100:116, 205:280].any()
    inside = changed_pixels((Mark(200, 0, 160, 120, "defect 0.97"),))
    assert inside[4:20, 205:280].any()


def test_the_image_handed_in_is_left_as_it_is():
    image = belt()
    before = image.copy()
    encode(Picture(1, image, (Mark(10, 10, 50, 50, "good"),)))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "mark",
    [
        Mark(-50, -50, 2000, 2000, "larger than the picture"),
        Mark(635, 355, 90, 90, "over the corner"),
        Mark(float(10), 10, 0, 0, "no size"),
        Mark(10, 10, 50, 50, "Prüfteil ✓"),
    ],
)
def test_a_box_in_an_odd_place_is_no_error(mark):
    assert decoded(encode(Picture(1, belt(), (mark,)))).shape == (360, 640, 3)


def test_a_large_picture_is_made_smaller_with_its_boxes():
    small = decoded(encode(Picture(1, belt(3200, 1800), (Mark(1600, 900, 800, 400, "", alarm=True),))))
    assert small.shape == (900, LARGEST_WIDTH, 3)
    blue, _green, red = (int(value) for value in small[450, 1000])
    assert red - blue > 100


def test_one_frame_is_encoded_once_however_many_ask(encoded_numbers):
    desk = PictureDesk({"line-1": lambda: Picture(7, belt())})
    jpegs = ask(desk, "line-1", times=5)
    assert len(set(jpegs)) == 1
    assert [number for number, _thread in encoded_numbers] == [7]


def test_the_next_frame_is_encoded_anew(encoded_numbers):
    pictures = [Picture(7, belt()), Picture(8, belt())]
    desk = PictureDesk({"line-1": lambda: pictures[0]})
    ask(desk, "line-1")
    pictures.pop(0)
    ask(desk, "line-1")
    assert [number for number, _thread in encoded_numbers] == [7, 8]


def test_nothing_is_encoded_before_somebody_asks_and_then_on_a_thread_of_its_own(encoded_numbers):
    desk = PictureDesk({"line-1": lambda: Picture(7, belt())})
    assert encoded_numbers == []
    ask(desk, "line-1")
    assert encoded_numbers[0][1].startswith("iris-pictures")


def test_two_cameras_do_not_share_a_picture():
    desk = PictureDesk({"wide": lambda: Picture(7, belt()), "tall": lambda: Picture(7, belt(100, 200))})
    assert decoded(ask(desk, "wide")[0]).shape == (360, 640, 3)
    assert decoded(ask(desk, "tall")[0]).shape == (200, 100, 3)


def test_no_picture_yet_is_none():
    assert ask(PictureDesk({"line-1": lambda: None}), "line-1") == [None]


def test_an_unknown_camera_is_an_error_of_its_own():
    with pytest.raises(UnknownCamera, match="line-9"):
        ask(PictureDesk({}), "line-9")
