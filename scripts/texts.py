"""Print every text that somebody reads: log lines, errors and their hints, help, settings, the page, and what
else has two words.

    python scripts/texts.py [--kind log] | less

One text a line: kind, place, text; `{}` stands for a value. For reading all of it in one go.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log", "over"}
HINTS = {"hint", "default_hint"}
HELPS = {"help", "short_help", "epilog", "description"}
READ_ATTRIBUTES = {"alt", "title", "placeholder", "aria-label"}
JAVASCRIPT_STRING = re.compile(r"""//.*|"([^"\n]*)"|'([^'\n]*)'|`([^`\n]*)`""")
SENTENCE = re.compile(r"[a-z]{2,},? [a-z]{2}")
SELECTOR = re.compile(r"^[.#\[]|\[data-|^[a-z-]+$")


class Text(NamedTuple):
    kind: str
    place: str
    text: str


def in_python(path: Path) -> Iterator[Text]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(ROOT)
    known = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        for kind, part in _parts(node):
            known |= {id(inner) for inner in ast.walk(part)}
            if (text := _literal(part)) and re.search(r"[A-Za-z]{2}", text):
                yield Text(kind, f"{place}:{part.lineno}", text)
    for node in ast.walk(tree):  # in tables and variables: every other text of two words
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in known and SENTENCE.search(_literal(node)):
            known |= {id(inner) for inner in ast.walk(node)}
            yield Text("text", f"{place}:{node.lineno}", _literal(node))


class Markup(HTMLParser):
    """The texts of a page, with their lines."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, str]] = []

    def handle_data(self, data: str) -> None:
        self.found.append((self.getpos()[0], " ".join(data.split())))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(self.getpos()[0], value) for name, value in attrs if name in READ_ATTRIBUTES and value]


def in_javascript(source: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.splitlines(), 1):
        for found in JAVASCRIPT_STRING.finditer(line):
            yield number, next(filter(None, found.groups()), "")


def in_page(path: Path) -> Iterator[Text]:
    source, markup = path.read_text(encoding="utf-8"), Markup()
    if path.suffix == ".html":
        markup.feed(source)
    for number, text in markup.found if path.suffix == ".html" else in_javascript(source):
        if re.search(r"[A-Za-z]{2}", text) and not SELECTOR.search(text):
            yield Text("page", f"{path.relative_to(ROOT)}:{number}", text)


def _parts(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Call(ast.Attribute(ast.Name("log" | "logger") | ast.Attribute(_, "_repeats"), method), arguments):
            if method in LOG_METHODS:
                yield from (("log", each) for each in arguments)
        case ast.Raise(ast.Call(_, arguments)):
            yield from (("error", each) for each in arguments)
        case ast.Return(ast.Call(ast.Name(name), arguments)) if name[:1].isupper():
            yield from (("error", each) for each in arguments)
        case ast.Assign([ast.Name(name)], value) if name in HINTS:
            yield "hint", value
        case ast.Call(ast.Name("_documented"), arguments):
            yield from (("setting", each) for each in arguments)
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg in HINTS:
                yield "hint", keyword.value
            elif keyword.arg in HELPS:
                yield "help", keyword.value


def _literal(part: ast.expr) -> str:
    match part:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in values)
        case ast.BinOp(left, ast.Add(), right):
            return _literal(left) + _literal(right)
        case ast.IfExp(_, yes, no):
            return " | ".join(filter(None, map(_literal, (yes, no))))
    return ""


def texts() -> list[Text]:
    found = [text for path in sorted((ROOT / "src").rglob("*.py")) for text in in_python(path)]
    pages = [*(ROOT / "src").rglob("*.html"), *(ROOT / "src").rglob("*.js")]
    return found + [text for path in sorted(pages) for text in in_page(path)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("log", "error", "hint", "help", "setting", "page", "text"))
    chosen = parser.parse_args().kind
    for each in texts():
        if chosen in (None, each.kind):
            print(f"{each.kind:7} {each.place}  {each.text}")
