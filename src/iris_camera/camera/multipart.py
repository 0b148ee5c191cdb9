"""Motion JPEG over HTTP, taken apart: multipart/x-mixed-replace, bytes in, pictures out.

Cameras are careless with it. The boundary is announced with or without its two dashes, the length of a part may be
missing, line ends may be bare. So where a length is given it is believed, and where none is, the picture ends at the
next boundary. What is in front of a part's head (the first boundary, blank lines) is skipped.
"""

import re

LONGEST_HEAD_BYTES = 16_384
LONGEST_PICTURE_BYTES = 64 * 1024 * 1024

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,12})[ \t]*\r?$")
_BOUNDARY = re.compile(r"""(?i)boundary\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s;]+))""")


class NotMultipart(ValueError):
    """What comes is no Motion JPEG: says why."""


def boundary_of(content_type: str) -> bytes:
    """The boundary a Content-Type announces, with its two dashes. Raises NotMultipart when it is of another type."""
    if not content_type.lower().lstrip().startswith("multipart/"):
        raise NotMultipart(f"it is {content_type.partition(';')[0].strip()[:60] or 'of no type'}")
    found = _BOUNDARY.search(content_type)
    words = "" if found is None else next(filter(None, found.groups())).lstrip("-")
    if not words:
        raise NotMultipart("it names no boundary")
    return b"--" + words.encode("utf-8", "replace")


class Multipart:
    """Keeps what is not yet a whole picture; belongs to one thread."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary = boundary
        self._waiting = bytearray()
        self._looked_at = 0  # no boundary ends before this place of what waits

    def feed(self, received: bytes) -> list[bytes]:
        """The pictures that `received` completes, oldest first. Raises NotMultipart beyond the limits."""
        self._waiting += received
        pictures = []
        while (picture := self._next()) is not None:
            if picture:
                pictures.append(picture)
        return pictures

    def _next(self) -> bytes | None:
        """The next whole part's body, perhaps empty; None when there is none yet."""
        begin = self._waiting.find(self._boundary)
        if begin < 0:
            self._at_most(LONGEST_HEAD_BYTES, "no boundary")
            return None
        head_end = _HEAD_END.search(self._waiting, begin)
        if head_end is None:
            self._at_most(begin + LONGEST_HEAD_BYTES, "a part's head without an end")
            return None
        body = head_end.end()
        length = _LENGTH.search(self._waiting, begin, head_end.end())
        if length is not None:
            end = body + int(length[1])
            if end - body > LONGEST_PICTURE_BYTES:
                raise NotMultipart(f"a part of {end - body} bytes")
            if len(self._waiting) < end:
                return None
        else:
            end = self._waiting.find(self._boundary, max(body, self._looked_at - len(self._boundary)))
            if end < 0:
                self._looked_at = len(self._waiting)
                self._at_most(body + LONGEST_PICTURE_BYTES, "a part without an end")
                return None
        picture = bytes(self._waiting[body:end])
        del self._waiting[:end]
        self._looked_at = 0
        return picture

    def _at_most(self, size_bytes: int, what: str) -> None:
        if len(self._waiting) > size_bytes:
            raise NotMultipart(f"{what} in {len(self._waiting)} bytes")
