"""The report of one run: on the terminal, and as one part of a page for each of its works.

A page keeps the text around the parts, and parts of works that were not measured this time: each is a run of its own,
and only the ratios within it mean something.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.goals import GoalVerdict, verdicts
from benchmarks.peers import REFERENCE
from benchmarks.table import ClientRow, aligned, as_markdown, as_text


class Circumstances(NamedTuple):
    """`link`: what carried one work's bytes, as text; "" without a proxy."""

    hardware: str
    versions: str
    when: str
    link: str


class Section(NamedTuple):
    name: str
    rows: Sequence[ClientRow]
    circumstances: Circumstances


def on_terminal(sections: Sequence[Section]) -> str:
    rows = [row for section in sections for row in section.rows]
    texts = [as_text(rows, REFERENCE)]
    links = [f"{section.name}: {section.circumstances.link}" for section in sections if section.circumstances.link]
    texts += ["\n".join(links)] if links else []
    judged = verdicts(rows)
    if judged:
        texts.append(aligned([("goal", "wanted", "found", ""), *judged], left=(0, 1, 3)))
    return "\n\n".join(texts)


def into_page(page: Path, sections: Sequence[Section]) -> None:
    """Renew these sections in the file, or put them at its end."""
    text = page.read_text() if page.exists() else ""
    for section in sections:
        begin, end = f"<!-- {section.name} -->", f"<!-- end of {section.name} -->"
        part = f"{begin}\n{_markdown(section)}\n{end}"
        found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
        if found is None:
            text = f"{text.rstrip()}\n\n{part}\n".lstrip()
        else:
            text = text[: found.start()] + part + text[found.end() :]
    page.write_text(text)


def _markdown(section: Section) -> str:
    first, about = section.rows[0], section.circumstances
    lines = [f"## {first.work[:1].upper()}{first.work[1:]}, RTT {first.rtt_ms:g} ms", ""]
    lines += [f"{about.when}. {about.hardware}; {about.versions}.", ""]
    lines += [f"{about.link[:1].upper()}{about.link[1:]}.", ""] if about.link else []
    lines += [as_markdown(section.rows, REFERENCE)]
    judged = verdicts(section.rows)
    if judged:
        lines += ["", "| goal | wanted | found | |", "|---|---|---|---|", *map(_line, judged)]
    return "\n".join(lines)


def _line(verdict: GoalVerdict) -> str:
    what = verdict.what.partition(": ")[2]  # the heading has the work
    return f"| {what} | {verdict.wanted} | {verdict.found} | {verdict.said} |"
