"""The mistakes in the settings: all at once, each with its place, so that one edit corrects them all."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from iris_communication.plain_text import ERROR_TEXT_MAX, clean


@dataclass(frozen=True, slots=True, order=True)
class ValueOrigin:
    """Where a value was given: a file with its line, an environment variable or a flag."""

    place: str
    line: int | None = None

    def __str__(self) -> str:
        return self.place if self.line is None else f"{self.place}:{self.line}"


NOWHERE = ValueOrigin("the settings")  # the origin of a default


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. `text` begins with the key and states what was found and what was expected, never a secret."""

    origin: ValueOrigin = field(compare=False)
    text: str = field(compare=False)
    rank: tuple[str, int, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", clean(self.text, ERROR_TEXT_MAX))  # it quotes a file
        object.__setattr__(self, "rank", (self.origin.place, self.origin.line or 0, self.text))

    def __str__(self) -> str:
        return f"{self.origin}: {self.text}"


class ConfigError(ValueError):
    """The settings cannot be used. `problems` holds everything that is wrong, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """`, did you mean "port"?` where one of the known names is close, else nothing."""
    by_lower_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(found.lower(), by_lower_case, n=1, cutoff=0.6)
    return f'; did you mean "{by_lower_case[close[0]]}"?' if close else ""


def listed(names: Iterable[str]) -> str:
    """`"a", "b" or "c"`."""
    quoted = [f'"{name}"' for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}" if quoted else "nothing"
