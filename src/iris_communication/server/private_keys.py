"""A private key is given as its own text or as the path of its file. Only a path may ever be shown, so what could be
the text of a key counts as one, unless there is such a file: also a key of a kind that we cannot read, or one that was
pasted without its first line."""

import os
import re
import stat
from collections.abc import Callable
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
    if not text or "PRIVATE KEY" in text or "\n" in text or text.startswith((PUTTY, "{")) or PUBLIC.match(text):
        return True
    is_no_likely_path = len(text) > PATH_MAX or BODY.fullmatch(text) is not None
    return is_no_likely_path and not os.path.exists(os.path.expanduser(text_or_path))


def absolute(text_or_path: str) -> str:
    """A path as it is meant here and now, whatever folder or home a process has that uses it later; a text as it is."""
    if is_text(text_or_path):
        return text_or_path
    path = os.path.expanduser(text_or_path)
    return path if path.startswith("~") else os.path.abspath(path)  # "~name" of an unknown user: opening it raises


def shown(text_or_path: str) -> str:
    return "given as text" if is_text(text_or_path) else repr(text_or_path)


def content(text_or_path: str) -> bytes:
    """The bytes of the key, as given. Raises OSError, ValueError, and RuntimeError for "~name" of an unknown user."""
    if is_text(text_or_path):
        return text_or_path.encode("utf-8", "surrogateescape")
    return read(Path(text_or_path).expanduser())


def read(path: Path) -> bytes:
    """The bytes of a file; a named pipe is refused, because it could block for ever. Raises OSError, ValueError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is a named pipe, a socket or a device, not a file")
        return file.read(SIZE_BYTES_MAX)


def in_order(key: bytes) -> bytes:
    """The key with the line breaks that every program reads, also at its end, and without the indentation that it has
    in a file of settings."""
    lines = key.removeprefix(b"\xef\xbb\xbf").strip().splitlines()
    return b"".join(line.strip() + b"\n" for line in lines)


def trouble(key: bytes) -> str | None:
    """What this is in place of a private key, and what to do about it; None: it may be one. Shows none of it."""
    if key.startswith(b"\x30\x82"):
        return "is in binary form (DER): make it text, by `openssl pkey -inform DER -in KEY -out NEW`"
    text = key.removeprefix(b"\xef\xbb\xbf").strip().decode("utf-8", "replace")
    if (found := next((why for is_it, why in IN_PLACE_OF_ONE if is_it(text)), None)) is not None:
        return found
    if key.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in key[:64]:
        return "is no text in ASCII or UTF-8: save it as such"
    return None


def _is_public(text: str) -> bool:
    begins = PUBLIC.match(text) or text.startswith(SSH2_PUBLIC)
    return bool(begins) or "BEGIN PUBLIC KEY" in text or "BEGIN RSA PUBLIC" in text


# The first that fits counts.
IN_PLACE_OF_ONE: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda text: not text, "is empty"),
    (
        lambda text: text.startswith(PUTTY),
        "is PuTTY's (.ppk): make it OpenSSH's, by `puttygen KEY.ppk -O private-openssh -o KEY`",
    ),
    (_is_public, "is a public key: give the private one that belongs to it (its file's name has no .pub)"),
    (lambda text: text.startswith(('"', "'")), "is in quotation marks: give it without"),
    (lambda text: text.startswith("LS0tLS1CRUdJTi"), "is encoded once more, in base64: decode it first"),
    (lambda text: "BEGIN PGP" in text, "is PGP's: give one of OpenSSH's, or in PEM"),
    (
        lambda text: "-----BEGIN " in text and "\\n" in text,
        r"has \n written out in place of its line breaks: give it with line breaks, or the path of its file",
    ),
    (
        lambda text: "-----BEGIN " in text and len(text.splitlines()) == 1,
        "has lost its line breaks: give it with them, or the path of its file",
    ),
    (lambda text: "PRIVATE KEY-----" in text and "-----END " not in text, "is cut short: its last line is missing"),
    (lambda text: "BEGIN CERTIFICATE" in text, "is a certificate: give the private key that belongs to it"),
)
