"""File names that some servers fail on, by what is awkward about them."""

import os

NAMES = {
    "a newline": "a\nb.csv",
    "quotes": 'it\'s "so" `done` $(now).csv',
    "not ASCII": "Größe-測定-é.csv",
    "255 bytes": "x" * 251 + ".csv",
    "255 bytes not ASCII": "ü" * 125 + ".csv",
    "no text": os.fsdecode(b"\xff\xfe\x80.csv"),
    "a leading dash": "-rf",
    "a leading dot": ".hidden",
    "only a space": " ",
    "a backslash": "a\\b.csv",
    "a wildcard": "a*[b]?.csv",
    "a percent sign": "100%41.csv",
    "a tilde": "~root",
}
