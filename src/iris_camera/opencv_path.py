"""A file's name as OpenCV may be given it: OpenCV ends the whole process, silently, at one that is not UTF-8."""

from pathlib import Path


class NotUtf8(OSError):
    """OpenCV cannot open a file of this name; the text names it, and says what to do."""


def opencv_path(path: Path) -> str:
    """Raises NotUtf8."""
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise NotUtf8(f"{name} cannot be opened: its name, or a folder's, is not UTF-8: rename it") from None
    return name
