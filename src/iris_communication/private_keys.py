"""A private key is given as its own text or as the path of its file. Of the two only a path may ever be shown, so what
could be a text is one, unless there is such a file: also of a kind that nobody here can read, or pasted without its
first line."""

import os
import re
from pathlib import Path

PATH_MAX = 200  # characters
CERTIFICATE_ENDING = "-cert.pub"  # as ssh-keygen names it

PUTTY = "PuTTY-User-Key-File"
SSH2_PUBLIC = "---- BEGIN SSH2 PUBLIC KEY"
PUBLIC = re.compile(r"(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ +AAAA[A-Za-z0-9+/]+")
SIZE_BYTES_MAX = 1 << 20
BODY = re.compile(r"[A-Za-z0-9+][A-Za-z0-9+/]{39,}=*")  # of base64; a path has a dot, a dash or a beginning


def is_text(text_or_path: str) -> bool:
    text = text_or_path.strip()
    if not text or "PRIVATE KEY" in text or "\n" in text or text.startswith(PUTTY) or PUBLIC.match(text):
        return True
    is_no_likely_path = len(text) > PATH_MAX or BODY.fullmatch(text) is not None
    return is_no_likely_path and not os.path.exists(os.path.expanduser(text_or_path))


def absolute(text_or_path: str) -> str:
    """A path as it is meant here and now, whatever folder or home a process has that uses it later; a text as it is."""
    if is_text(text_or_path):
        return text_or_path
    path = os.path.expanduser(text_or_path)
    return path if path.startswith("~") else os.path.abspath(path)  # "~name" of nobody: told by whoever opens it


def shown(text_or_path: str) -> str:
    return "given as text" if is_text(text_or_path) else repr(text_or_path)


def content(text_or_path: str) -> bytes:
    """Of the key, as it was given. Raises OSError, ValueError, and RuntimeError for "~name" of a user there is not."""
    if is_text(text_or_path):
        return text_or_path.encode("utf-8", "surrogateescape")
    with Path(text_or_path).expanduser().open("rb") as file:
        return file.read(SIZE_BYTES_MAX)


def in_order(key: bytes) -> bytes:
    """With the line breaks every program reads, one at the end among them, whatever editor was the last to save it."""
    lines = key.removeprefix(b"\xef\xbb\xbf").strip().splitlines()
    return b"".join(line.rstrip() + b"\n" for line in lines)


def trouble(key: bytes) -> str | None:
    """What this is in place of a private key, and what to do about it; None: it may be one. Shows none of it."""
    text = key.removeprefix(b"\xef\xbb\xbf").strip().decode("utf-8", "replace")
    if not text:
        return "is empty"
    if text.startswith(PUTTY):
        return "is PuTTY's (.ppk): make it OpenSSH's, by `puttygen KEY.ppk -O private-openssh -o KEY`"
    if PUBLIC.match(text) or text.startswith(SSH2_PUBLIC) or "BEGIN PUBLIC KEY" in text or "BEGIN RSA PUBLIC" in text:
        return "is a public key: give the private one that belongs to it (its file's name has no .pub)"
    if "-----BEGIN " in text and "\\n" in text:
        return r"has \n written out in place of its line breaks: give it with line breaks, or the path of its file"
    if "BEGIN CERTIFICATE" in text:
        return "is a certificate: give the private key that belongs to it"
    if key.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in key[:64]:
        return "is no text in ASCII or UTF-8: save it as such"
    return None
