"""Print every text that somebody reads: log lines, errors and their hints, help, settings, the page.

    python scripts/texts.py [--kind log] | less

One text a line: kind, place, text; `{}` stands for what is put in. For reading all of it in one go.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log", "over"}
HINTS = {"hint", "default_hint"}
HELPS = {"help", "short_help", "epilog", "description"}
PAGE_WORDS = re.compile(r">([^<>{}]*[A-Za-z]{3}[^<>{}]*)<|\"([^\"\n]* [^\"\n]*)\"|'([^'\n]* [^'\n]*)'|`([^`]* [^`]*)`")


class Text(NamedTuple):
    kind: str
    place: str
    text: str


def in_python(path: Path) -> Iterator[Text]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(ROOT)
    for node in ast.walk(tree):
        for kind, part in _parts(node):
            if (text := _literal(part)) and re.search(r"[A-Za-z]{2}", text):
                yield Text(kind, f"{place}:{part.lineno}", text)


def in_page(path: Path) -> Iterator[Text]:
    place = path.relative_to(ROOT)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for found in PAGE_WORDS.finditer(line):
            yield Text("page", f"{place}:{number}", next(filter(None, found.groups())).strip())


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
    parser.add_argument("--kind", choices=("log", "error", "hint", "help", "setting", "page"))
    chosen = parser.parse_args().kind
    for each in texts():
        if chosen in (None, each.kind):
            print(f"{each.kind:7} {each.place}  {each.text}")
