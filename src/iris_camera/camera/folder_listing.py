"""What lies in a folder of pictures: which names may be pictures, and why the others are not read.

Only names, and what the folder's entries say of them, are read here; no file is opened. Names that begin with a dot
are another program's temporary files. Subfolders count only on request; links to folders never do, because they may
lead in a circle.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from iris_communication.runtime.amounts import counted, files

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".avif", ".gif"),
    *(".jp2", ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".pfm", ".hdr", ".pic", ".sr", ".ras"),
)
_OTHER_PICTURES = (".heic", ".heif", ".jxl", ".exr", ".svg", ".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".psd")
_ENDINGS_NAMED_MAX = 5


class Listing(NamedTuple):
    """`names` may be pictures, relative to the folder; `others` counts the other files by their ending in lower case;
    `folders` is how many were not listed, `unreadable` those that could not be."""

    names: set[str]
    others: Counter[str]
    folders: int
    unreadable: tuple[str, ...]

    @property
    def pictures_of_other_kinds(self) -> set[str]:
        """The endings of files that are pictures of kinds that cannot be read here."""
        return self.others.keys() & set(_OTHER_PICTURES)


def listing(folder: Path, *, with_subfolders: bool) -> Listing:
    """Raises OSError when the folder itself cannot be read."""
    found = Listing(set(), Counter(), 0, ())
    waiting = [""]
    while waiting:
        within = waiting.pop()
        try:
            entries = list(_entries(folder / within))
        except OSError:
            if not within:
                raise
            found = found._replace(unreadable=(*found.unreadable, within))
            continue
        for name, is_folder in entries:
            if is_folder and with_subfolders:
                waiting.append(f"{within}{name}/")
            elif is_folder:
                found = found._replace(folders=found.folders + 1)
            elif name.lower().endswith(SUFFIXES):
                found.names.add(within + name)
            else:
                found.others[PurePath(name).suffix.lower()] += 1
    return found


def why_nothing(found: Listing, folder: Path) -> str | None:
    """Why a folder that is not empty gives no pictures, as a sentence; None when it gives some, or is empty."""
    if found.names or not (found.others or found.folders or found.unreadable):
        return None
    there = [
        f"{files(count)} {f'ending in {ending}' if ending else 'without an ending'}"
        for ending, count in found.others.most_common(_ENDINGS_NAMED_MAX)
    ]
    if len(found.others) > _ENDINGS_NAMED_MAX:
        there.append("others")
    if found.folders:
        there.append(counted(found.folders, "folder"))
    if found.unreadable:
        there.append(f"folders that cannot be read, {found.unreadable[0]} among them")
    hint = f'; "dir:{folder}/**" looks into its folders too' if found.folders else ""
    return f"nothing in {folder} is a picture that can be read: it holds {', '.join(there)}{hint}"


def _entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Each name, and whether it is a folder."""
    with os.scandir(folder) as entries:  # not Path.iterdir: a hundred thousand paths cost seconds
        for entry in entries:
            if not entry.name.startswith(".") and not (entry.is_symlink() and _is_folder(entry)):
                yield entry.name, entry.is_dir(follow_symlinks=False)


def _is_folder(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # it leads to itself, or where this user may not look
        return False
