"""What may stand in a `host_key`: the line of a public key, or the fingerprint of one as `ssh-keygen -lf` prints it.

Checked without any cryptography, so that a program that only reads settings can check them. Each transport decides by
itself whether it can use a key.
"""

import base64
import re

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
OTHER_FINGERPRINT = re.compile(r"(MD5:)?([0-9a-fA-F]{2}:){15}[0-9a-fA-F]{2}|(MD5|SHA1|SHA384|SHA512):.*", re.IGNORECASE)
KIND = re.compile(r"(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+")
# As `ssh-keyscan` puts it before a key, hashed too; not the marks and options of other files, which mean something.
HOST = re.compile(r"(?!cert-authority\b|(?:MD5|SHA\d+):)[A-Za-z0-9\[:|][A-Za-z0-9.,:%\[\]|/+=_-]*")


def lines(text: str) -> list[str]:
    """The pins of a text, without the comments of `ssh-keyscan`. Comments alone stay, to be refused: a text that was
    meant to pin a key may never count as none."""
    found = [line.strip() for line in text.splitlines() if line.strip()]
    return [line for line in found if not line.startswith("#")] or found


def stated(pin: str) -> str:
    """The pin as it is stored: some programs pad a fingerprint, and `ssh-keyscan` begins with the host."""
    host, _, key = pin.partition(" ")
    if HOST.fullmatch(host) and KIND.fullmatch(key.split(" ")[0]):
        return key
    return pin.rstrip("=") if pin.startswith("SHA256:") else pin


def trouble(pin: str) -> str | None:
    """Why this line pins nothing, and what to give instead; None: it may."""
    pin = stated(pin)
    if pin.startswith("SHA256:"):
        whole = FINGERPRINT.fullmatch(pin) is not None
        return (
            None
            if whole
            else "is cut short or holds other signs: there are 43 after SHA256:, give all that `ssh-keygen -lf` prints"
        )
    if OTHER_FINGERPRINT.fullmatch(pin):
        return "is a fingerprint of another kind than SHA256: give what `ssh-keygen -lf` prints"
    if "PRIVATE KEY" in pin:
        return "is a private key: give the server's public key, or its fingerprint SHA256:..."
    if pin.startswith("---"):
        return (
            "is a key in another form than OpenSSH's: give a line that begins with its kind, as in ssh-ed25519 AAAA..."
        )
    kind, _, rest = pin.partition(" ")
    if not KIND.fullmatch(kind):
        if any(map(KIND.fullmatch, rest.split())):
            return "begins with something else: give the part from the kind of key on, as in ssh-ed25519 AAAA..."
        return "is neither a public key, as in ssh-ed25519 AAAA..., nor a fingerprint SHA256:..."
    if "-cert-" in kind:
        return "is a certificate: give the server's key itself"
    return _trouble_with(kind, rest.split(" ")[0] if rest else "")


def _trouble_with(kind: str, text: str) -> str | None:
    try:
        named, _, *_ = _fields(base64.b64decode(text, validate=True))
    except ValueError:
        return f"is a key of the kind {kind} that is cut short or holds other signs than a key: give the whole line"
    return None if named == kind.encode() else f"says {kind} and holds a key of another kind"


def _fields(data: bytes) -> list[bytes]:
    """The fields, each of which has its length before it. Raises ValueError where one is cut short."""
    fields = []
    while data:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise ValueError("cut short")
        fields.append(data[4 : 4 + size])
        data = data[4 + size :]
    return fields
