"""Motion JPEG over HTTP, parsed: multipart/x-mixed-replace, bytes in, pictures out.

Cameras deviate from the format. They announce the boundary with or without its dashes and quotation marks, with another
word than the one they send, or not at all; so it is learned from the stream when the announced one does not come.
Parts come without a head, without a length, with a length of 0, or with something else than pictures between them
(detections as JSON); line ends may be bare. A given length is believed; without one, the picture ends at the next
boundary. Bytes in front of the first boundary are skipped. A stream of bare JPEGs has no parts at all: there each
picture ends at its own end marker.

The buffer is bounded: heads, pictures, and the bytes before the first boundary.
"""

import re
from typing import NamedTuple

from iris_camera.camera.image_completeness import jpeg_segments

LONGEST_HEAD_BYTES = 16_384
LONGEST_PICTURE_BYTES = 64 * 1024 * 1024
LONGEST_BOUNDARY_BYTES = 200
DASHES_MAX = 64

_JPEG = b"\xff\xd8\xff"
_PICTURES = (_JPEG, b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF", b"GIF8")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,12})[ \t]*\r?$")
_IMAGE = re.compile(rb"(?im)^content-type:[ \t]*image/")
_FIELD = re.compile(rb"[!#-'*+\-.0-9A-Z^-z|~]{1,100}[ \t]*:")
_ANY_BOUNDARY = re.compile(rb"(?:\A|\n)(--[^\r\n]{1,%d})\r?\n" % LONGEST_BOUNDARY_BYTES)
_BOUNDARY = re.compile(r"""(?i)boundary\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s;]+))""")
_OTHER_TYPES = ("text/html", "text/xml", "application/json", "application/xml", "image/")


class NotMultipart(ValueError):
    """The stream is no Motion JPEG; the text says why."""


def boundary_of(content_type: str) -> bytes:
    """The boundary a Content-Type announces, without dashes; empty when it announces none, and it has to be learned
    from the stream. Raises NotMultipart when it is of a type that cannot be a stream of pictures."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith(_OTHER_TYPES):
        raise NotMultipart(f"it is {''.join(letter for letter in kind[:60] if letter.isprintable())}")
    found = _BOUNDARY.search(content_type)
    word = "" if found is None else next(filter(None, found.groups())).strip("\"'").lstrip("-")
    return word[:LONGEST_BOUNDARY_BYTES].encode("utf-8", "replace")


class _Head(NamedTuple):
    """Of a part: where its body begins, how long that is (None: up to the next boundary), and its fields."""

    end: int
    length_bytes: int | None
    says_image: bool


class Multipart:
    """Buffers what is not yet a whole picture; belongs to one thread. `announced` comes from `boundary_of`."""

    def __init__(self, announced: bytes) -> None:
        self._announced = announced
        self._boundary = b""  # its word, once the first one has come
        self._bare = False  # JPEGs and nothing between them
        self._waiting = bytearray()
        self._looked_at = 0  # no end of a part stands before this place in `_waiting`
        self._compressed = self._worth_a_look_bytes = 0  # of a bare picture: see `_next_bare`

    def feed(self, received: bytes) -> list[bytes]:
        """The pictures that `received` completes, oldest first. Raises NotMultipart beyond the limits."""
        self._waiting += received
        pictures = []
        while (picture := self._next()) is not None:
            if picture:
                pictures.append(picture)
        return pictures

    def _next(self) -> bytes | None:
        """The next whole part's picture, empty when it holds none; None when there is no whole part yet."""
        if not self._boundary and not self._bare and not self._learned():
            self._at_most(LONGEST_HEAD_BYTES, "no boundary")
            return None
        if self._bare:
            return self._next_bare()
        found = _found(self._boundary, self._waiting, 0)
        if found is None:  # behind a part whose length was too short
            del self._waiting[: -LONGEST_BOUNDARY_BYTES - DASHES_MAX - 2]
            return None
        head = self._head(found[1])
        if head is None:
            self._at_most(found[1] + LONGEST_HEAD_BYTES, "a part's head without an end")
            return None
        end = self._end(head)
        if end is None:
            return None
        body = bytes(self._waiting[head.end : end])
        self._forget(end)
        if (picture := body.lstrip(b"\r\n")).startswith(_PICTURES):
            return picture
        return body if head.says_image else b""

    def _learned(self) -> bool:
        """Whether the separator of the pictures is known now: the announced boundary, else the one that comes."""
        if self._announced and _found(self._announced, self._waiting, 0):
            self._boundary = self._announced
            return True
        found = _ANY_BOUNDARY.search(self._waiting)
        if found is not None:
            self._boundary = found[1].strip().lstrip(b"-") or found[1].strip()
            return True
        self._bare = self._waiting.lstrip(b"\r\n").startswith(_JPEG)
        return self._bare

    def _next_bare(self) -> bytes | None:
        begin = self._waiting.find(_JPEG)
        if begin < 0:
            self._at_most(LONGEST_HEAD_BYTES, "no picture")
            return None
        if not self._compressed and len(self._waiting) >= self._worth_a_look_bytes:
            self._compressed = _compressed(self._waiting, begin)
            self._worth_a_look_bytes = len(self._waiting) * 5 // 4  # each search reads all markers again
        end = self._waiting.find(b"\xff\xd9", max(self._compressed, self._looked_at)) if self._compressed else -1
        if end < 0:
            self._looked_at = len(self._waiting) - 1 if self._compressed else 0
            self._at_most(LONGEST_PICTURE_BYTES, "a picture without an end")
            return None
        picture = bytes(self._waiting[begin : end + 2])
        self._forget(end + 2)
        return picture

    def _head(self, place: int) -> _Head | None:
        """The head behind a boundary's word: the rest of that line, fields, and mostly an empty line."""
        end_of_line = self._waiting.find(b"\n", place)
        if end_of_line < 0:
            return None
        first = place = end_of_line + 1
        while not self._waiting.startswith(_JPEG, place):  # a picture at once
            end_of_line = self._waiting.find(b"\n", place)
            if end_of_line < 0 or _JPEG.startswith(self._waiting[place : place + len(_JPEG)]):
                return None
            line = bytes(self._waiting[place : end_of_line + 1])
            if line.strip() and not _FIELD.match(line):  # no field, and no picture either
                break
            place = end_of_line + 1
            if not line.strip():
                break
        fields = bytes(self._waiting[first:place])
        length = _LENGTH.search(fields)
        return _Head(place, int(length[1]) or None if length else None, _IMAGE.search(fields) is not None)

    def _end(self, head: _Head) -> int | None:
        """Where the part's body ends; None when that has not come yet."""
        if head.length_bytes is not None:
            if head.length_bytes > LONGEST_PICTURE_BYTES:
                raise NotMultipart(f"a part of {head.length_bytes} bytes")
            end = head.end + head.length_bytes
            return end if len(self._waiting) >= end else None
        found = _found(self._boundary, self._waiting, max(head.end, self._looked_at))
        if found is None:
            self._looked_at = max(0, len(self._waiting) - LONGEST_BOUNDARY_BYTES)
            self._at_most(head.end + LONGEST_PICTURE_BYTES, "a part without an end")
            return None
        return max(head.end, found[0])

    def _forget(self, end: int) -> None:
        del self._waiting[:end]
        self._looked_at = self._compressed = self._worth_a_look_bytes = 0

    def _at_most(self, size_bytes: int, what: str) -> None:
        if len(self._waiting) > size_bytes:
            raise NotMultipart(f"{what} in {len(self._waiting)} bytes")


def _compressed(data: bytearray, begin: int) -> int:
    """Where the compressed data of the JPEG that begins there begins, behind any preview; 0 while that has not come."""
    with memoryview(data)[begin:] as picture:
        return begin + next((place for marker, place in jpeg_segments(picture) if marker == 0xDA), -begin)


def _found(word: bytes, data: bytearray, place: int) -> tuple[int, int] | None:
    """Where a boundary begins and its word ends, from a place on: with dashes wherever it stands, without them at the
    beginning of a line. The line end and the dashes in front of it belong to it, and to no picture."""
    while (at := data.find(word, place)) >= 0:
        before = bytes(data[max(0, at - DASHES_MAX) : at])
        dashes = len(before) - len(before.rstrip(b"-"))
        begin = at - dashes
        if dashes >= 2 or begin == 0 or data.startswith(b"\n", begin - 1):
            for end_of_line in (b"\n", b"\r"):
                begin -= begin > 0 and data.startswith(end_of_line, begin - 1)
            return begin, at + len(word)
        place = at + 1
    return None
