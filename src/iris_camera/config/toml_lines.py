"""On which line of a TOML file each key stands.

`tomllib` gives values without positions, and an error that names no line is half an error. So a file that `tomllib`
has accepted is read once more, for its keys only: it is known to be valid, so this reader has to understand where
things begin and end (headers, dotted and quoted keys, the four kinds of text, nested arrays and tables) and may leave
what they mean to `tomllib`. What goes wrong here costs a line number, never a value.
"""

import re
import tomllib

KeyPath = tuple[str | int, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_NOTHING = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_TEXT = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'  # up to two quotes may stand before the closing three
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """Key path -> line, counted from 1, of every key, table and array element; `text` is valid TOML."""
    reader = _TomlReader(text.replace("\r\n", "\n"))
    reader.document()
    return reader.lines


class _TomlReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted_to = 0
        self._tables_in_array: dict[KeyPath, int] = {}
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_NOTHING)
        while self._at < len(self._text):
            if self._next("[["):
                table = self._array_header()
            elif self._next("["):
                table = self._in_last_of_array(self._key())
                self._note(table)
                self._next("]")
            else:
                self._key_and_value(table)
            self._skip(_NOTHING)

    def _array_header(self) -> KeyPath:
        array = self._in_last_of_array(self._key())
        index = self._tables_in_array[array] = self._tables_in_array.get(array, -1) + 1
        self._note(array)
        self._note((*array, index))
        self._next("]]")
        return (*array, index)

    def _in_last_of_array(self, names: list[str]) -> KeyPath:
        """A header means, of each array of tables on its way, the last one; its own last name is not resolved."""
        path: KeyPath = ()
        for name in names:
            if path in self._tables_in_array:
                path = (*path, self._tables_in_array[path])
            path = (*path, name)
        return path

    def _key_and_value(self, table: KeyPath) -> None:
        line = self._line_here()
        path = table
        for name in self._key():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._next("=")
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline_table(path)
        elif not self._skip(_TEXT):
            self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._skip(_NOTHING)
        while not self._next("]") and self._at < len(self._text):
            self._note((*path, index))
            self._value((*path, index))
            index += 1
            self._skip(_NOTHING)
            self._next(",")
            self._skip(_NOTHING)

    def _inline_table(self, path: KeyPath) -> None:
        self._skip(_NOTHING)
        while not self._next("}") and self._at < len(self._text):
            self._key_and_value(path)
            self._skip(_NOTHING)
            self._next(",")
            self._skip(_NOTHING)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_BLANK)
            if found := _TEXT.match(self._text, self._at):
                names.append(str(tomllib.loads(f"key = {found[0]}")["key"]))
            elif found := _BARE_KEY.match(self._text, self._at):
                names.append(found[0])
            else:
                raise ValueError(f"no key at line {self._line_here()}")
            self._at = found.end()
            self._skip(_BLANK)
            if not self._next("."):
                return names

    def _next(self, sign: str) -> bool:
        is_next = self._text.startswith(sign, self._at)
        if is_next:
            self._at += len(sign)
        return is_next

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        return True

    def _note(self, path: KeyPath) -> None:
        line = self._line_here()
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line
