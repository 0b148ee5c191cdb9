"""The display of `iris send`: a bar on a terminal, elsewhere a line for each event."""

from collections.abc import Sequence
from typing import Self, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from iris_camera.cli.handing_in import Link
from iris_camera.cli.sending import Sending, Sent
from iris_communication.errors import IrisError
from iris_communication.item import Delivered
from iris_communication.plain_text import clean
from iris_communication.runtime.amounts import counted


class SendingDisplay:
    """Writes to `out`, the standard error: the standard output is for programs."""

    def __init__(self, sending: Sending, out: TextIO, *, quiet: bool) -> None:
        self._sending = sending
        self._quiet = quiet
        self._console = Console(file=out, highlight=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last_event = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[state]}"), console=self._console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=self._sending.size_bytes, state="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def ended(self, sent: Sent) -> None:
        """Print a failure at once; print a delivery where there is no bar to show it."""
        for line in failures(sent):
            self._say(line)
        if self._bar is None and sent.is_delivered:
            places = ", ".join(each.final_path for each in sent.outcomes.values() if isinstance(each, Delivered))
            self._say(f"{sent.file.path}: delivered as {places}")

    def update(self, links: Sequence[Link]) -> None:
        """Show what holds the rest up: on the bar at each call, elsewhere when it changes."""
        held_up = [link.text for link in links]
        if self._sending.full is not None:
            held_up.append(f"nothing more is taken in: {self._sending.full}")
        text = "; ".join(held_up)
        if self._bar is not None and self._task is not None:
            done = self._sending.done
            arrived = sum(each.file.size_bytes for each in done)
            files = f"{len(done)} of {counted(self._sending.files, 'file')}"
            self._bar.update(self._task, completed=arrived, description=files, state=escape(clean(text)))
            return
        event = text.partition(";")[0]  # the seconds until the next try are left out
        if event and event != self._last_event:
            self._say(text)
        self._last_event = event

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._console.print(clean(line), markup=False, soft_wrap=True)


def failures(sent: Sent) -> list[str]:
    """A line for each destination that a file will not reach, with what to do."""
    errors = [sent.refused] if sent.refused is not None else list(sent.outcomes.values())
    return [_failure(sent, error) for error in errors if isinstance(error, IrisError)]


def _failure(sent: Sent, error: IrisError) -> str:
    return f"{sent.file.path}: {error}" + (f". {error.hint}" if error.hint else "")
