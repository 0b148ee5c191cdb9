import numpy as np
import pytest

from iris_camera.camera.picture import NoPicture, as_picture

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(
    "pixels",
    [
        GREY,
        GREY[:, :, None],
        np.repeat(GREY[:, :, None], 3, axis=2),
        np.dstack([GREY, GREY, GREY, np.zeros_like(GREY)]),
    ],
    ids=["grey", "grey in one channel", "colour", "transparent"],
)
def test_every_kind_of_pixels_becomes_three_channels_of_8_bits_read_only(pixels):
    image = as_picture(pixels)
    assert (image.shape, image.dtype, image.flags.writeable) == ((16, 16, 3), np.uint8, False)
    assert all(np.array_equal(image[:, :, channel], GREY) for channel in range(3))


@pytest.mark.parametrize(
    "pixels",
    [
        None,
        np.empty(0, np.uint8),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), np.uint16),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(7),
    ],
)
def test_an_array_that_is_no_picture_is_refused(pixels):
    with pytest.raises(NoPicture):
        as_picture(pixels)
