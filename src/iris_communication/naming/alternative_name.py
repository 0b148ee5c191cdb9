"""The alternative name of a file, for when something else has its own name.

The mark is derived from the file's content, so each attempt arrives at the same name.
"""

import posixpath

NAME_MAX_BYTES = 255  # of one path component, on the file systems in use


def alternative_name(name: bytes, mark: bytes, name_max_bytes: int = NAME_MAX_BYTES) -> bytes:
    """`report.csv` with the mark `1f2e3d4c` -> `report.1f2e3d4c.csv`, cut to what a file system takes."""
    stem, extension = posixpath.splitext(name)
    mark = b"." + mark
    room = name_max_bytes - len(mark) - len(extension)
    if room < 1:  # an "extension" as long as that is none
        stem, extension, room = name, b"", name_max_bytes - len(mark)
    if len(stem) > room:
        stem = stem[:room].decode("utf-8", "ignore").encode()  # never half a character
    return stem + mark + extension
