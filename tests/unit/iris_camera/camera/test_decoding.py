import logging
import random
import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from iris_camera.camera.decoding import PictureDecoder, TooLarge
from iris_camera.camera.picture import NoPicture
from iris_camera.camera.picture_size import announced

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(4, 0).repeat(4, 1)  # OpenCV writes no smaller JPEG 2000
COLOUR = np.repeat(GREY[:, :, None], 3, axis=2)


def encoded(suffix, pixels, *options):
    return bytes(cv2.imencode(suffix, pixels, options)[1])


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
    image = PictureDecoder("line-1").decoded(bytes(cv2.imencode(suffix, pixels)[1]))
    assert (image.shape, image.dtype, image.flags.writeable) == ((64, 64, 3), np.uint8, False)
    assert np.array_equal(image[:, :, 0], GREY)


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_bytes_that_are_no_image_are_refused(data):
    with pytest.raises(NoPicture):
        PictureDecoder("line-1").decoded(data)


# Announced sizes

KINDS = {
    ".jpg": COLOUR,
    ".png": COLOUR,
    ".bmp": COLOUR,
    ".tif": COLOUR,
    ".webp": COLOUR,
    ".avif": COLOUR,
    ".gif": COLOUR,
    ".jp2": COLOUR,
    ".ppm": COLOUR,
    ".pgm": GREY,
    ".pbm": GREY,
    ".pam": COLOUR,
    ".pfm": COLOUR.astype(np.float32) / 255,
    ".hdr": COLOUR.astype(np.float32) / 255,
    ".sr": COLOUR,
}


@pytest.mark.parametrize("suffix", KINDS)
def test_pictures_of_every_kind_are_decoded_up_to_the_limit_and_refused_above_it(suffix):
    data = encoded(suffix, KINDS[suffix])
    layers = 2 if suffix in {".jp2", ".pfm", ".hdr"} else 1  # samples of 32 bits while they are decoded
    decoder = PictureDecoder("line-1", pixels_max=4096 * layers)
    assert decoder.decoded(data).shape == (64, 64, 3)
    data = encoded(suffix, np.ascontiguousarray(cv2.resize(KINDS[suffix], (80, 66))))
    with pytest.raises(TooLarge, match=r"a picture of 80 x 66 pixels: more than [\d,]+ \(pixels_max\)"):
        PictureDecoder("line-1", pixels_max=5280 * layers - 1).decoded(data)


def test_the_size_of_a_lossy_webp_is_read_too():
    data = encoded(".webp", COLOUR, cv2.IMWRITE_WEBP_QUALITY, 50)
    assert PictureDecoder("line-1").decoded(data).shape == (64, 64, 3)
    with pytest.raises(TooLarge, match="64 x 64"):
        PictureDecoder("line-1", pixels_max=4095).decoded(data)


def bomb_png(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )


def patched(data, place, form, *numbers):
    return data[:place] + struct.pack(form, *numbers) + data[place + struct.calcsize(form) :]


def bombs():
    """Small files that announce 20,000 x 20,000 pixels."""
    jpeg, bmp = encoded(".jpg", COLOUR), encoded(".bmp", COLOUR)
    webp, gif, avif = encoded(".webp", COLOUR), encoded(".gif", COLOUR), encoded(".avif", COLOUR)
    jp2, sun = encoded(".jp2", COLOUR), encoded(".sr", COLOUR)
    frame = jpeg.index(b"\xff\xc0")
    yield "jpeg", patched(jpeg, frame + 5, ">HH", 20_000, 20_000)
    yield "png", bomb_png(20_000, 20_000)
    yield "bmp", patched(bmp, 18, "<ii", 20_000, 20_000)
    yield "bmp from the top", patched(bmp, 18, "<ii", 20_000, -20_000)
    yield "webp", patched(webp, 21, "<I", 16_383 | 16_383 << 14)
    yield "gif", patched(gif, 6, "<HH", 20_000, 20_000)
    yield "avif", patched(avif, avif.index(b"ispe") + 8, ">II", 20_000, 20_000)
    yield "jp2", patched(jp2, jp2.index(b"\xff\x4f\xff\x51") + 8, ">II", 20_000, 20_000)
    yield "jp2 outside", patched(jp2, jp2.index(b"ihdr") + 4, ">II", 20_000, 20_000)
    yield "sun", patched(sun, 4, ">II", 20_000, 20_000)
    yield "pgm", b"P5 20000 20000 255\n"
    yield "pgm with comments", b"P5\n# by a camera\n20000 # wide\n20000\n255\n"
    yield "pam", b"P7\nWIDTH 20000\nHEIGHT 20000\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    yield "pfm", b"PF\n20000 20000\n-1\n"
    yield "hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20000 +X 20000\n"
    yield "tiff", tiff([(20_000, 20_000)])
    yield "tiff of the other order", tiff([(20_000, 20_000)], order=">")
    yield "big tiff", tiff([(20_000, 20_000)], big=True)
    yield "tiff, second page", tiff([(16, 16), (20_000, 20_000)])
    yield "tiff, tile", tiff([(16, 16)], more={322: 20_000, 323: 20_000})
    yield "tiff, many channels", tiff([(2_000, 2_000)], more={277: 500})
    yield "tiff, wide samples", tiff([(9_000, 9_000)], more={258: 64})


def tiff(pages, order="<", more=(), big=False):
    """A TIFF of headers only."""
    word, count, entry = ("Q", "Q", "HHQQ") if big else ("I", "H", "HHII")
    data = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    data += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    for left, (width, height) in enumerate(pages, 1 - len(pages)):
        tags = {256: width, 257: height, 258: 8, 277: 3, **dict(more)}
        body = struct.pack(order + count, len(tags))
        body += b"".join(struct.pack(order + entry, tag, 4, 1, value) for tag, value in sorted(tags.items()))
        behind = len(data) + len(body) + struct.calcsize(order + word)
        data += body + struct.pack(order + word, behind if left else 0)
    return data


def disguised():
    """Files that a decoder takes for 64 x 64 pixels, and a careless reader of their head for fewer."""
    jpeg = encoded(".jpg", COLOUR)
    begin = jpeg.index(b"\xff\xc0")
    end = begin + 2 + int.from_bytes(jpeg[begin + 2 : begin + 4], "big")
    frame, comment = jpeg[begin:end], b"\xff\xfe" + struct.pack(">H", 2 + end - begin)
    no_marker = b"\xff\x00" + struct.pack(">H", 2 + len(frame + comment))
    small = patched(frame, 5, ">HH", 8, 8)
    yield "jpeg, its frame in a marker that is none", jpeg[:begin] + no_marker + frame + comment + small + jpeg[end:]
    yield "pgm, zeros in front", b"P5 64 00000000064 255\n" + GREY.tobytes()
    yield "pam, zeros in front", encoded(".pam", GREY).replace(b"HEIGHT 64", b"HEIGHT 00000000064")
    yield "pfm, zeros in front", encoded(".pfm", GREY.astype(np.float32)).replace(b"64 64", b"64 00000000064")
    hdr = encoded(".hdr", KINDS[".hdr"])
    yield "hdr, zeros in front", hdr.replace(b"+X 64", b"+X 00000000064")
    yield (
        "hdr, a size in a comment",
        hdr.replace(b"\n", b"\n# -Y 8 +X 8\n", 1).replace(b"-Y 64 +X 64", b"-Y  64  +X 64"),
    )
    yield "hdr, a long comment", hdr.replace(b"\n", b"\n# -Y 8 +X 8" + b"\n#" * 40_000 + b"\n", 1)
    avif = encoded(".avif", COLOUR)
    flags = avif.index(b"ispe") + 7
    yield "avif, flags", patched(avif, flags, "B", 1) + b"\0\0\0\x14ispe" + struct.pack(">III", 0, 8, 8)
    yield "tiff, signed", whole_tiff([(256, 9, 64), (257, 8, 64)])
    yield "tiff, signed, and a page that tells its size", whole_tiff([(256, 9, 64), (257, 9, 64)], behind=(8, 8))
    yield "tiff, a second width", whole_tiff([(256, 4, 64), (256, 4, 8), (257, 4, 64), (257, 4, 8)])


def whole_tiff(sizes, behind=None):
    """A grey TIFF with these entries for its size: tag, type, number."""
    entries = [*sizes, (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1), (278, 3, 64), (279, 4, 64 * 64)]
    place = 8 + 2 + 12 * (len(entries) + 1) + 4
    more = tiff([behind])[8:] if behind else b""
    entries = sorted([*entries, (273, 4, place + len(more))], key=lambda entry: entry[0])
    data = b"II*\0" + struct.pack("<IH", 8, len(entries))
    data += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return data + struct.pack("<I", place if behind else 0) + more + GREY.tobytes()


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in disguised()])
def test_a_head_that_is_written_to_mislead_does_not_get_a_large_picture_decoded(data):
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH).shape[:2] == (64, 64)
    with pytest.raises(NoPicture):
        PictureDecoder("line-1", pixels_max=4095).decoded(data)


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in bombs()])
def test_small_files_that_announce_a_huge_picture_are_refused_before_they_are_decoded(data, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was given to the decoder"))
    with pytest.raises(TooLarge, match="pixels_max"):
        PictureDecoder("line-1").decoded(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n" + bytes(100), id="png without a header"),
        pytest.param(tiff([(16, 16)])[:-4] + struct.pack("<I", 8), id="tiff whose pages go round"),
        pytest.param(tiff([(16, 16)])[:40], id="tiff cut off"),
        pytest.param(b"P5\n" + b"#" * 1_000_000, id="pgm of one comment"),
        pytest.param(b"P5\n" + b"# \n" * 300_000, id="pgm of comments"),
        pytest.param(b"P7\n" + b"WIDTH " * 200_000, id="pam without an end"),
        pytest.param(b"#?RGBE\n" + b"-Y 1 +Y " * 100_000, id="hdr without a size"),
        pytest.param(b"\xff\xd8\xff" + b"\xff" * 1_000_000, id="jpeg of fillings"),
        pytest.param(b"\xff\xd8\xff\x01" + b"\xff\x01" * 500_000, id="jpeg of markers"),
        pytest.param(b"\0\0\0\x20ftypavif" + b"ispe\0\0\0" * 100_000, id="avif without a size"),
        pytest.param(b"\0\0\0\x20ftypheic" + bytes(100), id="heic"),
        pytest.param(b"\x76\x2f\x31\x01" + bytes(100), id="exr"),
        pytest.param(b"<!DOCTYPE html><html></html>", id="html"),
    ],
)
def test_files_without_a_size_in_their_head_are_refused_at_once(data, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was given to the decoder"))
    with pytest.raises(NoPicture):
        PictureDecoder("line-1").decoded(data)


def test_a_jpeg_of_thousands_of_scans_counts_as_many_pictures():
    jpeg = encoded(".jpg", COLOUR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert PictureDecoder("line-1", pixels_max=4096).decoded(jpeg).shape == (64, 64, 3)
    again = jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") : -2] * 20_000 + jpeg[-2:]
    with pytest.raises(TooLarge, match="64 x 64"):
        PictureDecoder("line-1", pixels_max=1_000_000).decoded(again)


@pytest.mark.parametrize("kind", [*KINDS, "headers of a tiff", "headers of a big tiff"])
def test_a_header_that_is_spoiled_anywhere_is_read_or_refused_and_nothing_else(kind):
    headers = {"headers of a tiff": tiff([(16, 16)] * 2), "headers of a big tiff": tiff([(16, 16)] * 2, big=True)}
    whole = headers[kind] if kind in headers else encoded(kind, KINDS[kind])
    rng = random.Random(kind)
    for _ in range(300):
        data = bytearray(whole[: rng.randrange(len(whole)) or None])
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 11, 12, 0x7F, 0x80, 0xFF))
        found = announced(bytes(data))
        assert found is None or (found.width > 0 and found.height > 0 and found.pixels > 0)


def test_a_tiff_of_infinite_size_is_refused():
    data = bytearray(tiff([(16, 16)]))
    data[10 + 2 : 10 + 4] = struct.pack("<H", 11)  # its width is a real number
    data[10 + 8 : 10 + 12] = struct.pack("<f", float("inf"))
    assert announced(bytes(data)) is None


def test_a_file_larger_than_any_picture_may_be_is_refused():
    with pytest.raises(TooLarge, match="32,769 bytes: more than 32,768"):
        PictureDecoder("line-1", pixels_max=4096).decoded(encoded(".bmp", COLOUR).ljust(32769, b"\0"))


def test_the_first_of_several_pictures_in_a_file_is_inspected_and_that_is_reported_once(caplog):
    pages = [COLOUR, np.zeros_like(COLOUR), np.zeros_like(COLOUR)]
    data = bytes(cv2.imencodemulti(".tiff", pages)[1])
    decoder = PictureDecoder("line-1")
    assert close(decoder.decoded(data), COLOUR, by=0)
    decoder.decoded(data)
    assert [record.getMessage() for record in caplog.records] == [
        "camera line-1: a file holds 3 pictures: Iris reads only the first one of such a file"
    ]


def test_a_small_copy_of_a_picture_in_its_file_is_no_picture_of_its_own(caplog):
    data = tiff([(64, 64), (16, 16)], more={254: 1})
    with pytest.raises(NoPicture):
        PictureDecoder("line-1").decoded(data)  # it is of headers only
    assert caplog.text == ""


# Depth

RAMP = GREY / 255


def close(image, expected, by=1):
    return np.abs(image.astype(int) - np.atleast_3d(expected)).max() <= by


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jp2", ".pgm"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_grey_pictures_are_scaled_by_the_bits_their_samples_really_have(suffix, bits):
    pixels = np.round(RAMP * (2**bits - 1)).astype(np.uint16)
    assert close(PictureDecoder("line-1").decoded(encoded(suffix, pixels)), GREY)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_pictures_in_colour_are_scaled_alike(suffix):
    pixels = np.round(np.repeat(RAMP[:, :, None], 3, axis=2) * 4095).astype(np.uint16)
    pixels[:, :, 2] //= 2
    image = PictureDecoder("line-1").decoded(encoded(suffix, pixels))
    assert close(image[:, :, :2], GREY)
    assert close(image[:, :, 2:], GREY // 2)


def test_the_brightest_value_that_a_dark_picture_declares_counts():
    dark = np.full((64, 64), 500, np.uint16)  # 10 bits would do
    png = encoded(".png", dark)
    end = 8 + 25
    said = b"sBIT\x0c"
    said = png[:end] + struct.pack(">I", 1) + said + struct.pack(">I", zlib.crc32(said)) + png[end:]
    assert close(PictureDecoder("line-1").decoded(said), np.full((64, 64), 500 >> 4))
    plain = tiff_of(dark)
    assert close(PictureDecoder("line-1").decoded(plain), np.full((64, 64), 500 >> 2))
    assert close(PictureDecoder("line-1").decoded(tiff_of(dark, {281: 65_535})), np.full((64, 64), 500 >> 2))
    said = tiff_of(dark, {281: 4095})
    assert close(PictureDecoder("line-1").decoded(said), np.full((64, 64), 500 >> 4))


def packed(pixels, bits):
    """A TIFF whose samples of so many bits are stored without filling."""
    text = "".join(format(value, f"0{bits}b") for value in pixels.ravel())
    return tiff_of(int(text, 2).to_bytes(len(text) // 8, "big"), {258: bits})


@pytest.mark.parametrize("value", [0, 100, 500, 1000])
@pytest.mark.parametrize("kind", ["10 bits packed", "12 bits packed", "pgm", "plain pgm", "pam", "avif 10", "avif 12"])
def test_a_dark_picture_stays_dark_where_its_file_says_what_is_white(kind, value):
    pixels = np.full((64, 64), value, np.uint16)
    data = {
        "10 bits packed": lambda: packed(pixels, 10),
        "12 bits packed": lambda: packed(pixels, 12),
        "pgm": lambda: b"P5\n# by a camera\n64 64\n4095\n" + pixels.astype(">u2").tobytes(),
        "plain pgm": lambda: b"P2 64 64 4095\n" + b" ".join(b"%d" % each for each in pixels.ravel()) + b"\n",
        "pam": lambda: (
            b"P7\nWIDTH 64\nHEIGHT 64\nDEPTH 1\nMAXVAL 4095\nTUPLTYPE GRAYSCALE\nENDHDR\n"
            + pixels.astype(">u2").tobytes()
        ),
        "avif 10": lambda: encoded(".avif", pixels, cv2.IMWRITE_AVIF_DEPTH, 10),
        "avif 12": lambda: encoded(".avif", pixels, cv2.IMWRITE_AVIF_DEPTH, 12),
    }[kind]()
    white = 1023 if "10" in kind else 4095
    assert close(PictureDecoder("line-1").decoded(data), np.full((64, 64), 255 * value // white), by=2)


def test_a_pgm_of_4_bits_is_scaled_too():
    data = b"P5 64 64 15\n" + (GREY // 17).tobytes()
    assert close(PictureDecoder("line-1").decoded(data), GREY // 17 * 17)


def tiff_of(pixels, more=()):
    """A TIFF of one grey page, of samples of 16 bits unless `more` says otherwise."""
    data = pixels if isinstance(pixels, bytes) else pixels.astype("<u2").tobytes()
    tags = {256: 64, 257: 64, 258: 16, 259: 1, 262: 1, 273: 0, 277: 1, 278: 64, 279: len(data), **dict(more)}
    head = 8 + 2 + 12 * len(tags) + 4
    tags[273] = head
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + data


@pytest.mark.parametrize("brightest", [20, 60, 255])
def test_8_bits_in_the_upper_half_of_16_are_those_8_bits_however_dark(brightest):
    pixels = (GREY.astype(int) * brightest // 255).astype(np.uint16)
    assert close(PictureDecoder("line-1").decoded(encoded(".png", pixels << 8)), pixels, by=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("white", [1.0, 255.0, 4095.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiffs_of_real_numbers_are_scaled_by_what_is_white_in_them(dtype, white, channels):
    pixels = np.repeat((RAMP * white).astype(dtype)[:, :, None], channels, axis=2)
    assert close(PictureDecoder("line-1").decoded(encoded(".tif", pixels)), GREY)


def test_values_that_are_no_numbers_spoil_no_picture():
    pixels = RAMP.astype(np.float32)
    pixels[0, 0], pixels[0, 1], pixels[0, 2], pixels[0, 3] = np.nan, np.inf, -np.inf, -5.0
    image = PictureDecoder("line-1").decoded(encoded(".tif", pixels))
    assert image[0, :4, 0].tolist() == [0, 255, 0, 0]
    assert close(image[1:], GREY[1:])


def test_the_brightest_sample_of_all_pictures_gives_the_depth_and_each_change_is_logged(caplog):
    caplog.set_level(logging.INFO)
    decoder = PictureDecoder("line-1")
    for value in (900, 3000, 1000, 4000):
        decoder.decoded(encoded(".png", np.full((64, 64), value, np.uint16)))
    assert [record.getMessage() for record in caplog.records] == [
        (
            "camera line-1: samples of more than 8 bits are taken as 0 to 1023, derived from the brightest value so "
            "far; the setting bit_depth fixes it"
        ),
        (
            "camera line-1: samples of more than 8 bits are taken as 0 to 4095, derived from the brightest value so "
            "far; from now on, not as 0 to 1023; the setting bit_depth fixes it"
        ),
    ]
    assert close(decoder.decoded(encoded(".png", np.full((64, 64), 1000, np.uint16))), np.full((64, 64), 1000 >> 4))


def test_a_given_depth_counts_whatever_the_pictures_show(caplog):
    caplog.set_level(logging.INFO)
    decoder = PictureDecoder("line-1", bit_depth=12)
    for value, shown in ((100, 6), (4095, 255), (60_000, 255)):
        image = decoder.decoded(encoded(".png", np.full((64, 64), value, np.uint16)))
        assert close(image, np.full((64, 64), shown), by=0)
    assert [record.getMessage() for record in caplog.records] == [
        (
            "camera line-1: samples of more than 8 bits are taken as 0 to 4095, as bit_depth says; "
            "the setting bit_depth fixes it"
        )
    ]


def test_pictures_of_8_bits_are_left_as_they_are_and_nothing_is_logged(caplog):
    caplog.set_level(logging.INFO)
    assert close(PictureDecoder("line-1", bit_depth=12).decoded(encoded(".png", GREY)), GREY, by=0)
    assert caplog.text == ""


@pytest.mark.parametrize("kind", [".gif", ".webp", ".png", ".avif"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_pictures_of_a_file_that_moves_are_counted(kind, count, caplog):
    moving = cv2.Animation()
    moving.frames = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(count)]
    moving.durations = [100] * count
    data = bytes(cv2.imencodeanimation(kind, moving)[1])
    assert PictureDecoder("line-1").decoded(data).max() < 10
    assert [record.getMessage() for record in caplog.records] == [
        f"camera line-1: a file holds {count} pictures: Iris reads only the first one of such a file"
    ] * (count > 1)


def test_a_gif_of_countless_empty_blocks_is_read_for_a_moment_at_most():
    began = time.thread_time()
    announced(b"GIF89a" + bytes([64, 0, 48, 0, 0x80, 0, 0]) + bytes(6) + b"\x21\xfe\x00" * 3_000_000)
    announced(b"GIF89a" + bytes([64, 0, 48, 0, 0, 0, 0]) + b"\x21\xfe" + b"\x01\x01" * 3_000_000)
    assert time.thread_time() - began < 0.5
