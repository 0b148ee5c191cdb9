"""The names of a model's classes: from a labels file, else from the metadata that its exporter wrote."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from iris_camera.inspection.findings import PART
from iris_camera.inspection.model import misfit
from iris_camera.inspection.model_error import ModelError
from iris_communication.plain_text import clean
from iris_communication.runtime.amounts import counted

SIZE_BYTES_MAX = 1 << 20  # a labels file is a few lines; anything larger is another file, named by mistake
LABEL_CHARACTERS_MAX = 200

# One name of a list or dictionary in Python's syntax, and the comma behind it. Python's own parser would take 1.5
# gigabytes for two megabytes of names.
_ENTRY = re.compile(
    r"""\s*+(?:(?P<number>\d{1,9})\s*+:\s*+)?(?P<name>'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[-+.\w]++)\s*+(?:,\s*+|\Z)""",
    re.DOTALL,
)
_BRACKETS = {"{": "}", "[": "]", "(": ")"}


@dataclass(frozen=True, slots=True)
class Labels:
    """`names` in the order of the classes, empty when there are none; `origin` says where they are from; `classes` is
    how many the model distinguishes, None when it does not say; `alone` is the label of the one class of a model
    without names."""

    names: tuple[str, ...]
    origin: str
    classes: int | None
    first_class: int = 0
    alone: str = PART

    def of(self, index: int) -> str:
        """The label of class `index`, counted from 0; beyond the names it is the model's own number."""
        if 0 <= index < len(self.names):
            return self.names[index]
        if self.classes == 1 and not self.names:
            return self.alone
        return f"class {index + self.first_class}"

    def check(self, path: Path, hint: str = "") -> None:
        """Raises ModelError, with `hint`, when there are names, but not one for each class of the model at `path`."""
        if self.names and self.classes not in {None, len(self.names)}:
            wanted = f"{counted(len(self.names), 'class', 'classes')}, one for each label of {self.origin}"
            raise misfit(path, wanted, f"{counted(self.classes, 'class', 'classes')}{hint}")


def labels_of(path: Path | None, metadata: dict[str, str], model: Path) -> tuple[tuple[str, ...], str]:
    """The names and where they are from; those of a file come before those of the model. Raises ModelError."""
    if path is not None:
        return _checked(_from_file(path), f"the labels file {path}"), str(path)
    for entry, read in (("labels", _from_labels), ("names", _from_names)):
        if entry not in metadata:
            continue
        origin = f"{model}, entry {entry}"
        if len(metadata[entry]) > SIZE_BYTES_MAX:
            found = f"{len(metadata[entry]):,} characters"
            raise misfit(model, f"at most {SIZE_BYTES_MAX:,} characters of labels in its entry {entry}", found)
        return _checked(read(metadata[entry], model), origin), origin
    return (), "nowhere"


def _checked(names: Iterable[str], origin: str) -> tuple[str, ...]:
    """The names as they may be shown, stored and logged. Raises ModelError for one that is too long."""
    checked = []
    for number, name in enumerate(names):
        if len(name) > LABEL_CHARACTERS_MAX:
            raise ModelError(
                f"{origin}: label {number} has {len(name):,} characters: expected at most {LABEL_CHARACTERS_MAX}"
            )
        checked.append(clean(name))
    return tuple(checked)


def _from_file(path: Path) -> tuple[str, ...]:
    try:
        if path.stat().st_size > SIZE_BYTES_MAX:
            raise ModelError(f"{path} is not a labels file: expected at most {SIZE_BYTES_MAX} bytes, one label a line")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ModelError(f"the labels file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not a labels file: expected UTF-8 text, one label a line") from error
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if not names or not all(names):
        found = f"line {names.index('') + 1} is empty" if names else "no line"
        raise ModelError(f"{path} is not a labels file: expected one label a line; found that {found}")
    return tuple(names)


def _from_labels(text: str, _model: Path) -> list[str]:
    return text.split(",")


def _from_names(text: str, model: Path) -> list[str]:
    """YOLO exports hold a dictionary from class number to name, or a list, in Python's syntax."""
    names: dict[int, str] = {}
    text = text.strip()
    place, end = 1, len(text) - 1
    closed = _BRACKETS.get(text[:1]) == text[-1:]
    while closed and place < end and (entry := _ENTRY.match(text, place, end)):
        number = int(entry["number"]) if entry["number"] else len(names)
        names[number] = _unquoted(entry["name"])
        place = entry.end()
    if not closed or place < end or names.keys() != set(range(len(names))) or not names:
        raise misfit(model, "names such as {0: 'nut', 1: 'bolt'} in its entry names", repr(text[:80]))
    return [names[index] for index in range(len(names))]


def _unquoted(text: str) -> str:
    """The name without quotes and escapes; a long one unchanged, because it is refused anyway."""
    if text[0] not in "'\"" or len(text) > 12 * LABEL_CHARACTERS_MAX:
        return text
    if "\\" not in text:
        return text[1:-1]
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):  # a backslash that begins nothing
        return text[1:-1]
