"""Whether a film's file is cut off, by its container's byte lengths, never by its duration or number of frames.

A container is a row of pieces that each state their length in bytes. If the last piece has fewer, the file was cut
off: an interrupted copy, a recorder that lost its power. The number of frames and the duration in a header prove
nothing: they are estimates, or count frames that an edit list leaves out. What a recorder writes as "not known yet" is
no length either. A raw stream (H.264 without a container) and MPEG-1's program stream do not show it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

PIECES_MAX = 1_000_000  # of one file; the rest is not checked
_BOXES = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"uuid", b"pdin", b"mfra"}
_BOXES |= {b"meta", b"udta", b"pnot", b"emsg", b"prft", b"ssix", b"junk"}
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_NOT_KNOWN_YET = (0, 0xFFFFFFFF)
_PACKET_BYTES = 188
_STAMPED_PACKET_BYTES = 192  # of M2TS: four bytes stand in front of each
_FLV_KINDS = {8, 9, 18}  # sound, pictures, metadata
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


def broken_off(path: Path) -> str | None:
    """The piece that is cut off, as a text; None when the file is whole, of another kind, or unreadable."""
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            head = file.read(4 * _PACKET_BYTES)
            check = _check_for(head)
            return check(file, size_bytes) if check is not None else None
    except OSError:
        return None


def _check_for(head: bytes) -> Callable[[BinaryIO, int], str | None] | None:
    if head[4:8] in _BOXES:
        return _mp4
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _avi
    if head[:4] == _EBML.to_bytes(4, "big"):
        return _matroska
    if head[:3] == b"FLV":
        return _flv
    if head[:4] == b"OggS":
        return _ogg
    if head[:16] == _ASF:
        return _asf
    if len(head) == 4 * _PACKET_BYTES and set(head[::_PACKET_BYTES]) == {0x47}:
        return lambda _, size_bytes: _packets(size_bytes, _PACKET_BYTES)
    if len(head) == 4 * _PACKET_BYTES and set(head[4::_STAMPED_PACKET_BYTES]) == {0x47}:
        return lambda _, size_bytes: _packets(size_bytes, _STAMPED_PACKET_BYTES)
    return None


def _at(file: BinaryIO, place: int, size_bytes: int) -> bytes:
    file.seek(place)
    return file.read(size_bytes)


def _mp4(file: BinaryIO, size_bytes: int) -> str | None:
    """Boxes: a length, four letters, and a longer length where the first is 1. A length of 0 goes to the end."""
    place = 0
    for _ in range(PIECES_MAX):
        head = _at(file, place, 16)
        name, length = head[4:8], int.from_bytes(head[:4], "big")
        if len(head) < 8 or name not in _BOXES or length == 0:
            return None
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if place + length > size_bytes:
            return f"its box {name.decode('ascii')}"
        if length < 8:
            return None
        place += length
    return None


def _avi(file: BinaryIO, size_bytes: int) -> str | None:
    """RIFF chunks: four letters and a length; a large film has several."""
    place = 0
    for _ in range(PIECES_MAX):
        head = _at(file, place, 8)
        length = int.from_bytes(head[4:8], "little")
        if len(head) < 8 or head[:4] != b"RIFF" or length in _NOT_KNOWN_YET:
            return None
        if place + 8 + length > size_bytes:
            return "its RIFF chunk"
        place += 8 + length + length % 2
    return None


def _matroska(file: BinaryIO, size_bytes: int) -> str | None:
    """EBML elements; a segment, and a cluster of unknown length, are entered."""
    place = 0
    for _ in range(PIECES_MAX):
        head = _at(file, place, 12)
        if not head:
            return None
        name, used = _number(head, keep_mark=True)
        length, more = _number(head[used:], keep_mark=False)
        if not used or not more:
            return "an element" if len(head) < 12 else f"what stands at byte {place}"
        unknown = length == (1 << 7 * more) - 1
        place += used + more
        if name == _SEGMENT or (name == _CLUSTER and unknown):
            continue
        if unknown:
            return None
        if place + length > size_bytes:
            return "a cluster" if name == _CLUSTER else "an element"
        place += length
    return None


def _number(head: bytes, *, keep_mark: bool) -> tuple[int, int]:
    """A number of EBML and how many bytes it takes: as many as its first byte has zeros in front, and one. 0 bytes
    where there is none."""
    if not head or head[0] == 0:
        return 0, 0
    used = 9 - head[0].bit_length()
    if len(head) < used:
        return 0, 0
    number = int.from_bytes(head[:used], "big")
    return (number if keep_mark else number & ((1 << 7 * used) - 1)), used


def _packets(size_bytes: int, packet_bytes: int) -> str | None:
    """A transport stream: packets of one size, whose number is stated nowhere."""
    return "a packet" if size_bytes % packet_bytes else None


def _flv(file: BinaryIO, size_bytes: int) -> str | None:
    """Tags: kind, length, fields of no interest here, and behind each its size again, which the last tag may lack."""
    place = int.from_bytes(_at(file, 5, 4), "big") + 4
    for _ in range(PIECES_MAX):
        head = _at(file, place, 11)
        if not head or head[0] & 0x1F not in _FLV_KINDS:
            return None
        place += 11 + int.from_bytes(head[1:4], "big")
        if len(head) < 11 or place > size_bytes:
            return "a tag"
        place += 4
    return None


def _ogg(file: BinaryIO, size_bytes: int) -> str | None:
    """Pages: a head, and in it the lengths of the segments behind it."""
    place = 0
    for _ in range(PIECES_MAX):
        head = _at(file, place, 27 + 255)
        if head[:4] != b"OggS":
            return None
        if len(head) < 27 or len(head) < 27 + head[26]:
            return "a page"
        place += 27 + head[26] + sum(head[27 : 27 + head[26]])
        if place > size_bytes:
            return "a page"
    return None


def _asf(file: BinaryIO, size_bytes: int) -> str | None:
    """Objects, as Windows Media has them: a name of 16 bytes and a length that counts it too."""
    place = 0
    for _ in range(PIECES_MAX):
        head = _at(file, place, 24)
        length = int.from_bytes(head[16:], "little")
        if not head or (len(head) == 24 and length < 24):
            return None
        place += length
        if len(head) < 24 or place > size_bytes:
            return "an object"
    return None
