"""How large a picture says it is, read from its header, so that nothing is decoded that memory cannot hold.

A file of some hundred bytes may announce a billion pixels, and a decoder believes it. So the announced size is read
here for every kind of picture that is decoded at all; a file of another kind, or without a size, is not given to the
decoder. Where a file may state its size more than once (pages, tiles, frames of a container) the largest counts:
it is unknown which one the decoder takes.
"""

import re

from iris_camera.camera.announced import Announced, brightest_of, number_at
from iris_camera.camera.gif_blocks import gif_pictures
from iris_camera.camera.image_completeness import jpeg_segments
from iris_camera.camera.tiff_header import tiff_size

_TEXT_HEADER_BYTES_MAX = 1 << 16
_SCANS_A_LAYER = 64  # a progressive JPEG has about ten
_WIDE = 32  # bits a sample takes while it is decoded
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # those three are tables and an extension

_BLANK = rb"(?:\s|#[^\r\n]*+[\r\n])"
_AVIF = {b"ftypavif", b"ftypavis"}
# To its last digit: a number may have zeros in front.
_PNM = re.compile(rb"P[1-6]" + _BLANK + rb"*+(\d++)" + _BLANK + rb"++(\d++)(?:" + _BLANK + rb"++(\d++))?")
_PFM = re.compile(rb"P([Ff])\s++(\d++)\s++(\d++)")
_PAM = re.compile(rb"^(WIDTH|HEIGHT|DEPTH|MAXVAL)[ \t]++(\d++)", re.MULTILINE)
_HDR = re.compile(rb"-Y\s*+\+?(\d++)\s*+\+X\s*+\+?(\d++)")


def is_still(beginning: bytes) -> bool:
    """Whether a file with this beginning is a single picture of a known kind, not a film."""
    if beginning.startswith(b"RIFF"):
        return beginning[8:12] == b"WEBP"
    return beginning[4:12] in _AVIF or any(beginning.startswith(kind) for kind, _ in _KINDS)


def announced(data: bytes) -> Announced | None:
    """None when it is no picture of a known kind, or does not state its size."""
    found = None
    try:
        for beginning, read in _KINDS:
            if data.startswith(beginning):
                found = read(data)
                break
        else:
            found = _avif(data) if data[4:8] == b"ftyp" else None
    except (IndexError, ValueError, OverflowError):  # it ends too early, points outside itself, or is infinite
        return None
    return found if found is not None and found.width > 0 and found.height > 0 else None


def _jpeg(data: bytes) -> Announced | None:
    segments = list(jpeg_segments(data))
    sizes = [
        (number_at(data, place + 7, 2), number_at(data, place + 5, 2), number_at(data, place + 9, 1))
        for marker, place in segments
        if marker in _JPEG_FRAMES
    ]
    if not sizes or segments[-1][0] != 0xDA:  # a decoder may read on where this parser stopped
        return None
    width, height, channels = map(max, zip(*sizes, strict=True))
    scans = data.count(b"\xff\xda")  # each costs a pass over the whole picture, and only some bytes of the file
    return Announced(width, height, max(channels, 4 * scans // _SCANS_A_LAYER))


def _png(data: bytes) -> Announced | None:
    if data[12:16] != b"IHDR":
        return None
    bits = number_at(data, 24, 1)
    place, kind = 33, data[37:41]
    while bits == 16 and kind not in {b"sBIT", b"IDAT", b""}:
        place += 12 + number_at(data, place, 4)
        kind = data[place + 4 : place + 8]
    brightest = (1 << max(data[place + 8 : place + 9])) - 1 if kind == b"sBIT" else None
    moving = data.find(b"acTL", 33, max(33, data.find(b"IDAT")))  # stands before the first picture, or means nothing
    pictures = number_at(data, moving + 4, 4) if moving >= 0 else 1
    return Announced(number_at(data, 16, 4), number_at(data, 20, 4), 4, bits, brightest, pictures)


def _bmp(data: bytes) -> Announced:
    if number_at(data, 14, 4, little=True) == 12:
        return Announced(number_at(data, 18, 2, little=True), number_at(data, 20, 2, little=True))
    height = number_at(data, 22, 4, little=True)
    height = min(height, (1 << 32) - height)  # below zero: the rows are stored from the top
    return Announced(number_at(data, 18, 4, little=True), height)


def _gif(data: bytes) -> Announced:
    width, height = number_at(data, 6, 2, little=True), number_at(data, 8, 2, little=True)
    return Announced(width, height, pictures=max(1, gif_pictures(data)))


def _webp(data: bytes) -> Announced | None:
    if data[8:12] != b"WEBP":
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = number_at(data, 24, 3, little=True) + 1, number_at(data, 27, 3, little=True) + 1
        return Announced(width, height, pictures=max(1, data.count(b"ANMF")))
    if kind == b"VP8L":
        bits = number_at(data, 21, 4, little=True)
        return Announced((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 ":
        return Announced(number_at(data, 26, 2, little=True) & 0x3FFF, number_at(data, 28, 2, little=True) & 0x3FFF)
    return None


def _avif(data: bytes) -> Announced | None:
    """The largest of its images, its tiles and the whole among them."""
    places = [found.end() for found in re.finditer(rb"ispe\0...", data, re.DOTALL)]
    sizes = [(number_at(data, place, 4), number_at(data, place + 4, 4)) for place in places]
    if not sizes:
        return None
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    coded = data.find(b"av1C")
    flags = number_at(data, coded + 6, 1) if coded >= 0 else 0
    samples = data.find(b"stsz") if data[8:12] == b"avis" else -1  # the sizes of the pictures of a film
    pictures = number_at(data, samples + 12, 4) if samples >= 0 else 1
    return Announced(width, height, brightest={0x40: 1023.0, 0x60: 4095.0}.get(flags & 0x60), pictures=pictures)


def _jpeg_2000(data: bytes) -> Announced | None:
    """The largest of its code streams, and of what the file around them says."""
    sizes = []
    for found in re.finditer(rb"\xff\x4f\xff\x51", data):
        right, bottom, left, top = (number_at(data, found.end() + place, 4) for place in (4, 8, 12, 16))
        sizes.append((right - left, bottom - top, number_at(data, found.end() + 36, 2), _WIDE))
    sizes += [
        (number_at(data, found.end() + 4, 4), number_at(data, found.end(), 4), 1, _WIDE)
        for found in re.finditer(rb"\0\0\0\x16ihdr", data)
    ]
    return Announced(*map(max, zip(*sizes, strict=True))) if sizes else None


def _pnm(data: bytes) -> Announced | None:
    found = _PNM.match(data[:_TEXT_HEADER_BYTES_MAX])
    if found is None:
        return None
    brightest = int(found[3] or 0) if data[:2] in {b"P2", b"P3", b"P5", b"P6"} else 0  # the others have 1 bit
    return Announced(int(found[1]), int(found[2]), brightest=brightest_of(brightest))


def _pfm(data: bytes) -> Announced | None:
    found = _PFM.match(data[:_TEXT_HEADER_BYTES_MAX])
    return Announced(int(found[2]), int(found[3]), bits=_WIDE) if found else None


def _pam(data: bytes) -> Announced | None:
    head = data[: max(0, data.find(b"ENDHDR", 0, _TEXT_HEADER_BYTES_MAX))]
    sizes = {found[1]: int(found[2]) for found in _PAM.finditer(head)}
    if not {b"WIDTH", b"HEIGHT", b"DEPTH"} <= sizes.keys():
        return None
    return Announced(
        sizes[b"WIDTH"], sizes[b"HEIGHT"], sizes[b"DEPTH"], brightest=brightest_of(sizes.get(b"MAXVAL", 0))
    )


def _hdr(data: bytes) -> Announced | None:
    """The largest size found anywhere, matched as loosely as decoders do: a comment may hold one too."""
    sizes = [(int(line[2]), int(line[1])) for line in _HDR.finditer(data)]
    return Announced(*max(sizes, key=lambda size: size[0] * size[1]), bits=_WIDE) if sizes else None


def _sun(data: bytes) -> Announced:
    return Announced(number_at(data, 4, 4), number_at(data, 8, 4))


_KINDS = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG\r\n\x1a\n", _png),
    (b"BM", _bmp),
    ((b"GIF87a", b"GIF89a"), _gif),
    (b"RIFF", _webp),
    ((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), _jpeg_2000),
    ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), tiff_size),
    (b"P7", _pam),
    ((b"PF", b"Pf"), _pfm),
    (tuple(b"P%d" % number for number in range(1, 7)), _pnm),
    ((b"#?RADIANCE", b"#?RGBE"), _hdr),
    (b"\x59\xa6\x6a\x95", _sun),
)
