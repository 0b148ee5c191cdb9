"""The demo's narration: in which phase it is, and which log lines belong to its staged faults.

Three phases of a third each: a calm line, a staged outage, recovery; then the proof. The user has to know that the
outage is staged: a refusal that was announced is one plain line, whatever the log says.
"""

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from iris_camera.demo.sftp_server import REFUSED_FOR_ONCE

PHASES = ("a calm line", "staged outage", "recovery")
_LINE = re.compile(r"\S{11}(?P<time>\d\d:\d\d:\d\d)\S* (?P<level>[A-Z]+) +\S+  (?P<text>.*)", re.DOTALL)
_OF_THE_LINK = ("the link to ", "refuses connections", "lost the connection")


class Phase(NamedTuple):
    """`left_s`: until the next one."""

    number: int
    left_s: float

    @property
    def is_outage(self) -> bool:
        return PHASES[self.number - 1] == "staged outage"

    def __str__(self) -> str:
        return f"{self.number} of {len(PHASES)}: {PHASES[self.number - 1]}, {math.ceil(self.left_s)} s left"


def phase_at(elapsed_s: float, round_s: float) -> Phase:
    """Of a run whose phases begin anew every `round_s`."""
    length_s = round_s / len(PHASES)
    number = min(int(elapsed_s % round_s / length_s), len(PHASES) - 1)
    return Phase(number + 1, max(0.0, (number + 1) * length_s - elapsed_s % round_s))


@dataclass(slots=True)
class Story:
    """`sentence` is shown in the terminal and on the page."""

    sentence: str = "the line is being started"
    is_outage: bool = False
    _announced: set[str] = field(default_factory=set)

    def enter(self, phase: Phase) -> str | None:
        """Set the sentence; returns the announcement at an outage's beginning or end."""
        before, self.is_outage = self.is_outage, phase.is_outage
        self.sentence = str(phase)
        if self.is_outage and not before:
            self._announced.discard("outage")
            return (
                f"staged outage: for {phase.left_s:.0f} s the server resets connections and refuses new ones; "
                "the line goes on, files wait"
            )
        if before and not self.is_outage:
            return "the staged outage is over: what waited is delivered now"
        return None

    def end(self) -> None:
        self.is_outage = False
        self.sentence = "the proof: the last files are delivered, and each is compared with what was written"

    def line(self, logged: str) -> str | None:
        """What a terminal shows of a log line; None: nothing, because it was announced or shown before."""
        if REFUSED_FOR_ONCE in logged:
            return self._once("refusal", "staged refusal: the server refuses a file now and then; it is tried again")
        if self.is_outage and any(text in logged for text in _OF_THE_LINK):
            return self._once("outage", "as staged: connections are refused, and tried again ever more seldom")
        found = _LINE.fullmatch(logged)
        return logged if found is None else f"{found['time']} {found['level']} {found['text']}"

    def _once(self, what: str, text: str) -> str | None:
        if what in self._announced:
            return None
        self._announced.add(what)
        return text
