"""The demo's output: one live panel on a terminal, a line every few seconds elsewhere.

Log lines come from a thread of their own. On a terminal they are written through the panel's console, so that they
stand above the panel and are not erased by it.
"""

import io
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from iris_camera.demo.story import Story
from iris_communication.runtime.amounts import counted

LINE_EVERY_S = 5.0
WIDTH_MAX = 78
REASON_MAX = 140  # characters: the panel has to fit into 24 lines
HOW_TO_END = "q or Ctrl+C ends the demo and its page."


class Display:
    def __init__(self, out: TextIO, story: Story) -> None:
        self._story = story
        self._console = Console(file=out, highlight=False)
        self.is_terminal = self._console.is_terminal
        self._live: Live | None = None
        self._last_line_s = -LINE_EVERY_S

    def __enter__(self) -> Self:
        if self.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays, above the panel."""
        self._console.print(line, style="bold" if self.is_terminal else None, markup=False, soft_wrap=True)

    def log(self, line: str) -> None:
        """A log line, shortened for a person who watches, or left out."""
        if (shown := self._story.line(line)) is not None:
            self._console.print(Text(shown), soft_wrap=True)

    def update(self, snapshot: dict[str, Any]) -> None:
        if self._live is not None:
            self._live.update(self._panel(snapshot), refresh=True)
        elif time.monotonic() - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = time.monotonic()
            self._console.print(f"{self._story.sentence}: {_line(snapshot)}", markup=False, soft_wrap=True)

    def stay(self, summary: dict[str, Any], *, good: bool) -> None:
        """The final figures in the panel's place, until the display ends."""
        if self._live is not None:
            self._live.update(Group(self._figures(summary, good=good), Text(HOW_TO_END, style="dim")), refresh=True)

    def summary(self, summary: dict[str, Any], *, good: bool) -> None:
        self._console.print(self._figures(summary, good=good))

    def _figures(self, summary: dict[str, Any], *, good: bool) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for label, text in _rows(summary):
            table.add_row(Text(label, style="dim"), text)
        verdict = Text("Everything written has arrived, whole.", style="bold green")
        if not good:
            verdict = Text("Not everything arrived: see the figures above and the log.", style="bold red")
        return Panel(Group(table, Text(), verdict), title="Iris demo", expand=False)

    def _panel(self, snapshot: dict[str, Any]) -> RenderableType:
        camera, uploader = snapshot["cameras"][0], snapshot["uploader"]
        stats = uploader["stats"]
        table = Table.grid(padding=(0, 2))
        table.add_row("now", Text(self._story.sentence, style="bold yellow" if self._story.is_outage else "bold"))
        table.add_row("frames", f"{camera['frames']}  ({camera['frames_per_s']:.1f} a second)")
        table.add_row("parts", f"{camera['parts']}  ({camera['defects']} defective)")
        table.add_row("waiting", f"{stats['queue_size']}  " + "▪" * min(stats["queue_size"], 50))
        table.add_row("delivered", str(stats["total_uploaded"]))
        table.add_row("failed", str(stats["total_failed"]))
        table.add_row("link", _link(uploader, staged=self._story.is_outage))
        table.add_row("health", _short(snapshot["health"]["sentence"]))
        return Panel(table, title="Iris demo", width=min(WIDTH_MAX, self._console.width))


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    during = summary["camera_fps_during_outage"]
    rate = f"{summary['camera_fps']} a second" + (f", {during} during the outage" if during is not None else "")
    return [
        ("frames inspected", f"{summary['frames']} in {summary['seconds']} s: {rate}"),
        ("parts", f"{summary['parts']}, of which {summary['defects']} judged defective"),
        ("inspection", f"recall {summary['detector_recall']}, accuracy {summary['classifier_accuracy']}"),
        ("written", f"{_files(summary['csv_files'], summary['evidence_files'])} of defects"),
        ("arrived", f"{summary['delivered_verified']}, verified"),
        ("lost, partial", f"{summary['lost']}, {summary['partial_visible']}"),
        ("outage", f"{summary['outage_seconds']} s"),
        ("tried again", f"{counted(summary['attempts_repeated'], 'upload')}: the server refuses one now and then"),
        ("together", f"{_records(summary['files_in_archives'])} in {counted(summary['archives'], 'archive')}"),
        ("of the outage", _backlog(summary)),
        ("uploader", _counts(summary)),
    ]


def _backlog(summary: dict[str, Any]) -> str:
    pictures, records = summary["backlog_evidence"], summary["backlog_csv"]
    first = summary["backlog_evidence_first"]
    order = "" if first is None else f"; of each two, the picture came first in {first:.0%}"
    return f"{counted(pictures, 'picture')}, {_records(records)}{order}"


def _files(records: int, pictures: int) -> str:
    return f"{_records(records)}, {counted(pictures, 'picture')}"


def _records(count: int) -> str:
    return counted(count, "record file")


def _counts(stats: dict[str, Any]) -> str:
    return (
        f"queued {stats['total_queued']}, uploaded {stats['total_uploaded']}, "
        f"failed {stats['total_failed']}, waiting {stats['queue_size']}"
    )


def _link(uploader: dict[str, Any], *, staged: bool = False) -> Text:
    for name, server in uploader["servers"].items():
        if server["link"] == "down":
            retry = server["retry_in_s"]
            again = f", next try in {retry:.1f} s" if retry is not None else ""
            text = _short(f"DOWN{', as staged' if staged else ''}: {server['reason']}")
            return Text(f"{text}{again}", style="yellow" if staged else "bold red")
        return Text(f"{server['link']}: {name}", style="green" if server["link"] == "up" else "")
    return Text("not used yet")


def _short(text: str) -> str:
    """Cut between words, never within one."""
    return text if len(text) <= REASON_MAX else f"{text[: REASON_MAX + 1].rpartition(' ')[0].rstrip(',;:')} ..."


def _line(snapshot: dict[str, Any]) -> str:
    camera, uploader = snapshot["cameras"][0], snapshot["uploader"]
    stats = uploader["stats"]
    return (
        f"{counted(camera['frames'], 'frame')} ({camera['frames_per_s']:.1f} a second), "
        f"{counted(camera['parts'], 'part')}, {camera['defects']} defective; "
        f"{stats['queue_size']} waiting, {stats['total_uploaded']} delivered; link {_link(uploader)}"
    )


class LogLines(io.StringIO):
    """In place of standard error for the log: each line is passed to `show`."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._begun = ""

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._show(line)
        return len(text)
