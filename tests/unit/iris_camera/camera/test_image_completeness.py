import cv2
import numpy as np
import pytest

from iris_camera.camera.image_completeness import is_complete, knows_its_end

PIXELS = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8), (0, 0), 3)


def encoded(suffix, *options):
    return bytes(cv2.imencode(suffix, PIXELS, options)[1])


JPEG = encoded(".jpg")
PROGRESSIVE = encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
RESTARTING = encoded(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
PNG = encoded(".png")
BMP = encoded(".bmp")
PREVIEW = JPEG[:2] + b"\xff\xe1" + (len(JPEG) + 2).to_bytes(2, "big") + JPEG + JPEG[2:]  # one JPEG inside the other


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE, RESTARTING, PNG, PREVIEW], ids=len)
def test_an_image_is_whole_from_its_last_byte_on_and_not_before(data):
    assert knows_its_end(data)
    assert is_complete(data)
    assert is_complete(data + b"what a camera adds behind the picture")
    for kept_bytes in range(8, len(data), 37):
        assert not is_complete(data[:kept_bytes])
    assert not is_complete(data[:-8])


@pytest.mark.parametrize("data", [JPEG, PNG, PREVIEW], ids=len)
def test_a_file_that_was_given_its_size_first_is_not_whole_while_it_is_zeros(data):
    half = len(data) // 2
    assert not is_complete(data[:half] + bytes(len(data) - half))


def test_the_end_of_a_preview_picture_is_not_the_end():
    assert not is_complete(PREVIEW[: len(JPEG) + 40])


def test_a_bitmap_says_its_size():
    assert is_complete(BMP)
    assert not is_complete(BMP[:-1])
    assert not knows_its_end(BMP)


def test_a_file_whose_end_cannot_be_known_counts_as_complete():
    assert not knows_its_end(b"")
    assert not knows_its_end(b"II*\x00")
    assert is_complete(b"II*\x00")
