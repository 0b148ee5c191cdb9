"""Fitting a picture into a model's input and mapping boxes back, and which inputs take no picture."""

from pathlib import Path

import numpy as np
import pytest

from iris_camera.inspection.findings import Box
from iris_camera.inspection.model import Tensor
from iris_camera.inspection.model_error import ModelError
from iris_camera.inspection.picture_input import GREY, PictureInput, fitted_in
from iris_camera.inspection.settings import PictureInputSettings

PATH = Path("model.onnx")
COLOURS = np.array([[[10, 20, 30], [40, 50, 60]]], np.uint8)  # one row of two pixels, blue-green-red


def made(shape, kind="float", **settings):
    return PictureInput(Tensor("images", f"tensor({kind})", shape), PictureInputSettings(**settings), PATH)


def values(shape, kind="float", **settings):
    tensor, _ = made(shape, kind, **settings).prepared(COLOURS)
    return tensor


def test_channels_first_is_red_green_blue_of_0_to_1():
    tensor = values((1, 3, 1, 2))
    assert (tensor.shape, tensor.dtype) == ((1, 3, 1, 2), np.float32)
    assert tensor[0, :, 0, :] * 255 == pytest.approx(np.array([[30, 60], [20, 50], [10, 40]]))


def test_channels_last_is_red_green_blue_of_0_to_1():
    tensor = values((1, 1, 2, 3))
    assert tensor.shape == (1, 1, 2, 3)
    assert tensor[0, 0] * 255 == pytest.approx(np.array([[30, 20, 10], [60, 50, 40]]))


def test_a_picture_without_a_batch_is_as_the_camera_has_it():
    tensor, _ = made((1, 2, 3), "uint8").prepared(COLOURS)
    assert tensor is COLOURS


def test_bytes_are_left_as_they_are_but_for_their_order():
    tensor = values((1, 3, 1, 2), "uint8")
    assert tensor.dtype == np.uint8
    assert tensor[0, :, 0, :].tolist() == [[30, 60], [20, 50], [10, 40]]


def test_half_precision_is_rounded_once():
    tensor = values((1, 3, 1, 2), "float16")
    assert tensor.dtype == np.float16
    assert tensor[0, 0, 0, 0] == np.float16(np.float32(30) / np.float32(255))


def test_mean_and_std_are_of_pixel_values_in_the_models_order():
    tensor = values((1, 3, 1, 2), scaling="mean-std", mean=(10.0, 20.0, 30.0), std=(1.0, 2.0, 4.0))
    assert tensor[0, :, 0, :] == pytest.approx(np.array([[20, 50], [0, 15], [-5, 2.5]]))


def test_an_input_describes_in_a_line_what_it_takes():
    assert str(made((1, 3, 640, 640))) == "NCHW float32, 640x640 (letterbox), rgb, values 0-1"
    assert str(made((None, None, 3), "uint8")) == "HWC uint8, any size, bgr, values 0-255"


@pytest.mark.parametrize("size", [(64, 64), (96, 32), (31, 97)])
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (333, 77), (17, 901), (1, 1), (5000, 3)])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_a_box_in_the_fitted_picture_is_found_again_in_the_original(size, width, height, fit):
    image = np.zeros((height, width, 3), np.uint8)
    fitted, placement = fitted_in(image, size, fit)
    assert fitted.shape == (size[1], size[0], 3)
    corners = (
        placement.left,
        placement.top,
        placement.left + placement.x_scale * width,
        placement.top + placement.y_scale * height,
    )
    back = placement.back(corners)
    assert (back.x, back.y, back.right, back.bottom) == pytest.approx((0, 0, width, height))


def test_a_letterbox_keeps_the_proportions_in_the_middle_and_is_grey_elsewhere():
    fitted, placement = fitted_in(np.zeros((50, 100, 3), np.uint8), (64, 64), "letterbox")
    assert (placement.left, placement.top) == (0, 16)
    assert (fitted[16:48] == 0).all()
    assert (fitted[:16] == GREY).all()
    assert (fitted[48:] == GREY).all()


def test_a_box_in_the_grey_is_empty_in_the_picture():
    _, placement = fitted_in(np.zeros((50, 100, 3), np.uint8), (64, 64), "letterbox")
    assert placement.back((10, 2, 20, 12)).height == 0
    assert placement.back((0, 0, 64, 64)) == Box(0, 0, 100, 50)


def test_a_picture_of_the_right_size_is_not_copied():
    image = np.zeros((64, 64, 3), np.uint8)
    assert fitted_in(image, (64, 64), "letterbox")[0] is image


@pytest.mark.parametrize("shape", [(1, 3, 3, 3), (1, 3, 640, 3)])
def test_a_shape_that_fits_two_layouts_has_to_be_declared(shape):
    with pytest.raises(ModelError, match="expected a declared layout, NCHW or NHWC, since the shape fits both"):
        made(shape)
    assert made(shape, layout="NHWC").layout == "NHWC"


def test_three_declared_channels_decide_over_open_sizes():
    assert made((None, None, None, 3), "uint8").layout == "NHWC"
    assert made((None, 3, None, None), width=64, height=32).size == (64, 32)


def test_a_wholly_open_shape_has_to_be_declared():
    with pytest.raises(ModelError, match="a declared layout, NCHW or NHWC"):
        made((None, None, None, None))
    assert made((None, None, None, None), layout="NCHW", width=64, height=32).size == (64, 32)


def test_a_declared_layout_that_the_shape_is_not_is_reported():
    with pytest.raises(ModelError, match=r"three channels, layout NHWC; found images tensor\(float\) \(1, 3, 64, 64\)"):
        made((1, 3, 64, 64), layout="NHWC")


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (64, 64), (4, 3, 64, 64), (1, 3, 64), (1, 1, 3, 64, 64), ()])
def test_an_input_that_is_no_picture_is_reported(shape):
    with pytest.raises(ModelError, match=r"model\.onnx does not fit: expected a picture of three channels.*; found"):
        made(shape)


@pytest.mark.parametrize("shape", [(1, 3, 60_000, 60_000), (1, 1, 1 << 25, 3), (4097, 4096, 3)])
def test_an_input_that_memory_could_not_hold_is_reported_and_not_made(shape):
    with pytest.raises(ModelError, match="an input of 16,777,216 pixels at most"):
        made(shape)


@pytest.mark.parametrize("kind", ["int64", "string", "double", "bool"])
def test_an_input_of_another_type_is_reported(kind):
    with pytest.raises(ModelError, match=rf"expected an input of tensor\(uint8\) or .*; found images tensor\({kind}\)"):
        made((1, 3, 64, 64), kind)


def test_a_declared_size_that_the_file_contradicts_is_reported():
    with pytest.raises(
        ModelError, match=r"an input of the declared 320x320 pixels; found images .* \(1, 3, 640, 640\)"
    ):
        made((1, 3, 640, 640), width=320, height=320)


@pytest.mark.parametrize("shape", [(1, 3, None, None), (1, 3, 640, None)])
def test_an_open_size_has_to_be_declared_for_channels_first(shape):
    with pytest.raises(ModelError, match="an input of fixed size, or a declared width and height"):
        made(shape)


def test_half_an_open_size_has_to_be_declared_for_channels_last():
    with pytest.raises(ModelError, match="width and height are both fixed or both open"):
        made((1, None, 640, 3))


def test_bytes_cannot_be_scaled():
    with pytest.raises(ModelError, match=r"expected a float input for the scaling 0-1; found images tensor\(uint8\)"):
        made((1, 3, 64, 64), "uint8", scaling="0-1")
