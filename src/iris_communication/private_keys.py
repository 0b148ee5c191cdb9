"""A private key is given as its own text or as the path of its file. Of the two only a path may ever be shown, so what
could be a text is one, unless there is such a file: also of a kind that nobody here can read, or pasted without its
first line."""

import os
import re

PATH_MAX = 200  # characters
CERTIFICATE_ENDING = "-cert.pub"  # as ssh-keygen names it

PUTTY = "PuTTY-User-Key-File"
BODY = re.compile(r"[A-Za-z0-9+][A-Za-z0-9+/]{39,}=*")  # of base64; a path has a dot, a dash or a beginning


def is_text(text_or_path: str) -> bool:
    text = text_or_path.strip()
    if "PRIVATE KEY" in text or "\n" in text or text.startswith(PUTTY):
        return True
    is_no_likely_path = len(text) > PATH_MAX or BODY.fullmatch(text) is not None
    return is_no_likely_path and not os.path.exists(os.path.expanduser(text_or_path))


def shown(text_or_path: str) -> str:
    return "given as text" if is_text(text_or_path) else repr(text_or_path)
