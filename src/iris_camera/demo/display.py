"""The demo in the terminal: one live panel where there is a terminal, a line every few seconds where there is none."""

import time
from typing import Any, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from iris_camera.web.state import Snapshot

LINE_EVERY_S = 5.0


class Display:
    def __init__(self, snapshot: Snapshot, out: TextIO) -> None:
        self._snapshot = snapshot
        self._console = Console(file=out, highlight=False)
        self._live: Live | None = None
        self._last_line_s = -LINE_EVERY_S

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=8, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self) -> None:
        snapshot = self._snapshot()
        if self._live is not None:
            self._live.update(_panel(snapshot), refresh=True)
        elif time.monotonic() - self._last_line_s >= LINE_EVERY_S:
            self._last_line_s = time.monotonic()
            self._console.print(_line(snapshot), soft_wrap=True)

    def summary(self, summary: dict[str, Any], *, good: bool) -> None:
        table = Table.grid(padding=(0, 2))
        for label, text in _told(summary):
            table.add_row(Text(label, style="dim"), text)
        verdict = Text("Everything written has arrived, whole.", style="bold green")
        if not good:
            verdict = Text("Not everything arrived: see the figures above and the log.", style="bold red")
        self._console.print(Panel(Group(table, Text(), verdict), title="Iris demo", expand=False))


def _told(summary: dict[str, Any]) -> list[tuple[str, str]]:
    during = summary["camera_fps_during_outage"]
    rate = f"{summary['camera_fps']} a second" + (f", {during} during the outage" if during is not None else "")
    return [
        ("frames inspected", f"{summary['frames']} in {summary['seconds']} s: {rate}"),
        ("parts", f"{summary['parts']}, of which {summary['defects']} judged defective"),
        ("inspection", f"recall {summary['detector_recall']}, accuracy {summary['classifier_accuracy']}"),
        ("written", f"{summary['csv_files']} record files, {summary['evidence_files']} pictures of defects"),
        ("arrived", f"{summary['delivered_verified']}, verified"),
        ("lost, partial", f"{summary['lost']}, {summary['partial_visible']}"),
        ("outage", f"{summary['outage_seconds']} s"),
        ("tried again", f"{summary['attempts_repeated']} uploads: the server refuses one now and then"),
        ("together", f"{summary['files_in_archives']} record files in {summary['archives']} archives"),
        ("of the outage", _backlog(summary)),
        ("uploader", _counts(summary)),
    ]


def _backlog(summary: dict[str, Any]) -> str:
    pictures, records = summary["backlog_evidence"], summary["backlog_csv"]
    first = summary["backlog_evidence_first"]
    order = (
        ""
        if first is None
        else f"; of each two, the picture came first in {first:.0%} (a tenth of the link is the others')"
    )
    return f"{pictures} pictures, {records} record files{order}"


def _counts(stats: dict[str, Any]) -> str:
    return (
        f"queued {stats['total_queued']}, uploaded {stats['total_uploaded']}, "
        f"failed {stats['total_failed']}, waiting {stats['queue_size']}"
    )


def _link(uploader: dict[str, Any]) -> Text:
    for name, server in uploader["servers"].items():
        if server["link"] == "down":
            retry = server["retry_in_s"]
            again = f", next try in {retry:.1f} s" if retry is not None else ""
            return Text(f"DOWN: {server['reason']}{again}", style="bold red")
        return Text(f"{server['link']}: {name}", style="green" if server["link"] == "up" else "")
    return Text("not used yet")


def _panel(snapshot: dict[str, Any]) -> Panel:
    camera, uploader = snapshot["cameras"][0], snapshot["uploader"]
    stats = uploader["stats"]
    table = Table.grid(padding=(0, 2))
    table.add_row("frames", f"{camera['frames']}  ({camera['frames_per_s']:.1f} a second)")
    table.add_row("parts", f"{camera['parts']}  ({camera['defects']} defective)")
    table.add_row("waiting", f"{stats['queue_size']}  " + "▪" * min(stats["queue_size"], 50))
    table.add_row("delivered", str(stats["total_uploaded"]))
    table.add_row("failed", str(stats["total_failed"]))
    table.add_row("link", _link(uploader))
    table.add_row("health", snapshot["health"]["sentence"])
    return Panel(table, title="Iris demo", width=78)


def _line(snapshot: dict[str, Any]) -> str:
    camera, uploader = snapshot["cameras"][0], snapshot["uploader"]
    stats = uploader["stats"]
    return (
        f"{camera['frames']} frames ({camera['frames_per_s']:.1f} a second), {camera['parts']} parts, "
        f"{camera['defects']} defective; {stats['queue_size']} waiting, {stats['total_uploaded']} delivered; "
        f"link {_link(uploader)}"
    )
