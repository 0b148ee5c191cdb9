"""Untrusted text as a cell of a table: labels come from a model file, names of pictures from other programs.

A spreadsheet takes a cell that begins with = + - @ (or a tab or line break before them) for a formula and executes it,
even in quotes. So such a text gets an apostrophe in front, which means "text" to a spreadsheet; one that begins with an
apostrophe gets another, so that removing one gives the original.

Two characters are written as a backslash and a letter: a zero byte in a record file means that the disk lost what was
there, and a carriage return alone, which ends a line to some readers, is not quoted by the csv module.
"""

_FORMULA = ("=", "+", "-", "@", "\t", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def text_cell(text: str) -> str:
    text = text.replace("\0", "\\0").replace("\r", "\\r")
    return f"'{text}" if text.startswith(_FORMULA) else text
