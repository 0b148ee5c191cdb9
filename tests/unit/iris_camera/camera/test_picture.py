import cv2
import numpy as np
import pytest

from iris_camera.camera.picture import NoPicture, as_picture, decoded

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(
    "pixels",
    [
        GREY,
        GREY[:, :, None],
        np.repeat(GREY[:, :, None], 3, axis=2),
        np.dstack([GREY, GREY, GREY, np.zeros_like(GREY)]),
        GREY.astype(np.uint16) << 8,
        np.repeat(GREY[:, :, None], 3, axis=2).astype(np.uint16) << 8,
    ],
    ids=["grey", "grey in one channel", "colour", "transparent", "16 bits", "16 bits in colour"],
)
def test_every_kind_of_pixels_becomes_three_channels_of_8_bits_read_only(pixels):
    image = as_picture(pixels)
    assert (image.shape, image.dtype, image.flags.writeable) == ((16, 16, 3), np.uint8, False)
    assert all(np.array_equal(image[:, :, channel], GREY) for channel in range(3))


@pytest.mark.parametrize(
    "pixels", [None, np.empty(0, np.uint8), np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(7)]
)
def test_what_is_no_picture_is_refused(pixels):
    with pytest.raises(NoPicture):
        as_picture(pixels)


@pytest.mark.parametrize(
    ("suffix", "pixels"),
    [
        (".png", GREY),
        (".png", GREY.astype(np.uint16) << 8),
        (".png", np.dstack([GREY, GREY, GREY, GREY])),
        (".tif", GREY.astype(np.uint16) << 8),
        (".pgm", GREY),
        (".bmp", np.repeat(GREY[:, :, None], 3, axis=2)),
    ],
)
def test_an_image_file_of_any_depth_becomes_the_same_picture(suffix, pixels):
    image = decoded(bytes(cv2.imencode(suffix, pixels)[1]))
    assert (image.shape, image.dtype, image.flags.writeable) == ((16, 16, 3), np.uint8, False)
    assert np.array_equal(image[:, :, 0], GREY)


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_bytes_that_are_no_image_are_refused(data):
    with pytest.raises(NoPicture):
        decoded(data)
