from functools import partial

import numpy as np
import pytest

from iris_camera.web.drawing import encode
from iris_camera.web.picture import DrawnMark, Picture
from tests.unit.iris_camera.web.fake_line import belt, decoded

WIDTH = 1600
encode_wide = partial(encode, width=WIDTH)


def changed_pixels(marks):
    plain, marked = decoded(encode_wide(Picture(1, belt()))), decoded(encode_wide(Picture(1, belt(), marks)))
    return np.abs(plain.astype(int) - marked.astype(int)).max(axis=2) > 40


def test_a_box_is_drawn_around_its_part_and_leaves_the_rest():
    changed = changed_pixels((DrawnMark(200, 120, 160, 120, ""),))
    rows, columns = np.nonzero(changed)
    assert (columns.min(), columns.max()) == pytest.approx((200, 360), abs=4)
    assert (rows.min(), rows.max()) == pytest.approx((120, 240), abs=4)
    assert not changed[140:220, 220:340].any()


def test_the_label_stands_above_the_box_or_inside_where_there_is_no_room():
    above = changed_pixels((DrawnMark(200, 120, 160, 120, "defect 0.97"),))
    assert above[100:116, 205:280].any()
    inside = changed_pixels((DrawnMark(200, 0, 160, 120, "defect 0.97"),))
    assert inside[4:20, 205:280].any()


def test_the_image_handed_in_is_left_as_it_is():
    image = belt()
    before = image.copy()
    encode_wide(Picture(1, image, (DrawnMark(10, 10, 50, 50, "good"),)))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "mark",
    [
        DrawnMark(-50, -50, 2000, 2000, "larger than the picture"),
        DrawnMark(635, 355, 90, 90, "over the corner"),
        DrawnMark(float(10), 10, 0, 0, "no size"),
        DrawnMark(10, 10, 50, 50, "Prüfteil ✓"),
    ],
)
def test_a_box_in_an_odd_place_is_no_error(mark):
    assert decoded(encode_wide(Picture(1, belt(), (mark,)))).shape == (360, 640, 3)


def test_a_large_picture_is_made_smaller_with_its_boxes():
    small = decoded(encode_wide(Picture(1, belt(3200, 1800), (DrawnMark(1600, 900, 800, 400, "", alarm=True),))))
    assert small.shape == (900, WIDTH, 3)
    blue, _green, red = (int(value) for value in small[450, 1000])
    assert red - blue > 100
