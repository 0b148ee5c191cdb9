"""One upload: what it is to become on the server, how far it got, and every name it may use there.

All hidden names of an attempt begin with its temp name, which nobody else can guess, so an earlier attempt's temp name
is enough to find all that it may have left.
"""

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from iris_communication.errors import Effect
from iris_communication.naming.alternative_name import NAME_MAX_BYTES, alternative_name
from iris_communication.settings import Conflict, Marker

TEMP_PREFIX = b".iris-"  # of hidden names
_REPLACED = b"-replaced"


@dataclass(slots=True)
class Quirks:
    """What a server was found not to support, shared by all uploads to it."""

    refuses_exclusive: bool = False  # an OPEN with EXCL is refused; one without is granted


@dataclass(slots=True)
class SftpUpload:
    final_path: bytes
    temp_path: bytes
    size_bytes: int
    sha256: str
    confirm_source: Callable[[], None]  # raises SourceChanged when the bytes sent are not those accepted
    conflict: Conflict = "rename"  # when the final name holds something else
    marker: Marker = ""
    finished: bool = False  # an earlier attempt had every byte acknowledged under temp_path and sent its rename
    earlier_temp: bytes | None = None  # an earlier attempt may have written here, how much is not known
    file_mode: int | None = None  # permissions it is to have, and
    mtime_s: int | None = None  # when it was last written, where the server lets us set them
    missing_folders: set[bytes] = field(default_factory=set)  # not there when first used; shared on one connection
    quirks: Quirks = field(default_factory=Quirks)
    opened: bool = False  # set as it happens: the temp file may exist
    marker_opened: bool = False  # set as it happens: so may that of a marker
    rename_sent: bool = False  # set as it happens: a rename is unanswered, so the final name may exist
    begin_anew: bool = False  # set as it happens: finished, but that rename certainly did not deliver
    cut_short: bool = False  # set as it happens: every WRITE was acknowledged, and the file has another size
    write_refused: bool = False  # set as it happens: for no reason that was stated or found
    final_look: Any = None  # set as it happens: what a STAT of the final path said when all was written
    attributes_refused: str = ""  # the server's text, where it did not let us set them
    fences: set[bytes] = field(default_factory=set)  # names that are held against a late request, see `replacing`

    @property
    def alternative_path(self) -> bytes:
        """`report.csv` -> `report.1f2e3d4c.csv`: where it goes when the final name holds something else."""
        folder, name = posixpath.split(self.final_path)
        mark = self.sha256[:8].encode("ascii")
        return posixpath.join(folder, alternative_name(name, mark, NAME_MAX_BYTES - len(self.marker)))

    @property
    def paths(self) -> Iterator[bytes]:
        """Where the file may end, in the order tried. The second is seldom needed, and made only then."""
        yield self.final_path
        if self.conflict == "rename":
            yield self.alternative_path

    @property
    def effect(self) -> Effect:
        """What an attempt that is cut off now may leave behind. NONE: nothing of its own, so what was known before it
        is still what is known."""
        if self.rename_sent or self.finished:
            return Effect.UNKNOWN
        return Effect.UNSEEN if self.opened or self.marker_opened else Effect.NONE

    def marker_path(self, path: bytes) -> bytes:
        return path + self.marker.encode("ascii")

    def marker_temp(self, path: bytes, temp: bytes | None = None) -> bytes:
        """The temp name of the marker for the file under `path`; another one for each kind and path, because the
        content differs. No pick-up pattern for markers matches it."""
        mark = b"-" + self.marker[1:].encode("ascii")
        return (temp or self.temp_path) + mark + (b"" if path == self.final_path else b"-2")

    def marker_temps(self, temp: bytes) -> tuple[bytes, ...]:
        return tuple(self.marker_temp(path, temp) for path in self.paths) if self.marker else ()

    def replacements(self, temp: bytes) -> list[tuple[bytes, bytes, int]]:
        """(temp name, the name it may replace something under, size in bytes) of the attempt that wrote to `temp`."""
        found = [(temp, self.final_path, self.size_bytes)] if self.conflict == "overwrite" else []
        if self.marker:
            for path in self.paths:
                size_bytes = len(self.marker_text(path))
                found.append((self.marker_temp(path, temp), self.marker_path(path), size_bytes))
        return found

    def marker_text(self, path: bytes) -> bytes:
        """The marker's content: none, or the line that `sha256sum -c` reads in the file's folder."""
        if self.marker != ".sha256":
            return b""
        name, escaped = posixpath.basename(path), b""
        if any(mark in name for mark in (b"\\", b"\n", b"\r")):
            name = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
            escaped = b"\\"
        return escaped + self.sha256.encode("ascii") + b"  " + name + b"\n"


def aside(temp: bytes) -> bytes:
    """Where the file that `temp` replaces is put, where replacing takes two steps."""
    return temp + _REPLACED
