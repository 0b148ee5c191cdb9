"""What a model's class numbers are called: from a labels file, else from the notes its exporter left in it."""

import ast
from dataclasses import dataclass
from pathlib import Path

from iris_camera.inspection.findings import PART
from iris_camera.inspection.model import ModelError, misfit

SIZE_BYTES_MAX = 1 << 20  # a labels file is a few lines; anything larger is another file, named by mistake


@dataclass(frozen=True, slots=True)
class Labels:
    """`names` in the order of the classes, empty when nobody told; `origin` says where they are from; `classes` is how
    many the model tells apart, None when it does not say; `alone` is what the one class of a nameless model is called.
    """

    names: tuple[str, ...]
    origin: str
    classes: int | None
    first_class: int = 0
    alone: str = PART

    def of(self, index: int) -> str:
        """The label of class `index`, counted from 0; one beyond the names is called by the model's own number."""
        if 0 <= index < len(self.names):
            return self.names[index]
        if self.classes == 1 and not self.names:
            return self.alone
        return f"class {index + self.first_class}"

    def check(self, path: Path) -> None:
        """Raises ModelError when there are names, but not one for each class of the model at `path`."""
        if self.names and self.classes not in {None, len(self.names)}:
            wanted = f"{len(self.names)} classes, one for each label of {self.origin}"
            raise misfit(path, wanted, f"{self.classes} classes")


def labels_of(path: Path | None, metadata: dict[str, str], model: Path) -> tuple[tuple[str, ...], str]:
    """The names and where they are from; those of a file come before those of the model. Raises ModelError."""
    if path is not None:
        return _from_file(path), str(path)
    if "labels" in metadata:
        return tuple(metadata["labels"].split(",")), f"{model}, entry labels"
    if "names" in metadata:
        return _from_names(metadata["names"], model), f"{model}, entry names"
    return (), "nowhere"


def _from_file(path: Path) -> tuple[str, ...]:
    try:
        if path.stat().st_size > SIZE_BYTES_MAX:
            raise ModelError(f"{path} is no labels file: expected at most {SIZE_BYTES_MAX} bytes, one label a line")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ModelError(f"the labels file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is no labels file: expected UTF-8 text, one label a line") from error
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if not names or not all(names):
        found = f"line {names.index('') + 1} is empty" if names else "no line"
        raise ModelError(f"{path} is no labels file: expected one label a line; found that {found}")
    return tuple(names)


def _from_names(text: str, model: Path) -> tuple[str, ...]:
    """YOLO exports leave a dictionary from class number to name, written as Python writes it."""
    try:
        names = ast.literal_eval(text)
        return tuple(str(names[index]) for index in range(len(names)))
    except (ValueError, SyntaxError, LookupError, TypeError, MemoryError, RecursionError) as error:
        raise misfit(model, "names such as {0: 'nut', 1: 'bolt'} in its entry names", repr(text[:80])) from error
