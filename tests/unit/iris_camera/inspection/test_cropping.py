import numpy as np
import pytest

from iris_camera.inspection.cropping import crop
from iris_camera.inspection.findings import Box

PICTURE = np.arange(20 * 30 * 3, dtype=np.uint32).astype(np.uint8).reshape(20, 30, 3)


def test_a_crop_is_what_the_box_shows_to_whole_pixels_outwards():
    assert np.array_equal(crop(PICTURE, Box(3.2, 4.9, 5.1, 6.0)), PICTURE[4:11, 3:9])


def test_a_crop_inside_the_picture_is_no_copy():
    assert crop(PICTURE, Box(3, 4, 5, 6)).base is not None


def test_a_crop_over_the_edge_keeps_its_size_and_repeats_the_edge():
    taken = crop(PICTURE, Box(-4, 15, 10, 10))
    assert taken.shape == (10, 10, 3)
    assert np.array_equal(taken[:5, 4:], PICTURE[15:, :6])
    assert (taken[:5, :4] == PICTURE[15:, :1]).all()
    assert (taken[5:, 4:] == PICTURE[-1:, :6]).all()


@pytest.mark.parametrize(
    "box", [Box(30, 0, 5, 5), Box(-5, 0, 5, 5), Box(0, 20, 5, 5), Box(0, -9, 5, 5), Box(3, 3, 0, 5)]
)
def test_a_crop_outside_the_picture_is_refused_and_names_both(box):
    with pytest.raises(ValueError, match=r"Box\(.*outside a picture of 30x20 pixels"):
        crop(PICTURE, box)
